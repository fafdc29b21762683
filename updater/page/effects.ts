import type { Clock } from '../effects/clock.ts';
import type { Files } from '../effects/files.ts';

/** What the page does outside itself. It touches only page/, run/requests/ and run/status.json. */
export interface PageEffects {
  readonly files: Files;
  readonly clock: Pick<Clock, 'monoMs' | 'bootId' | 'wallS'>;
  newId(): string;
  log(line: string): void;
}
