import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDatabase } from '../../../server-lite/store/database.ts';
import { rolledBackOf } from '../../../server-lite/store/rolled-back.ts';
import { TestServer } from '../../support/test-server.ts';

describe('releases that an appliance left', () => {
  it('are known of the newest, and of every appliance by itself', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.49');
    const [alpha, beta] = [(await bench.appliance('alpha')).id, (await bench.appliance('beta')).id];
    await bench.stop();
    const db = openDatabase(join(bench.data, 'server.db'));
    const rolledBack = rolledBackOf(db);
    const manifest = (i: number) => `${i}`.padStart(64, '0');
    rolledBack.note(beta, manifest(0), 'stalled', 0);
    for (let i = 0; i < 200; i += 1) rolledBack.note(alpha, manifest(i), 'crash-loop', i);
    const known = Array.from({ length: 200 }, (_, i) => rolledBack.reasonOf(alpha, manifest(i)) !== null);
    expect(known.filter(Boolean)).toHaveLength(32);
    expect(known.slice(-32)).not.toContain(false);
    expect(rolledBack.reasonOf(beta, manifest(0))).toBe('stalled');
    db.close();
  });
});
