import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { requestShape } from '../../../protocol/request.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { patienceMs } from '../../support/world/wait.ts';
import { PageBox } from './page-box.ts';

async function started(change: (box: PageBox) => void = () => undefined): Promise<PageBox> {
  const box = new PageBox();
  change(box);
  await box.start();
  return box;
}

describe('a file that is sent to the page', () => {
  it('S13: is kept whole under a name of its own, and a request names it', async () => {
    const box = await started();
    const content = Buffer.alloc(3_000_000, 'bundle\r\n--x-boundary');
    expect((await box.install(box.pin, content)).status).toBe(303);
    const [request] = box.requests().map((found) => requestShape.parse(found));
    if (request?.kind !== 'install') throw new Error('no install was asked for');
    expect(box.uploads()).toEqual([expect.stringMatching(/^[0-9a-f-]{36}\.hfb$/)]);
    expect(request.file).toBe(join(box.layout.uploads, box.uploads()[0] ?? ''));
    expect(readFileSync(request.file).equals(content)).toBe(true);
  });

  it('is not kept when the PIN is wrong, and its sender learns so', async () => {
    const box = await started();
    const { status, text } = await box.install('00000000', Buffer.alloc(3_000_000));
    expect(status).toBe(403);
    expect(text).toContain('The PIN is wrong');
    expect([box.uploads(), box.requests()]).toEqual([[], []]);
  });

  it('before its PIN is not kept', async () => {
    const box = await started();
    const body = '--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc\r\n--b--';
    const headers = { 'content-type': 'multipart/form-data; boundary=b' };
    expect((await box.ask({ method: 'POST', path: '/install', body, headers })).status).toBe(403);
    expect(box.uploads()).toEqual([]);
  });

  it('that is empty is refused', async () => {
    const box = await started();
    const { status, text } = await box.install(box.pin, '');
    expect(status).toBe(413);
    expect(text).toContain('Choose a bundle');
    expect([box.uploads(), box.requests()]).toEqual([[], []]);
  });

  it('that has no room on the disk is refused, and leaves nothing', async () => {
    const box = await started((made) => {
      made.files = { ...realFiles, freeBytes: () => 64 * 1024 * 1024 + 1_000_000 };
    });
    const { status, text } = await box.install(box.pin, Buffer.alloc(2_000_000));
    expect(status).toBe(413);
    expect(text).toContain('larger than the 1 MB');
    expect([box.uploads(), box.requests()]).toEqual([[], []]);
    expect((await box.install(box.pin, Buffer.alloc(900_000, 1))).status).toBe(303);
  });

  it('S31: is refused on a full disk with a clear text', async () => {
    const box = await started((made) => {
      made.files = { ...realFiles, freeBytes: () => 0 };
    });
    const { status, text } = await box.install(box.pin, 'bundle');
    expect(status).toBe(413);
    expect(text).toContain('no room');
  });

  it('is refused while four wait to be installed', async () => {
    const box = await started();
    for (let i = 0; i < 4; i += 1) expect((await box.install(box.pin, `bundle ${i}`)).status).toBe(303);
    const { status, text } = await box.install(box.pin, 'one more');
    expect(status).toBe(413);
    expect(text).toContain('4 files wait');
    expect(box.uploads()).toHaveLength(4);
  });

  it('that the disk does not take is refused, and leaves nothing', async () => {
    const box = await started((made) => {
      let writes = 0;
      made.files = {
        ...realFiles,
        write: (handle, bytes, position) => {
          writes += 1;
          // The first two are the count of the PIN's tries.
          if (writes > 3) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO', syscall: 'write' });
          realFiles.write(handle, bytes, position);
        },
      };
    });
    const { status, text } = await box.install(box.pin, Buffer.alloc(1_000_000));
    expect(status).toBe(503);
    expect(text).toContain('EIO');
    expect([box.uploads(), box.requests()]).toEqual([[], []]);
  });

  it('whose sender goes away leaves nothing, and does not block the next', async () => {
    const box = await started();
    const head = `--b\r\ncontent-disposition: form-data; name="pin"\r\n\r\n${box.pin}\r\n--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n`;
    const socket = connect(box.port, '127.0.0.1');
    socket.write(
      `POST /install HTTP/1.1\r\nhost: 127.0.0.1:${box.port}\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 100000\r\n\r\n${head}${'x'.repeat(10_000)}`,
    );
    await vi.waitFor(() => expect(box.uploads()).toEqual([expect.stringMatching(/\.part$/)]), { timeout: patienceMs });
    expect((await box.install(box.pin, 'in between')).status).toBe(409);
    expect(box.uploads()).toHaveLength(1);
    socket.destroy();
    await vi.waitFor(() => expect(box.uploads()).toEqual([]), { timeout: patienceMs });
    expect((await box.install(box.pin, 'the next')).status).toBe(303);
  });

  it('that is no form is refused', async () => {
    const box = await started();
    const headers = { 'content-type': 'application/octet-stream' };
    expect((await box.ask({ method: 'POST', path: '/install', body: 'bundle', headers })).status).toBe(400);
  });

  it('twice in one form is refused whole', async () => {
    const box = await started();
    const part = (head: string, content: string) =>
      `--b\r\ncontent-disposition: form-data; ${head}\r\n\r\n${content}\r\n`;
    const body = `${part('name="pin"', box.pin)}${part('name="file"; filename="a"', 'a')}${part('name="file"; filename="b"', 'b')}--b--`;
    const headers = { 'content-type': 'multipart/form-data; boundary=b' };
    expect((await box.ask({ method: 'POST', path: '/install', body, headers })).status).toBe(400);
    expect([box.uploads(), box.requests()]).toEqual([[], []]);
  });
});

describe('what a page before this one left', () => {
  it('is removed at the start, except what a request waits for', async () => {
    const id = '0f8fad5b-d9cb-469f-a165-708677289500';
    const box = await started(({ layout }) => {
      const file = join(layout.uploads, `${id}.hfb`);
      writeFileSync(file, 'waits');
      writeFileSync(join(layout.uploads, 'half.part'), 'half');
      mkdirSync(join(layout.uploads, 'odd'));
      writeFileSync(join(layout.requests, `${id}.json`), JSON.stringify({ v: 1, id, kind: 'install', file }));
    });
    expect(box.uploads()).toEqual([`${id}.hfb`]);
  });
});
