import { createServer, type Socket } from 'node:net';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { healthBytesMax, healthTimeoutMs } from '../../../protocol/health.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { readCounting, readHealth } from '../../../updater/watch/agent-health.ts';
import { soonerThan } from '../../support/sooner.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';

const answer = {
  proto: 1,
  nonce: 'a'.repeat(64),
  version: '1.0.52',
  progress: 7,
  state: { schema: 1, migrated: true },
  checks: { disk: 'ok' },
  server: 'ok',
};

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
});

/** What listens in the agent's place. */
async function listen(serve: (socket: Socket) => void): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(layout.agentSocket, resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
}

describe('the health of the agent', () => {
  it('is read as it was written, in parts or whole', async () => {
    await listen((socket) => {
      const text = JSON.stringify(answer);
      socket.write(text.slice(0, 20));
      setImmediate(() => socket.end(text.slice(20)));
    });
    expect(await readHealth(layout.agentSocket)).toEqual({ answer: { ...answer, inhibit: null } });
  });

  it('is read from a newer agent, which says more', async () => {
    await listen((socket) => socket.end(JSON.stringify({ ...answer, mood: 'good', checks: { disk: 'superb' } })));
    expect(await readHealth(layout.agentSocket)).toMatchObject({
      answer: { checks: { disk: { kind: 'unknown', raw: 'superb' } } },
    });
  });

  it('is missing when nothing listens', async () => {
    expect(await readHealth(layout.agentSocket)).toEqual({ answer: null, why: 'no-socket' });
  });

  it('is missing when the connection breaks', async () => {
    await listen((socket) => socket.destroy());
    expect(await readHealth(layout.agentSocket)).toMatchObject({ answer: null });
  });

  it.each([
    ['nothing', ''],
    ['not JSON', 'OK'],
    ['half of it', JSON.stringify(answer).slice(0, 50)],
    ['another shape', '{"status":"green"}'],
    ['another version string', JSON.stringify({ ...answer, version: 'v1' })],
    [
      'more checks than it may',
      JSON.stringify({ ...answer, checks: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`c${i}`, 'ok'])) }),
    ],
  ])('is malformed when it is %s', async (_what, text) => {
    await listen((socket) => socket.end(text));
    expect(await readHealth(layout.agentSocket)).toEqual({ answer: null, why: 'malformed' });
  });

  it('is given up after its time when a byte comes now and then', async () => {
    await listen((socket) => {
      const timer = setInterval(() => socket.write(' '), 100);
      socket.on('close', () => clearInterval(timer));
    });
    expect(await readHealth(layout.agentSocket)).toEqual({ answer: null, why: 'timeout' });
  });

  it('is given up after its bytes when it does not end', async () => {
    let sent = 0;
    await listen((socket) => {
      const block = Buffer.alloc(64 * 1024, 'x');
      const more = () => {
        while (!socket.destroyed && sent < 1024 ** 3) {
          sent += block.length;
          if (!socket.write(block)) return void socket.once('drain', more);
        }
      };
      more();
    });
    expect(await readHealth(layout.agentSocket)).toEqual({ answer: null, why: 'too-large' });
    expect(sent).toBeLessThan(64 * healthBytesMax);
  });
});

describe('a counter', () => {
  /** Answers as an agent whose counter this is. */
  const counting = (progress: () => number) =>
    listen((socket) => socket.end(JSON.stringify({ ...answer, progress: progress() })));

  it('that moves with every answer is told from work, by how much', async () => {
    let answers = 0;
    await counting(() => {
      answers += 3;
      return answers;
    });
    const { reading, movedByAsking } = await readCounting({ files: realFiles, layout, settings: { agentUser: null } });
    expect([reading.answer?.progress, movedByAsking]).toEqual([3, 12]);
  });

  it('that does not move, or once in a while, is not', async () => {
    let answers = 0;
    await counting(() => {
      answers += 1;
      return answers < 3 ? 7 : 8;
    });
    expect((await readCounting({ files: realFiles, layout, settings: { agentUser: null } })).movedByAsking).toBe(0);
  });

  it('of another start, and one that takes its time, is not waited for', async () => {
    let answers = 0;
    await listen((socket) => {
      answers += 1;
      if (answers === 1) socket.end(JSON.stringify(answer));
    });
    const counting = await soonerThan(healthTimeoutMs, () =>
      readCounting({ files: realFiles, layout, settings: { agentUser: null } }),
    );
    expect(counting).toMatchObject({ movedByAsking: 0 });
  });
});
