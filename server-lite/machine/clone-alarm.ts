import type { CheckInRequest } from '../../protocol/check-in.ts';
import { type Count, countedIn } from '../rules/window.ts';
import type { KeyRow, Role } from '../store/appliances.ts';
import type { CloneAlarm, Clones, Side } from '../store/clones.ts';
import { cloneTexts } from '../texts.ts';

/** Machines of one identity that are told apart. A reboot looks like another machine, so the newest count. */
const sidesMax = 4;
const hostMax = 64;
/** Bounds of an answer's fields: a longer one would make the whole answer unreadable. */
const [bootMax, addressMax] = [64, 64];
/**
 * Boots of one program that are remembered. More of them between two check-ins of the machine itself, and nobody sees it
 * return.
 */
const bootsKept = 256;
/** New boots of one program within an hour that no machine makes: one each half minute, with a check-in in each. */
const bootsPerHourMax = 120;
const hourMs = 3_600_000;
/** One return may be a machine whose memory was put back (a snapshot of a virtual one). */
const returnsMin = 2;

type SideKey = Pick<KeyRow, 'key_id' | 'appliance'>;

export interface CloneAlarms {
  /**
   * Who asked in an appliance's name, with a counter that was taken: two machines are in two boots.
   * @returns `isTwo`: they are. No machine comes back to a boot that it has left, and these did again and again; nor is one
   * in a new boot all the time. `knewBoot`: this program was in this boot before
   */
  noteSide(
    key: SideKey,
    request: Pick<CheckInRequest, 'boot' | 'machine'>,
    address: string,
    nowMs: number,
  ): { readonly isTwo: boolean; readonly knewBoot: boolean };
  /** @returns false: it was raised before for this program's key, and stays */
  raise(key: Pick<KeyRow, 'appliance' | 'role'>, nowMs: number): boolean;
  of(appliance: string): CloneAlarm | null;
  noteCopy(appliance: string, copy: string): void;
  /** What was seen so far is compared with nothing that comes. */
  forgetBoots(appliance: string): void;
  /** @returns false if there was none */
  solve(appliance: string): boolean;
}

/** Alarms are in memory and on disk; the machines that check in are in memory only. */
export function cloneAlarmsOf(store: Clones): CloneAlarms {
  const alarms = new Map(store.list().map((alarm) => [alarm.appliance, alarm]));
  const seen = new Map<string, readonly Side[]>();
  /** By appliance, and by key. */
  const boots = new Map<string, Map<string, Boots>>();
  return {
    noteSide: ({ key_id, appliance }, { boot, machine = '' }, address, lastMs) => {
      const host = machine === '' ? null : machine.slice(0, hostMax);
      const known = seen.get(appliance) ?? [];
      // The agent does not report the name of its machine.
      const at = address.slice(0, addressMax);
      const side = { boot, address: at, lastMs, host: host ?? known.find((one) => one.boot === boot)?.host ?? null };
      seen.set(appliance, [side, ...known.filter((one) => one.boot !== boot)].slice(0, sidesMax));
      // For each program by itself: one may run where the kernel's boot id is hidden.
      const ofKeys = boots.get(appliance) ?? new Map<string, Boots>();
      const before = ofKeys.get(key_id);
      const now = afterBoot(before, boot, lastMs);
      boots.set(appliance, ofKeys.set(key_id, now));
      const isTwo = now.returns >= returnsMin || (now.begun?.n ?? 0) > bootsPerHourMax;
      return { isTwo, knewBoot: before?.names.includes(boot) ?? false };
    },
    raise: ({ appliance, role }, since) => {
      const before = alarms.get(appliance);
      if (before?.roles.includes(role)) return false;
      if (before !== undefined) {
        const roles = [...before.roles, role];
        store.noteRoles(appliance, roles);
        alarms.set(appliance, { ...before, roles });
        return true;
      }
      const alarm = { appliance, since, sides: (seen.get(appliance) ?? []).slice(0, 2), roles: [role] };
      store.raise(alarm);
      alarms.set(appliance, { ...alarm, copy: null });
      return true;
    },
    of: (appliance) => alarms.get(appliance) ?? null,
    noteCopy: (appliance, copy) => {
      const alarm = alarms.get(appliance);
      if (alarm === undefined) return;
      store.noteCopy(appliance, copy);
      alarms.set(appliance, { ...alarm, copy });
    },
    forgetBoots: (appliance) => {
      boots.delete(appliance);
    },
    solve: (appliance) => {
      if (!alarms.delete(appliance)) return false;
      boots.delete(appliance);
      store.remove(appliance);
      return true;
    },
  };
}

interface Boots {
  /** Newest first. */
  readonly names: readonly string[];
  readonly returns: number;
  /** New ones in this hour; undefined: none yet. */
  readonly begun: Count | undefined;
}

function afterBoot(before: Boots | undefined, boot: string, nowMs: number): Boots {
  const { names, returns, begun } = before ?? { names: [], returns: 0, begun: undefined };
  if (names[0] === boot) return { names, returns, begun };
  const others = names.filter((name) => name !== boot);
  const isReturn = others.length < names.length;
  return {
    names: [boot, ...others].slice(0, bootsKept),
    returns: returns + (isReturn ? 1 : 0),
    begun: isReturn ? begun : countedIn(begun, nowMs, hourMs),
  };
}

/** The machines in the form of an answer, whatever was stored. */
export function sidesAsTold({ sides }: CloneAlarm): { boot: string; address: string }[] {
  return sides.slice(0, sidesMax).map(({ boot, address }) => ({
    boot: boot.slice(0, bootMax) || 'unknown',
    address: address.slice(0, addressMax),
  }));
}

function sideText({ boot, address, host }: Side): string {
  return cloneTexts.side(host === null ? cloneTexts.aMachine : host, address, boot.slice(0, 8));
}

/** Whose key it is: a thief of the agent's key is not a second updater. */
function keysText(roles: readonly Role[]): string {
  if (roles.length === 0) return '';
  if (roles.length > 1) return cloneTexts.byBothKeys;
  return roles[0] === 'agent' ? cloneTexts.byAgentKey : cloneTexts.byUpdaterKey;
}

/** @param copy the name of the appliance that the copy became; null: none did yet */
export function cloneSentence({ since, sides, roles }: CloneAlarm, name: string, copy: string | null): string {
  const day = new Date(since).toISOString().slice(0, 16).replace('T', ' ');
  const which = sides.length < 2 ? '' : cloneTexts.sides(sides.map(sideText));
  const solved = cloneTexts.solvedNext(name);
  const next =
    copy === null
      ? cloneTexts.onTheCopyNext(solved, cloneTexts.stolenNext(roles.includes('updater'), name))
      : cloneTexts.copyEnrolledNext(copy, solved);
  return cloneTexts.since(day, keysText(roles), which, next);
}
