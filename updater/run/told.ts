import type { Row, StateBody } from '../../protocol/state-record.ts';
import type { MachineEvent } from '../machine/event.ts';

/** What is reported about a step once its row is on disk, and to whom. */
export interface Telling {
  /** `server`: with the next check-in, when that is due, and to people; `people`: status and page only. */
  readonly whom: 'nobody' | 'people' | 'server';
  /** Does the run end here, so that only this updater starts an agent that is down? */
  readonly keepsAgentUp: boolean;
}

/** The rows in which the committed agent continues to run, and in which a run may rest before anything is switched. */
const untilSwitch: ReadonlySet<Row> = new Set(['resolved', 'fetching', 'writing', 'sealed']);

/** Pure. The row idle reports for itself: people wait for its result, and reporting is its work. */
export function told(before: Pick<StateBody, 'row'>, event: Pick<MachineEvent, 'kind'>): Telling {
  if (!untilSwitch.has(before.row)) return { whom: 'nobody', keepsAgentUp: false };
  switch (event.kind) {
    // Sources may be broken for weeks: the server must hear about it and be able to decide anew (S60).
    case 'interrupted':
      return { whom: 'server', keepsAgentUp: true };
    case 'nothing':
      return { whom: 'server', keepsAgentUp: false };
    // What it waited for is over.
    case 'clear':
      return { whom: 'people', keepsAgentUp: false };
    default:
      return { whom: 'nobody', keepsAgentUp: false };
  }
}
