import type { TrialAsked } from '../../../protocol/manifest.ts';
import type { Case } from './cases.ts';

const minutes = (n: number) => n * 60_000;
interface Own {
  readonly healthyMs: number;
  readonly deadlineMs: number;
  readonly migrationMs?: number;
  readonly belowFloor?: boolean;
}

function is(name: string, asked: TrialAsked | undefined, own: Own | null, expected: unknown): Case {
  return {
    name,
    run: ({ settings: { settingsShape, trialLength } }) =>
      trialLength(asked, settingsShape.parse({ processControl: { kind: 'systemd' }, trial: own })),
    expected,
  };
}

/** Who may lengthen a trial, and who may shorten it. */
export const lengthCases: Readonly<Record<string, readonly Case[]>> = {
  'the length of a trial': [
    is('is ten minutes of healthy time and thirty in all where nobody says anything', undefined, null, {
      healthyMs: minutes(10),
      deadlineMs: minutes(30),
      tries: 3,
      shortened: false,
    }),
    is('is lengthened by a release', { healthyMs: minutes(60), deadlineMs: minutes(120) }, null, {
      healthyMs: minutes(60),
      deadlineMs: minutes(120),
      shortened: false,
    }),
    is('is never shortened by a release', { healthyMs: 1, deadlineMs: 1 }, null, {
      healthyMs: minutes(10),
      deadlineMs: minutes(30),
    }),
    is(
      'is shortened by the appliance, to the floor of five minutes',
      undefined,
      { healthyMs: 1_000, deadlineMs: minutes(20) },
      {
        healthyMs: minutes(5),
        deadlineMs: minutes(20),
        shortened: true,
      },
    ),
    is(
      'goes below the floor only where the appliance says so, and says that it is shortened',
      { healthyMs: minutes(60), deadlineMs: minutes(90) },
      { healthyMs: 4_000, deadlineMs: 30_000, belowFloor: true },
      { healthyMs: 4_000, deadlineMs: 30_000, shortened: true },
    ),
    is(
      'is shortened, too, where only its deadline is',
      undefined,
      { healthyMs: minutes(10), deadlineMs: minutes(20) },
      {
        healthyMs: minutes(10),
        deadlineMs: minutes(20),
        shortened: true,
      },
    ),
    is(
      'is not lengthened by the appliance',
      undefined,
      { healthyMs: minutes(90), deadlineMs: minutes(180) },
      {
        healthyMs: minutes(10),
        deadlineMs: minutes(30),
        shortened: false,
      },
    ),
    // Healthy time begins with the first answer: a deadline at the very same time could never be met.
    is('leaves room for the healthy time that a release asks for', { healthyMs: minutes(60), deadlineMs: 0 }, null, {
      healthyMs: minutes(60),
      deadlineMs: minutes(90),
    }),
    is(
      'leaves room for the healthy time whatever the appliance says',
      undefined,
      { healthyMs: minutes(8), deadlineMs: minutes(1) },
      {
        healthyMs: minutes(8),
        deadlineMs: minutes(12),
      },
    ),
  ],
  'the time for a migration': [
    {
      name: 'is none of its own where the release asks for none',
      run: ({ settings: { settingsShape, trialLength } }) =>
        'migrationMs' in trialLength(undefined, settingsShape.parse({ processControl: { kind: 'systemd' } })),
      expected: false,
    },
    is('is what the release asks for', { healthyMs: 0, deadlineMs: 0, migrationMs: minutes(90) }, null, {
      healthyMs: minutes(10),
      deadlineMs: minutes(30),
      migrationMs: minutes(90),
      shortened: false,
    }),
    is(
      'is shortened only by the appliance, and status says so',
      { healthyMs: 0, deadlineMs: 0, migrationMs: minutes(90) },
      { healthyMs: minutes(10), deadlineMs: minutes(30), migrationMs: minutes(1) },
      { migrationMs: minutes(1), shortened: true },
    ),
  ],
};
