import type { Files } from '../effects/files.ts';
import { serverTexts } from '../words/texts.ts';

/** One of the machines that use one identity, as it describes itself. */

interface Side {
  readonly boot: string;
  readonly address: string;
}

const hostFile = '/proc/sys/kernel/hostname';
const hostMax = 64;
/** As many as fit into the status, with addresses of the greatest length. */
const othersMax = 2;

/**
 * This machine's own name; empty if it has none. A file of the kernel reports no size, so it is read as far as it goes.
 */
export function hostName(files: Files): string {
  try {
    const handle = files.openRead(hostFile);
    try {
      return files.read(handle, 0, hostMax).toString('utf8').trim();
    } finally {
      files.close(handle);
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return '';
  }
}

const short = (boot: string) => boot.slice(0, 8);

/** @param keys the roles whose keys are in use twice, as the server says; empty: it does not say */
export function cloneNotice(
  sides: readonly Side[],
  keys: readonly string[],
  own: { readonly boot: string; readonly host: string },
): string {
  const others = sides
    .filter(({ boot }) => boot !== own.boot)
    .slice(0, othersMax)
    .map(({ boot, address }) => serverTexts.addressAndBoot(address, short(boot)));
  const other = others.length === 0 ? '' : serverTexts.sawOther(others.join(serverTexts.and));
  const isAgents = keys.length === 1 && keys[0] === 'agent';
  const what = isAgents ? serverTexts.agentKey : serverTexts.identity;
  const stolen = isAgents ? serverTexts.keyStolen : '';
  return serverTexts.twoMachines(what, own.host || serverTexts.unnamed, short(own.boot), other, stolen);
}
