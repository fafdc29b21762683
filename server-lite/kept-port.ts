import type { Settings } from './store/settings.ts';

/** Without a given port, a server listens at its first start on the first of these ports that is free, else on any. */
const firstPort = 7080;
const portsTried = 20;
const settingName = 'port';

/**
 * The ports that a server tries, in order. Claim codes, appliances and the operator's configuration hold its address,
 * so the port stays the same: the one that was given, else the one of the last start. Only the first start has a
 * choice.
 * @param asked 0: any free port, for this start only; null: none was given
 */
export function portsToTry(settings: Settings, asked: number | null): readonly number[] {
  if (asked !== null) return [asked];
  const kept = Number(settings.read(settingName) ?? 0);
  if (Number.isInteger(kept) && kept > 0 && kept < 65_536) return [kept];
  return [...Array.from({ length: portsTried }, (_, index) => firstPort + index), 0];
}

/** @param asked as in {@link portsToTry} */
export function keepPort(settings: Settings, asked: number | null, port: number): void {
  if (asked === 0 || settings.read(settingName) === String(port)) return;
  settings.write(settingName, String(port));
}
