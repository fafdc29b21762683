import { type Misbehaviour, rangeOf } from './release-server.ts';

/** Sends the head of a range and its first bytes, then breaks the connection; only for ranges longer than that. */
export function truncateAfter(path: string, bytesBefore: number): Misbehaviour {
  return (request, response, file) => {
    const range = rangeOf(request, file.bytes?.length ?? 0);
    if (file.bytes === null || range === null || !file.path.endsWith(path)) return false;
    const body = file.bytes.subarray(range.from, range.to + 1);
    if (body.length <= bytesBefore) return false;
    response.writeHead(206, {
      'content-length': body.length,
      'content-range': `bytes ${range.from}-${range.to}/${file.bytes.length}`,
    });
    response.write(body.subarray(0, bytesBefore));
    // What was written reaches the other side before the connection ends.
    setImmediate(() => response.socket?.end());
    return true;
  };
}

/** Pretends that a file ends early, with heads that fit. */
export function cutFile(path: string, size: number): Misbehaviour {
  return (request, response, file) => {
    if (file.bytes === null || !file.path.endsWith(path)) return false;
    const bytes = file.bytes.subarray(0, size);
    const range = rangeOf(request, size);
    const body = range === null ? bytes : bytes.subarray(range.from, range.to + 1);
    const head = range === null ? {} : { 'content-range': `bytes ${range.from}-${range.to}/${size}` };
    response.writeHead(range === null ? 200 : 206, { 'content-length': body.length, ...head }).end(body);
    return true;
  };
}
