import type { Appliance } from '../appliance.ts';

/** Whatever else lies in the directory is half written, or nothing of ours. */
export const requestName = /^[0-9a-f-]{36}\.json$/;

/** Does anything wait that may be a request of a person? */
export function hasRequest({ files, layout }: Appliance): boolean {
  return files.list(layout.requests).some((name) => requestName.test(name));
}
