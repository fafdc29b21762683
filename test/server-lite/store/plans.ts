import Database from 'better-sqlite3';
import { z } from 'zod';

/**
 * Tables that may be read whole: each grows with the fleet or with what operators publish, and by no event, order or time.
 * Any other one grows, and is only looked into by an index.
 */
export const boundedTables: Readonly<Record<string, string>> = {
  settings: 'single values',
  appliances: 'one row an appliance',
  keys: 'a few rows an appliance',
  acknowledged: 'two rows an appliance',
  appliance_news: 'one row an appliance',
  failed_releases: 'at most eight rows an appliance',
  event_tallies: 'at most twelve rows an appliance',
  releases: 'one row a published release',
  rollouts: 'one row a started rollout',
  clones: 'one row an appliance, while it has an alarm',
  assignments: 'one row an appliance and component',
};

const planShape = z.array(z.object({ detail: z.string() }));

/** Collects the text of every statement that is prepared in this process until it is disposed. */
export function collectStatements(): Disposable & { readonly sql: ReadonlySet<string> } {
  const { prepare } = Database.prototype;
  const sql = new Set<string>();
  Database.prototype.prepare = function collecting(this: Database.Database, text: string) {
    sql.add(text);
    return prepare.call(this, text);
  } as typeof prepare;
  return {
    sql,
    [Symbol.dispose]: () => {
      Database.prototype.prepare = prepare;
    },
  };
}

/** Any value for each parameter: a plan does not depend on it. */
function bound(sql: string): (object | null)[] {
  const names = [...sql.matchAll(/@(\w+)/g)].map(([, name]) => [name, null] as const);
  const unnamed = Array.from(sql.matchAll(/\?/g), () => null);
  return names.length === 0 ? unnamed : [Object.fromEntries(names), ...unnamed];
}

/** The steps of a statement that read a whole table which grows. */
export function scansOf(db: Database.Database, sql: string): string[] {
  if (!/^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b/i.test(sql)) return [];
  const aliases = new Map(
    [
      ...sql.matchAll(
        /\b(?:FROM|JOIN|UPDATE|INTO)\s+(\w+)(?:\s+AS)?(?:\s+(?!WHERE|ON|SET|ORDER|GROUP|LIMIT|JOIN|VALUES)(\w+))?/gi,
      ),
    ].flatMap(
      ([, table = '', alias]) =>
        [[table, table], ...(alias === undefined ? [] : [[alias, table]])] as [string, string][],
    ),
  );
  return planShape.parse(db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...bound(sql))).flatMap(({ detail }) => {
    // An index that is made for one statement is made from the whole table.
    const name = /^(?:SCAN|SEARCH(?= \w+ USING AUTOMATIC)) (\w+)/.exec(detail)?.[1];
    if (name === undefined || name === 'CONSTANT') return [];
    const table = aliases.get(name) ?? name;
    return Object.hasOwn(boundedTables, table) ? [] : [`${detail}: ${sql.replace(/\s+/g, ' ')}`];
  });
}
