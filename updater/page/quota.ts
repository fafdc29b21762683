import { requestBytesMax } from '../../protocol/request.ts';

/**
 * What the page's user may leave for the updater. The page keeps to it; the updater, which does not trust the page,
 * removes the rest.
 */

/** A bundle with a runtime has about 60 MiB; the updater takes none that is larger than this quota. */
export const uploadsQuota = { names: 8, bytes: 2 * 1024 * 1024 * 1024 } as const;

/** The page lets eight wait at once; root's own requests and half-written files come on top. */
const requestsWaiting = 32;
export const requestsQuota = { names: requestsWaiting, bytes: 2 * requestsWaiting * requestBytesMax } as const;
