import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import {
  checkInAnswerShape,
  checkInRequestShape,
  counterConflictShape,
  problemShape,
} from '../../protocol/check-in.ts';
import {
  agentCredentialsShape,
  claimShape,
  enrolAnswerShape,
  enrolProofShape,
  enrolRequestShape,
  vouchShape,
} from '../../protocol/claim.ts';
import { eventShape } from '../../protocol/event.ts';
import { healthAnswerShape, startShape } from '../../protocol/health.ts';
import { manifestShape } from '../../protocol/manifest.ts';
import { networkPathShape } from '../../protocol/network-path.ts';
import { orderShape } from '../../protocol/order.ts';
import { requestShape } from '../../protocol/request.ts';
import { committedShape, sealShape } from '../../protocol/seal.ts';
import { sourcesFileShape } from '../../protocol/sources.ts';
import { launchBodyShape, stateBodyShape, statePrefixShape } from '../../protocol/state-record.ts';
import { statusShape } from '../../protocol/status.ts';
import { changed, readExample, readExamples, withUnknownFields } from './examples.ts';

const shapes: Readonly<Record<string, z.ZodType>> = {
  'check-in-answer': checkInAnswerShape,
  'check-in-request': checkInRequestShape,
  claim: claimShape,
  committed: committedShape,
  'counter-conflict': counterConflictShape,
  credentials: agentCredentialsShape,
  'enrol-answer': enrolAnswerShape,
  'enrol-proof': enrolProofShape,
  'enrol-request': enrolRequestShape,
  event: eventShape,
  'health-answer': healthAnswerShape,
  'launch-body': launchBodyShape,
  manifest: manifestShape,
  'network-path': networkPathShape,
  order: orderShape,
  problem: problemShape,
  request: requestShape,
  seal: sealShape,
  'sources-file': sourcesFileShape,
  start: startShape,
  'state-body': stateBodyShape,
  'state-prefix': statePrefixShape,
  status: statusShape,
  vouch: vouchShape,
};
/** Examples that are more than one message; the tests of their subjects read them. */
const elsewhere = new Set(['claim-code', 'http-answer', 'http-request', 'record-bytes', 'signed-order']);

/** Records are written again by whoever reads them, an older updater after a newer one too. */
const copying = new Set(['launch-body', 'state-body', 'state-prefix']);

function shapeOf(name: string): z.ZodType {
  const shape = shapes[name.split('.')[0] ?? ''];
  if (shape === undefined) throw new RangeError(`no shape reads ${name}`);
  return shape;
}

const examples = readExamples().filter(({ shape }) => !elsewhere.has(shape));

describe('every frozen message', () => {
  it.each(examples)('$name parses', ({ name, message }) => {
    expect(shapeOf(name).safeParse(message).error).toBeUndefined();
  });

  it.each(examples.filter(({ shape }) => !copying.has(shape)))(
    '$name means the same with unknown fields at every level',
    ({ name, message }) => {
      const shape = shapeOf(name);
      expect(shape.parse(withUnknownFields(message))).toEqual(shape.parse(message));
    },
  );

  it.each(examples.filter(({ shape }) => copying.has(shape)))(
    '$name is read with every unknown field that it has, at every level',
    ({ name, message }) => {
      const more = withUnknownFields(shapeOf(name).parse(message));
      expect(shapeOf(name).parse(more)).toEqual(more);
    },
  );

  it('is there for every shape', () => {
    const shown = new Set(examples.map(({ shape }) => shape));
    expect(Object.keys(shapes).filter((name) => !shown.has(name))).toEqual([]);
  });
});

describe('a state record of any schema', () => {
  it.each(examples.filter(({ shape }) => shape === 'state-body'))('$name has the stable prefix', ({ message }) => {
    expect(statePrefixShape.safeParse(message).success).toBe(true);
  });

  it('is not taken for one of this schema when its row is newer', () => {
    expect(stateBodyShape.safeParse(readExample('state-prefix.newer-schema')).success).toBe(false);
  });
});

describe('a word that this version does not know', () => {
  it.each([
    ['event.kind-of-the-future', 'kind', 'agent-sang'],
    ['order.kind-of-the-future', 'kind', 'make-coffee'],
  ])('is kept in %s', (name, field, raw) => {
    expect(shapeOf(name).parse(readExample(name))).toMatchObject({ [field]: { kind: 'unknown', raw } });
  });

  it('is kept for a status of a check', () => {
    const message = changed(readExample('health-answer.whole'), ['checks', 'disk'], 'tired');
    expect(healthAnswerShape.parse(message).checks).toMatchObject({ disk: { kind: 'unknown', raw: 'tired' } });
  });

  it('is kept for the component of a release that the server wants', () => {
    const { desired } = checkInAnswerShape.parse(readExample('check-in-answer.component-of-the-future'));
    expect(desired?.release?.component).toEqual({ kind: 'unknown', raw: 'firmware' });
  });

  it('does not refuse a check-in that has a component of the future', () => {
    const message = changed(readExample('check-in-request.agent'), ['have', 'firmware'], {
      version: '1.0.0',
      slot: '0',
    });
    expect(checkInRequestShape.parse(message).have.app?.version).toBe('1.0.52');
  });
});

/** What must be refused for ever: a frozen message, where it is changed, and to what (undefined: removed). */
const refused: readonly (readonly [name: string, path: readonly (string | number)[], value: unknown])[] = [
  ['manifest.app', ['format'], 2],
  ['manifest.app', ['component'], 'kernel'],
  ['manifest.app', ['version'], '1.0'],
  ['manifest.app', ['version'], 'v1.0.52'],
  ['manifest.app', ['entry'], 'other.js'],
  ['manifest.app', ['files', 0, 'path'], '../main.js'],
  ['manifest.app', ['files', 0, 'path'], '/main.js'],
  ['manifest.app', ['files', 0, 'path'], 'a//main.js'],
  ['manifest.app', ['files', 0, 'path'], '.seal'],
  ['manifest.app', ['files', 2, 'path'], 'MAIN.js'],
  ['manifest.app', ['files', 2, 'path'], 'main.js/below'],
  ['manifest.app', ['files', 0, 'size'], 10],
  ['manifest.app', ['files', 0, 'chunks', 0], 3],
  ['manifest.app', ['files', 0, 'sha256'], 'A'.repeat(64)],
  ['manifest.app', ['runtime', 'entry'], 'bin/other'],
  ['manifest.app', ['runtime', 'files', 0, 'path'], 'bin/../../node'],
  ['manifest.app', ['chunks', 0, 'size'], 0],
  ['manifest.app', ['chunks', 0, 'stored'], 64 * 1024 * 1024],
  ['manifest.app', ['securityVersion'], -1],
  ['manifest.app', ['trial', 'healthyMs'], 1e12],
  ['manifest.migration', ['trial', 'migrationMs'], 1e12],
  ['manifest.migration', ['trial', 'migrationMs'], -1],
  ['status.deferred', ['deferral', 'words'], 'x'.repeat(201)],
  ['status.stopped', ['stopped', 'next'], 7],
  ['status.stopped', ['notices'], [7]],
  ['manifest.app', ['stateBytesMax'], undefined],
  ['seal.app', ['manifest'], 'abc'],
  ['committed.app', ['floor'], undefined],
  ['state-body.trial', ['transaction', 'tx'], 0],
  ['state-body.trial', ['trial', 'slot'], '7'],
  ['state-prefix.newer-schema', ['committed', 'app'], '../0'],
  ['start.app', ['nonce'], 'short'],
  ['health-answer.whole', ['progress'], -1],
  ['health-answer.whole', ['nonce'], undefined],
  ['health-answer.whole', ['checks'], Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`c${i}`, 'ok']))],
  ['event.record', ['n'], 0],
  ['event.record', ['id'], 'not-a-uuid'],
  ['event.note', ['text'], 'x'.repeat(2_001)],
  ['check-in-request.agent', ['seq'], 0],
  ['check-in-request.agent', ['seq'], 1.5],
  ['check-in-request.agent', ['features'], 'all'],
  ['check-in-request.updater', ['quarantine'], ['1.0.53']],
  ['check-in-answer.whole', ['desired', 'path'], '/releases/../../etc'.replace('..', '%2e')],
  ['check-in-answer.whole', ['desired', 'path'], 'https://elsewhere.example/releases'],
  ['check-in-answer.whole', ['nextInS'], -1],
  ['check-in-answer.whole', ['orders', 0, 'signatures'], []],
  ['order.update-iso', ['appliance'], 'hf-XYZ'],
  ['order.update-iso', ['expiresAtS'], undefined],
  ['request.install', ['kind'], 'reboot'],
  ['request.install', ['file'], ''],
  ['request.install', ['v'], 2],
  ['claim.https', ['url'], 'ftp://fleet.example'],
  ['claim.https', ['v'], 2],
  ['claim.https', ['secret'], 'short'],
  ['claim.by-key', ['proof'], 'another'],
  ['enrol-request.by-key', ['claimKey'], 'ab'],
  ['enrol-proof.whole', ['agentKey'], undefined],
  ['enrol-request.whole', ['updaterKey'], 'ab'],
  ['enrol-answer.whole', ['answerKeys'], []],
  ['vouch.agent', ['appliance'], undefined],
  ['credentials.agent', ['url'], 'nowhere'],
  ['status.whole', ['v'], 2],
];

describe('what is refused for ever', () => {
  it.each(refused)('%s with %j set to %j', (name, path, value) => {
    expect(shapeOf(name).safeParse(changed(readExample(name), path, value)).success).toBe(false);
  });
});
