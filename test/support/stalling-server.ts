import type { Misbehaviour } from './release-server.ts';

/** Takes the request and never answers. */
export function stallBeforeHead(path: string): Misbehaviour {
  return (_request, _response, file) => file.path.endsWith(path);
}

/** Sends the head and a first part of what was asked for, then nothing more, with the connection held open. */
export function stallInBody(path: string, bytesBefore: number): Misbehaviour {
  return (request, response, file) => {
    if (file.bytes === null || !file.path.endsWith(path)) return false;
    const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    const from = Number(match?.[1] ?? 0);
    const to = Math.min(Number(match?.[2] ?? file.bytes.length - 1), file.bytes.length - 1);
    const head = match === null ? {} : { 'content-range': `bytes ${from}-${to}/${file.bytes.length}` };
    response.writeHead(match === null ? 200 : 206, { 'content-length': to - from + 1, ...head });
    response.write(file.bytes.subarray(from, from + bytesBefore));
    return true;
  };
}

/** Never stalls and never ends: one byte at a time. */
export function drip(path: string, everyMs: number): Misbehaviour {
  return (_request, response, file) => {
    if (file.bytes === null || !file.path.endsWith(path)) return false;
    response.writeHead(200, { 'content-length': file.bytes.length });
    const timer = setInterval(() => response.write(' '), everyMs);
    response.on('close', () => clearInterval(timer));
    return true;
  };
}
