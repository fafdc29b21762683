import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/**
 * The tests bite: in a copy of the sources each defect is planted by a patch, and a run that is green without it names
 * what is broken. The product has no switch for any of them.
 */
const root = join(import.meta.dirname, '../..');
const directory = mkdtempSync(join(tmpdir(), 'holdfast-patched-'));
const parts = ['agent', 'image', 'protocol', 'server-lite', 'test', 'updater', 'package.json', 'tsconfig.json'];
const vitest = join(root, 'node_modules/vitest/vitest.mjs');

beforeAll(() => {
  for (const part of parts) cpSync(join(root, part), join(directory, part), { recursive: true });
  cpSync(join(root, 'vitest.config.ts'), join(directory, 'vitest.config.ts'));
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
});
afterAll(() => rmSync(directory, { recursive: true }));

type Patch = readonly [file: string, from: string, to: string];

interface Defect {
  readonly name: string;
  readonly patches: readonly Patch[];
  /** A kind of `npm run crash`, or a file of tests. */
  readonly seenBy: string;
  readonly says: RegExp;
}

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: pieces of source text
const unsynced = [
  'const handle = files.create(`${path}.tmp`, 0o600);',
  'files.write(handle, frame, 0);',
  'files.close(handle);',
].join('\n');

const defects: readonly Defect[] = [
  {
    name: 'good before the trial ended',
    patches: [
      [
        'updater/transaction/judge.ts',
        "case 'undecided': {",
        "case 'undecided': {\n        if (transaction.tx > 0) return { kind: 'passed', downMs: 0 };",
      ],
    ],
    seenBy: 'failed trial from the server',
    says: /1\.0\.53 is committed/,
  },
  {
    name: 'a try that is counted after the start',
    patches: [
      [
        'updater/launch/count.ts',
        'countThisStart(effects, layout, component, choice.tx, slot);',
        'queueMicrotask(() => countThisStart(effects, layout, component, choice.tx, slot));',
      ],
    ],
    seenBy: 'failed trial',
    says: /I2: a version on trial ran, and its try is not counted/,
  },
  {
    name: 'two writers of one record',
    patches: [
      [
        'updater/launch/count.ts',
        'rewriteRecord(files, layout.launchRecords,',
        'rewriteRecord(files, layout.stateRecords,',
      ],
    ],
    seenBy: 'failed trial',
    // Already the good update that the scene is made of finds its count gone.
    says: /the update is not committed[\s\S]*the record of its tries was lost/,
  },
  {
    name: 'a snapshot before the agent was gone',
    patches: [
      ['updater/transaction/effects.ts', 'return stopAgent(appliance, memory);', "return { kind: 'agent-gone' };"],
      [
        'updater/transaction/effects.ts',
        'return snapshot(appliance, state);',
        'return stopAgent(appliance, memory, snapshot(appliance, state));',
      ],
      [
        'updater/transaction/switch.ts',
        'memory: RunMemory): Promise<MachineEvent> {\n  memory.stoppedMs',
        'memory: RunMemory, done: MachineEvent): Promise<MachineEvent> {\n  memory.stoppedMs',
      ],
      ['updater/transaction/switch.ts', "return { kind: 'agent-gone' };", 'return done;'],
    ],
    seenBy: 'failed trial',
    says: /I4: of \d+ stops that were written down \d+ are there/,
  },
  {
    name: 'a stale -wal beside a restored database',
    patches: [
      [
        'updater/agent-data/restore.ts',
        'moveToQuarantine(files, agent, quarantine, entry.name, mustKeep);',
        'if (entry.name !== logName) moveToQuarantine(files, agent, quarantine, entry.name, mustKeep);',
      ],
      [
        'updater/agent-data/restore.ts',
        "if (entry.found !== 'copied' && !stays(index, entry) && facts !== null) {",
        "if (entry.found !== 'copied' && entry.name !== logName && facts !== null) {",
      ],
    ],
    seenBy: 'test/updater/agent-data/snapshot-restore.test.ts',
    says: /FAIL .*snapshot-restore/,
  },
  {
    name: 'a floor that rises in the trial',
    patches: [
      [
        'updater/machine/transitions.ts',
        "return { ...state, row: 'armed',",
        "return { ...state, floor: { ...state.floor, app: transactionOf(state).securityVersion }, row: 'armed',",
      ],
    ],
    seenBy: 'failed trial',
    says: /I5: the floor forbids a version that is kept/,
  },
  {
    name: 'a quarantine that is forgotten',
    patches: [['updater/machine/transitions.ts', 'trial: null, quarantine };', 'trial: null };']],
    seenBy: 'failed trial',
    says: /1\.0\.53 is not in quarantine/,
  },
  {
    name: 'a previous slot that is pruned early',
    patches: [
      [
        'updater/transaction/switch.ts',
        'pruneSnapshots(appliance, transaction.tx);',
        "pruneSnapshots(appliance, transaction.tx);\n  files.removeTree(join(layout.slots, 'app', state.app.committed.slot));",
      ],
    ],
    seenBy: 'a request in the middle',
    says: /I1: the version before, 1\.0\.52, is not whole|without a cut: 1\.0\.54 is committed/,
  },
  {
    name: 'a resume that trusts a length',
    patches: [
      ['updater/release/chunk-store.ts', 'writeNewFile(files, `${path}.tmp`, frame, 0o600);', unsynced],
      [
        'updater/release/chunk-store.ts',
        '          unpack(chunk, patch, frame),',
        '          Buffer.alloc(chunk.size),',
      ],
      [
        'updater/release/chunk-store.ts',
        '(frame) =>\n          Buffer',
        '(frame) => frame.some((byte) => byte !== 0) ? unpack(chunk, patch, frame) :\n          Buffer',
      ],
    ],
    seenBy: 'update from the server',
    says: /I6: 1\.0\.49 is committed|I8/,
  },
  {
    name: 'two updaters',
    patches: [['updater/appliance/lock.ts', 'BEGIN EXCLUSIVE', 'BEGIN']],
    seenBy: 'test/updater/appliance/lock.test.ts',
    says: /FAIL .*lock\.test/,
  },
  {
    name: 'a launch that starts the committed slot while reverting',
    patches: [
      ['updater/launch/table.ts', "'returning', 'reverting'", "'returning'"],
      ['updater/launch/table.ts', "'sealed', 'closing'", "'sealed', 'closing', 'reverting'"],
    ],
    seenBy: 'failed trial',
    says: /I3: 1\.0\.52 reads up to schema 1 and found 2/,
  },
  {
    name: 'data of today that is not put aside',
    patches: [
      [
        'updater/transaction/switch.ts',
        'if (transaction.data !== undefined) putAside(files, layout, transaction.data.tx);',
        '',
      ],
    ],
    seenBy: 'back to data of before',
    says: /I4: what was put aside is gone/,
  },
  {
    name: 'a copy of today that is made again when the data of before is half back',
    patches: [
      [
        'updater/machine/table.ts',
        "on: { 'data-back': arm, failed: fail } }",
        "on: { 'data-back': arm, failed: fail }, afterCrash: backToSealed }",
      ],
    ],
    seenBy: 'back to data of before, and it fails',
    says: /I4: the data is/,
  },
];

// biome-ignore-end lint/suspicious/noTemplateCurlyInString: pieces of source text

/** Patches the copy, and takes the patches back afterwards. @throws when a patch does not fit exactly once */
async function withPatches<T>(patches: readonly Patch[], run: () => Promise<T>): Promise<T> {
  const before = new Map(patches.map(([file]) => [file, readFileSync(join(directory, file), 'utf8')]));
  try {
    for (const [file, from, to] of patches) {
      const text = readFileSync(join(directory, file), 'utf8');
      if (text.split(from).length !== 2) throw new RangeError(`${file} does not have ${from} exactly once`);
      writeFileSync(
        join(directory, file),
        text.replace(from, () => to),
      );
    }
    return await run();
  } finally {
    for (const [file, text] of before) writeFileSync(join(directory, file), text);
  }
}

function look(seenBy: string) {
  const isTest = basename(seenBy).endsWith('.test.ts');
  const crash = [
    'test/crash/main.ts',
    '--kind',
    seenBy,
    '--budget-s',
    '30',
    '--samples',
    '4',
    '--threads',
    '1',
    '--first',
  ];
  const args = isTest ? [vitest, 'run', seenBy] : crash;
  return execa(process.execPath, args, { cwd: directory, reject: false, all: true, env: { NO_COLOR: '1' } });
}

describe('planted in a copy of the sources', () => {
  it.each(defects)('$name is caught by $seenBy', async ({ patches, seenBy, says }) => {
    const { exitCode, all } = await withPatches(patches, () => look(seenBy));
    expect(all).toMatch(says);
    expect(exitCode).toBe(1);
  });

  it('nothing is caught where nothing is planted', async () => {
    for (const seenBy of ['test/updater/agent-data/snapshot-restore.test.ts', 'test/updater/appliance/lock.test.ts']) {
      const { exitCode, all } = await look(seenBy);
      expect(exitCode, all).toBe(0);
    }
  });
});
