import type { Row } from 'holdfast/agent';

/**
 * Sends rows to the collector, which knows each by its number: a row that is sent a second time is the same row.
 * @throws when the collector did not take them
 */
export async function send(url: string, rows: readonly Row[], signal: AbortSignal): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ rows }),
    signal,
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`the collector answered with status ${response.status}`);
}
