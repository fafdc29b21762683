/** The alarm ends this far below its limit, so that it does not come and go at the limit. */
const endsAt = 0.95;

/** @returns whether there is an alarm now */
export function isAlarm(before: boolean, kW: number, limitKw: number): boolean {
  return before ? kW > limitKw * endsAt : kW > limitKw;
}
