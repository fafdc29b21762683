import { type Misbehaviour, rangeOf, sendFile } from './release-server.ts';

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

/** Has another file under this name. */
export function sendOther(path: string, bytes: Buffer): Misbehaviour {
  return on(path, (request, response) => {
    sendFile(request, response, bytes);
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

/** Says that it sends more than it does. */
export function sayWrongLength(path: string): Misbehaviour {
  return on(path, (request, response, file) => {
    if (file.bytes === null) return false;
    const range = rangeOf(request, file.bytes.length) ?? { from: 0, to: file.bytes.length - 1 };
    const part = file.bytes.subarray(range.from, range.to + 1);
    response.writeHead(206, {
      'content-length': part.length + 10,
      'content-range': `bytes ${range.from}-${range.to}/${file.bytes.length}`,
    });
    response.write(part);
    setImmediate(() => response.destroy());
    return true;
  });
}

/** Never stops. */
export function sendWithoutEnd(path: string): Misbehaviour {
  return on(path, (request, response, file) => {
    const size = file.bytes?.length ?? 0;
    const range = rangeOf(request, size);
    if (range === null) response.writeHead(200);
    else response.writeHead(206, { 'content-range': `bytes ${range.from}-${range.to}/${size}` });
    const piece = Buffer.alloc(64 * 1024);
    const more = () => {
      while (!response.destroyed && response.write(piece));
    };
    response.on('drain', more);
    more();
    return true;
  });
}

/** After the first two requests (what comes before the frames, and the end), it is another file of the same size. */
export function changeHalfWay(path: string): Misbehaviour {
  let asked = 0;
  return on(path, (request, response, file) => {
    if (file.bytes === null) return false;
    asked += 1;
    const changed = Buffer.from(file.bytes);
    if (asked > 2) for (let at = 0; at < changed.length; at += 997) changed[at] = (changed[at] ?? 0) ^ 0xff;
    sendFile(request, response, changed);
    return true;
  });
}

/** RFC 9110 section 15.5.17. */
export function refuseRange(path: string): Misbehaviour {
  return on(path, (_request, response, file) => {
    response.writeHead(416, { 'content-range': `bytes */${file.bytes?.length ?? 0}` }).end();
    return true;
  });
}

/** The connection is gone, before a word or in the middle of a body. */
export function reset(path: string, afterBytes: number | null): Misbehaviour {
  return on(path, (request, response, file) => {
    if (afterBytes === null || file.bytes === null) {
      request.socket.resetAndDestroy();
      return true;
    }
    const range = rangeOf(request, file.bytes.length) ?? { from: 0, to: file.bytes.length - 1 };
    response.writeHead(206, { 'content-range': `bytes ${range.from}-${range.to}/${file.bytes.length}` });
    response.write(file.bytes.subarray(range.from, range.from + afterBytes));
    setImmediate(() => request.socket.resetAndDestroy());
    return true;
  });
}
