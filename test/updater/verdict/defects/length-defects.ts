import { type Defect, inSettings } from './defect.ts';

export const lengthDefects: readonly Defect[] = [
  inSettings(
    'has another standard',
    'healthyMs: 10 * 60_000',
    'healthyMs: 11 * 60_000',
    'the length of a trial: is ten minutes of healthy time and thirty in all where nobody says anything',
  ),
  inSettings(
    'does not listen to releases',
    'Math.max(asked?.healthyMs ?? 0, defaultTrial.healthyMs)',
    'defaultTrial.healthyMs',
    'the length of a trial: is lengthened by a release',
  ),
  inSettings(
    'lets a release shorten it',
    'Math.max(asked?.healthyMs ?? 0, defaultTrial.healthyMs)',
    'asked?.healthyMs ?? defaultTrial.healthyMs',
    'the length of a trial: is never shortened by a release',
  ),
  inSettings(
    'has no floor',
    'own?.belowFloor ? 0 : trialFloorMs',
    '0',
    'the length of a trial: is shortened by the appliance, to the floor of five minutes',
  ),
  inSettings(
    'does not go below the floor',
    'own?.belowFloor ? 0 : trialFloorMs',
    'trialFloorMs',
    'the length of a trial: goes below the floor only where the appliance says so, and says that it is shortened',
  ),
  inSettings(
    'does not say that the deadline is shortened',
    'healthyMs < wanted.healthyMs || deadlineMs < wanted.deadlineMs ||',
    'healthyMs < wanted.healthyMs ||',
    'the length of a trial: is shortened, too, where only its deadline is',
  ),
  inSettings(
    'lets the appliance lengthen it',
    'Math.min(wanted.healthyMs, Math.max(own.healthyMs, floor))',
    'Math.max(own.healthyMs, floor)',
    'the length of a trial: is not lengthened by the appliance',
  ),
  inSettings(
    'leaves no room',
    'const deadlineRatio = 1.5;',
    'const deadlineRatio = 0.5;',
    'the length of a trial: leaves room for the healthy time that a release asks for',
  ),
  inSettings(
    'leaves too little room',
    'const deadlineRatio = 1.5;',
    'const deadlineRatio = 1;',
    'the length of a trial: leaves room for the healthy time whatever the appliance says',
  ),
  inSettings(
    'gives every release time to migrate',
    'asked?.migrationMs === undefined ? undefined :',
    'asked?.migrationMs === undefined ? 0 :',
    'the time for a migration: is none of its own where the release asks for none',
  ),
  inSettings(
    'forgets the time to migrate',
    '...(migrationMs === undefined ? {} : { migrationMs }),',
    '',
    'the time for a migration: is what the release asks for',
  ),
  inSettings(
    'does not shorten the time to migrate',
    'Math.min(asked.migrationMs, own?.migrationMs ?? Infinity)',
    'asked.migrationMs',
    'the time for a migration: is shortened only by the appliance, and status says so',
  ),
];
