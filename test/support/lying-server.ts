import { type Misbehaviour, sendFile } from './release-server.ts';

const on = (path: string, act: Misbehaviour): Misbehaviour => {
  return (request, response, file) => (file.path.endsWith(path) ? act(request, response, file) : false);
};

/** Changes one byte of a file, wherever the range begins. */
export function flipByte(path: string, where: number | ((bytes: Buffer) => number), mask = 0x01): Misbehaviour {
  return on(path, (request, response, file) => {
    if (file.bytes === null) return false;
    const bytes = Buffer.from(file.bytes);
    const position = typeof where === 'number' ? where : where(bytes);
    bytes[position] = (bytes[position] ?? 0) ^ mask;
    sendFile(request, response, bytes);
    return true;
  });
}

export function answerStatus(path: string, status: number): Misbehaviour {
  return on(path, (_request, response) => {
    response.writeHead(status).end('no');
    return true;
  });
}

/** A captive portal: 200 and a page, whatever was asked for; `partial` dresses it up as the range. */
export function answerHtml(path: string, partial: boolean): Misbehaviour {
  const page = Buffer.from(`<!doctype html><title>Welcome</title>${' '.repeat(2000)}`);
  return on(path, (request, response) => {
    if (partial) sendFile(request, response, page);
    else response.writeHead(200, { 'content-type': 'text/html' }).end(page);
    return true;
  });
}

/** Ignores ranges and sends the whole file. */
export function ignoreRange(path: string): Misbehaviour {
  return on(path, (_request, response, file) => {
    response.writeHead(200).end(file.bytes);
    return true;
  });
}

/** Answers with another part than was asked for. */
export function answerOtherRange(path: string): Misbehaviour {
  return on(path, (_request, response, file) => {
    if (file.bytes === null) return false;
    response
      .writeHead(206, { 'content-range': `bytes 512-1023/${file.bytes.length}` })
      .end(file.bytes.subarray(512, 1024));
    return true;
  });
}

export function redirect(path: string, to: string): Misbehaviour {
  return on(path, (_request, response) => {
    response.writeHead(302, { location: to }).end();
    return true;
  });
}

export function compress(path: string): Misbehaviour {
  return on(path, (_request, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(Buffer.alloc(10));
    return true;
  });
}

/** Sends the whole file where a part was asked for, and says so. */
export function sendWhole(path: string): Misbehaviour {
  return on(path, (_request, response, file) => {
    if (file.bytes === null) return false;
    response.writeHead(200, { 'content-length': file.bytes.length }).end(file.bytes);
    return true;
  });
}
