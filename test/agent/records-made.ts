import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentCredentials } from '../../protocol/claim.ts';
import type { Start } from '../../protocol/health.ts';
import { type Layout, layoutOf } from '../../protocol/layout.ts';
import { privateKeyToPem } from '../../protocol/trust/ed25519.ts';
import type { ApplianceClient } from '../support/appliance-client.ts';
import { readOnlyDatabase } from '../support/read-only-database.ts';
import type { TestServer } from '../support/test-server.ts';

/** An agent's data partition that a real server has enrolled, and the records on both sides. */
export class RecordsMade {
  readonly layout: Layout;
  readonly start: Start;
  readonly #bench: TestServer;
  readonly #client: ApplianceClient;

  private constructor(bench: TestServer, client: ApplianceClient, layout: Layout) {
    this.#bench = bench;
    this.#client = client;
    this.layout = layout;
    const stateDir = layout.agent;
    this.start = { nonce: 'ab'.repeat(32), slot: '0', manifest: 'cd'.repeat(32), version: '1.0.49', stateDir };
  }

  static async enrol(bench: TestServer, root: string, settings: object): Promise<RecordsMade> {
    await bench.publish('1.0.49');
    const client = await bench.appliance('alpha');
    const layout = layoutOf(root);
    const launched = layout.launchedComponent('app');
    for (const directory of [layout.agentKeys, layout.agentRun, launched]) mkdirSync(directory, { recursive: true });
    const made = new RecordsMade(bench, client, layout);
    made.writeCredentials();
    writeFileSync(layout.agentSettings, JSON.stringify(settings));
    writeFileSync(join(launched, 'start.json'), JSON.stringify(made.start));
    return made;
  }

  /** Where the server is now: a server of the tests has another port after each start. */
  writeCredentials(): void {
    const { id, answerKeys, keys } = this.#client;
    const credentials: AgentCredentials = {
      appliance: id,
      url: this.#bench.url,
      answerKeys: [...answerKeys],
      privateKey: privateKeyToPem(keys.agent.privateKey),
    };
    writeFileSync(this.layout.agentCredentials, JSON.stringify(credentials), { mode: 0o600 });
  }

  /** Records in the outbox, and those of them that the server has not acknowledged. */
  counts(): { readonly made: number; readonly left: number } {
    const sql = 'SELECT count(*) AS made, total(acked = 0) AS left FROM events WHERE record IS NOT NULL';
    const [counts] = rowsIn<{ made: number; left: number }>(this.layout.outboxDb, sql);
    return counts ?? { made: 0, left: 0 };
  }

  /** The names of all records that the agent made, and those in the server's database, each as often as it is there. */
  names(): { readonly made: string[]; readonly stored: string[] } {
    const made = rowsIn<{ name: string }>(
      this.layout.outboxDb,
      'SELECT record AS name FROM events WHERE record IS NOT NULL ORDER BY name',
    );
    const stored = rowsIn<{ name: string }>(
      join(this.#bench.data, 'server.db'),
      "SELECT json_extract(body, '$.record.name') AS name FROM events WHERE kind = 'record' ORDER BY name",
    );
    return { made: made.map(({ name }) => name), stored: stored.map(({ name }) => name) };
  }
}

function rowsIn<Row>(path: string, sql: string): Row[] {
  const database = readOnlyDatabase(path);
  try {
    return database.prepare(sql).all() as Row[];
  } finally {
    database.close();
  }
}
