import { child, lineAt, type SourceFile, type SyntaxNode, textOf, type Violation, walk } from './source.ts';

/** Where time itself is what is looked at, each with its reason: by folder, and by file. */
export const timedFolders: Readonly<Record<string, string>> = {
  'test/bench/': 'it measures',
  'test/soak/': 'it kills at moments of its own choice, and says what that cost',
  'test/story/': 'a demonstration has a length',
  'test/systemd/': 'units promise times, and nothing else runs beside them',
  'test/hostile/': 'how soon the next release arrives is what it judges, and nothing else runs beside it',
  'test/crash/': 'a search has a budget, and what it finds has no time in it',
  'test/support/killing/': 'how soon a killed process is replaced is what it judges, and nothing else runs beside it',
};
export const timedFiles: Readonly<Record<string, string>> = {
  'test/support/world/wait.ts': 'the one wait for an event',
  'test/agent/agent-process.ts': 'the same wait, which also takes false for no',
  'test/support/set-up.js': 'it is a program that installs, and a process beside it may hang',
  'test/support/proxies/forward-proxy.ts': 'it may be told to be slow, as a proxy that looks into what it passes',
  'test/support/swapping/swapper.ts': 'who exchanges names leaves each state for a moment, and spins no processor',
  'test/support/sooner.ts': 'a timer beside a time-out of the product, in one process',
  'test/updater/set-up/path-entry.test.ts': 'a rate is a least time: a busy machine only adds to it',
  'test/support/test-server.ts': 'the clock of a server, which a test moves',
  'test/server-lite/frozen.test.ts': 'a stop is a least time: a busy machine only adds to it',
  'test/server-lite/process.test.ts': 'the clock of a server beside the one of this machine',
  'test/updater/support/lock-racer.ts': 'says when it had the lock, so that two can be compared',
  'test/updater/processes/supervisor-control.test.ts': 'a pause is a least time: a busy machine only adds to it',
  'test/updater/agent-data/crowded-state.test.ts': 'compared with the same work, measured before it in the same run',
};

const sleeps = new Set(['node:timers/promises', 'timers/promises']);
const waits = new Set(['until', 'waitFor', 'waitUntil']);
/** What a wait may end by. */
const bounds = new Set(['patienceMs', 'comesWithinMs']);
const runs = new Set(['it', 'test', 'beforeAll', 'beforeEach', 'afterAll', 'afterEach', 'describe']);

type Rule = (node: SyntaxNode, parent: SyntaxNode | null) => string | null;

function argumentsOf(node: SyntaxNode): SyntaxNode[] {
  return Array.isArray(node.arguments) ? node.arguments : [];
}

function isNumber(node: SyntaxNode | null | undefined): boolean {
  return node?.type === 'Literal' && typeof node.value === 'number';
}

/** `until` of `until(…)` and of `vi.until(…)`; `it` of `it.each(table)(…)`. */
function calledName(node: SyntaxNode | null): string | null {
  if (node === null) return null;
  if (node.type === 'Identifier') return textOf(node, 'name');
  if (node.type === 'MemberExpression') {
    const name = textOf(child(node, 'property'), 'name');
    return name !== null && waits.has(name) ? name : calledName(child(node, 'object'));
  }
  return node.type === 'CallExpression' ? calledName(child(node, 'callee')) : null;
}

const sleep: Rule = (node, parent) => {
  if (node.type === 'ImportDeclaration' && sleeps.has(textOf(child(node, 'source'), 'value') ?? ''))
    return 'a sleep: wait for what is to happen';
  const isTimer = node.type === 'Identifier' && textOf(node, 'name') === 'setTimeout';
  const isNamedOnly =
    parent?.type === 'ImportSpecifier' || (parent?.type === 'MemberExpression' && child(parent, 'property') === node);
  return isTimer && !isNamedOnly ? 'a sleep: wait for what is to happen' : null;
};

const duration: Rule = (node) => {
  if (node.type === 'MemberExpression') {
    const [object, property] = [textOf(child(node, 'object'), 'name'), textOf(child(node, 'property'), 'name')];
    const isClock =
      (object === 'performance' && property === 'now') || (object === 'process' && property?.startsWith('hrtime'));
    return isClock ? 'a duration: order events, or measure processor time (cpu-time.ts)' : null;
  }
  if (node.type !== 'BinaryExpression' || node.operator !== '-' || isNumber(child(node, 'right'))) return null;
  let sinceNow = false;
  walk(node, (inner) => {
    const isNow =
      textOf(child(inner, 'property'), 'name') === 'now' && textOf(child(inner, 'object'), 'name') === 'Date';
    if (inner.type === 'MemberExpression' && isNow) sinceNow = true;
  });
  return sinceNow ? 'a duration: order events, or measure processor time (cpu-time.ts)' : null;
};

function hasTimeOut(node: SyntaxNode): boolean {
  const properties = node.type === 'ObjectExpression' && Array.isArray(node.properties) ? node.properties : [];
  return properties.some((one) => textOf(child(one, 'key'), 'name') === 'timeout' && isNumber(child(one, 'value')));
}

const ownBound: Rule = (node) => {
  if (node.type === 'VariableDeclarator') {
    const isBound = /WithinMs$/.test(textOf(child(node, 'id'), 'name') ?? '') && isNumber(child(node, 'init'));
    return isBound ? 'a wait with a bound of its own: patienceMs ends them all' : null;
  }
  if (node.type !== 'CallExpression') return null;
  const name = calledName(child(node, 'callee')) ?? '';
  const [, bound, look] = argumentsOf(node);
  if (name === 'until' && look !== undefined && !bounds.has(textOf(bound ?? null, 'name') ?? ''))
    return 'a wait with a bound of its own: patienceMs ends them all';
  const isBounded = argumentsOf(node).some((one, index) => (isNumber(one) && index > 0) || hasTimeOut(one));
  if (!isBounded) return null;
  if (waits.has(name)) return 'a wait with a bound of its own: patienceMs ends them all';
  return runs.has(name) ? 'a test with a time-out of its own: the configuration has one for all' : null;
};

const rules: readonly Rule[] = [sleep, duration, ownBound];

/** Tests order events; a busy machine must not decide what they say. */
export function waitViolations(files: readonly SourceFile[]): Violation[] {
  return files.flatMap((file) => {
    const found: Violation[] = [];
    const isTimed = file.path in timedFiles || Object.keys(timedFolders).some((folder) => file.path.startsWith(folder));
    if (file.program !== 'test' || isTimed) return found;
    walk(file.syntax, (node, parent) => {
      for (const rule of rules) {
        const text = rule(node, parent);
        if (text !== null) found.push({ path: file.path, line: lineAt(file, node.start), text });
      }
    });
    return found;
  });
}
