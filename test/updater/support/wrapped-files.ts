import { type Files, type Handle, realFiles } from '../../../updater/effects/files.ts';

type Operation = keyof Files;
type Hook = (operation: Operation, args: readonly unknown[]) => void;

/** The real file system, with somebody looking on: `before` sees each operation and may throw in its place. */
function wrapFiles(before: Hook, after: Hook = () => undefined): Files {
  return new Proxy(realFiles, {
    get(target, key: Operation) {
      const operation: unknown = Reflect.get(target, key);
      if (typeof operation !== 'function') return operation;
      return (...args: unknown[]) => {
        before(key, args);
        const result: unknown = Reflect.apply(operation, target, args);
        after(key, args);
        return result;
      };
    },
  });
}

/** The power goes: no code, so that nothing can take it for an error of the system. */
export class PowerCut extends Error {}

/** The power goes just before the n-th operation (from 1). `operations` counts what was asked for. */
export function cutAt(n: number): { files: Files; operations(): number } {
  let count = 0;
  const files = wrapFiles(() => {
    count += 1;
    if (count === n) throw new PowerCut(`before operation ${n}`);
  });
  return { files, operations: () => count };
}

/** Every operation as one line with the path that it is about, in order. */
export function recordFiles(): { files: Files; lines: string[] } {
  const lines: string[] = [];
  const paths = new Map<Handle, string>();
  /** By the name that it was opened by, also what is below an open directory. */
  const called = (place: unknown): string =>
    typeof place === 'number'
      ? (paths.get(place) ?? '?')
      : String(place).replace(/^\/proc\/self\/fd\/(\d+)/, (itself, handle) => paths.get(Number(handle)) ?? itself);
  const files = wrapFiles(
    () => undefined,
    (operation, [first, second]) => {
      const path = called(first);
      lines.push(operation === 'rename' ? `rename ${path} ${called(second)}` : `${operation} ${path}`);
    },
  );
  const opening =
    <Rest extends unknown[]>(open: (path: string, ...rest: Rest) => Handle) =>
    (path: string, ...rest: Rest): Handle => {
      const handle = open(path, ...rest);
      paths.set(handle, called(path));
      return handle;
    };
  const { openRead, openWrite, openDevice, openDirectory, openName, create } = files;
  const known = {
    openDirectory: opening(openDirectory),
    openName: opening(openName),
    openRead: opening(openRead),
    openWrite: opening(openWrite),
    openDevice: opening(openDevice),
    create: opening(create),
  };
  return { files: withOperations(known, files), lines };
}

/** A file system of which some operations are the test's own. */
export function withOperations(changes: Partial<Files>, files: Files = realFiles): Files {
  return new Proxy(files, { get: (target, key): unknown => Reflect.get(key in changes ? changes : target, key) });
}

/** An error as the system reports it. */
export function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: planted`), { code });
}

const writing: ReadonlySet<Operation> = new Set([
  'create',
  'write',
  'sync',
  'syncDirectory',
  'rename',
  'unlink',
  'removeTree',
  'makeDirectory',
  'link',
  'sweep',
  'setModeOf',
  'setOwnerOf',
  'setOwner',
  'touch',
]);

/** The disk refuses its n-th operation that writes (from 1), once; or from there on all of them. */
export function refuseAt(n: number, code: string, how: 'once' | 'for ever' = 'once') {
  let count = 0;
  const files = wrapFiles((operation) => {
    if (!writing.has(operation)) return;
    count += 1;
    if (count === n || (how === 'for ever' && count > n)) throw systemError(code);
  });
  return { files, operations: () => count };
}
