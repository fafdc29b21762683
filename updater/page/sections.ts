import { evidenceLines, evidenceSummary } from '../../protocol/evidence.ts';
import type { Status, TransactionLine } from '../../protocol/status.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import { type Html, html } from './html.ts';

/** What a section needs beside the status. */
export interface Present {
  readonly boot: string;
  readonly monoMs: number;
}

const componentNames: Readonly<Record<string, string>> = { app: 'agent', updater: 'updater', os: 'system' };

/** A component of the future has the name that the server gave it. */
function nameOf(component: string): string {
  return componentNames[component] ?? component;
}

/** A span of time as people say it. */
export function span(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 2 * 60 * 60_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 48 * 60 * 60_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} days`;
}

/** The appliance's own clock, which nothing relies on. */
function clockText(wallS: number): string {
  const limitS = 8_640_000_000_000; // of what a Date can hold
  if (Math.abs(wallS) > limitS) return 'unknown time';
  return `${new Date(wallS * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function section(title: string, body: Html): Html {
  return html`<section><h2>${title}</h2>${body}</section>`;
}

function facts(rows: readonly (readonly [string, Html | string])[]): Html {
  return html`<dl>${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

export function slotsSection({ slots }: Status): Html {
  const rows = slots.map(
    (slot) =>
      html`<tr><td>${nameOf(slot.component)}</td><td>${slot.slot}</td><td><strong>${slot.version ?? '–'}</strong></td><td class="role ${wordOf(slot.role).replaceAll(' ', '-')}">${wordOf(slot.role)}</td></tr>`,
  );
  return section(
    'Versions',
    html`<table><thead><tr><th>Part</th><th>Slot</th><th>Version</th><th>Role</th></tr></thead><tbody>${rows}</tbody></table>`,
  );
}

function exitText({ lastExit }: Status['agent']): string {
  if (lastExit === null) return 'none seen';
  return lastExit.signal === null ? `status ${lastExit.code ?? 'unknown'}` : `signal ${lastExit.signal}`;
}

export function agentSection({ agent }: Status): Html {
  const state = agent.alive ? `runs${agent.pid === null ? '' : ` (process ${agent.pid})`}` : 'does not run';
  const checks = Object.entries(agent.checks).map(
    ([name, status]) => html`<span class="check ${wordOf(status)}">${name}: ${wordOf(status)}</span> `,
  );
  const output = agent.lastOutput === '' ? null : html`<p>What it last wrote:</p><pre>${agent.lastOutput}</pre>`;
  return section(
    'Agent',
    html`${facts([
      ['State', state],
      ['Version', agent.version ?? 'not known: it does not answer'],
      ['Crashes', agent.crashes === 0 ? 'none seen' : String(agent.crashes)],
      ['Last exit', exitText(agent)],
      ['Checks', checks.length === 0 ? 'not known' : html`${checks}`],
    ])}${output}`,
  );
}

function lastAnswer({ checkIn }: Status, present: Present): string {
  const { last } = checkIn;
  if (last === null) return 'none yet';
  if (last.boot === present.boot) return `${span(Math.max(0, present.monoMs - last.monoMs))} ago`;
  return `before the last start; how long ago is unknown (its clock said ${clockText(last.wallS)})`;
}

export function checkInSection(status: Status, present: Present): Html {
  const { error, nextInS } = status.checkIn;
  const { release, reasons } = status.desired ?? { release: null, reasons: [] };
  const trouble =
    error === null
      ? null
      : html`<p class="trouble"><strong>The last try failed:</strong> ${error.message} <em>${error.next}</em> <small>(${error.code})</small></p>`;
  return section(
    'Server',
    html`${trouble}${facts([
      ['Address', status.server ?? 'none: the appliance is not claimed'],
      ['Last answer', lastAnswer(status, present)],
      ['Next try', nextInS === null ? 'when the updater runs next' : `every ${span(nextInS * 1000)}`],
      ['Wanted', release === null ? 'nothing new' : `${nameOf(wordOf(release.component))} ${release.version}`],
      ...(reasons.length === 0 ? [] : [['Why', reasons.join(' · ')] as const]),
    ])}`,
  );
}

export function trialSection({ trial }: Status): Html | null {
  if (trial === null) return null;
  return section(
    'Trial',
    html`<p>Healthy for ${span(trial.healthyMs)} of the ${span(trial.needMs)} that it needs; ${span(trial.leftMs)} are left.</p><progress max="${Math.max(1, trial.needMs)}" value="${trial.healthyMs}">${trial.healthyMs} of ${trial.needMs}</progress>`,
  );
}

export function quarantineSection({ quarantine }: Status): Html | null {
  if (quarantine.length === 0) return null;
  const lines = quarantine.map(
    (entry) =>
      html`<li><strong>${entry.version}</strong> is not taken again by itself: ${entry.verdict} (${entry.reason})</li>`,
  );
  return section('Quarantine', html`<ul>${lines}</ul>`);
}

export function evidenceSection({ evidence }: Status): Html | null {
  if (evidence === undefined) return null;
  const { version, seen } = evidence;
  const lines = evidenceLines(seen).map((line) => html`<li>${line}</li>`);
  const output = seen.output === '' ? null : html`<pre>${seen.output}</pre>`;
  return section('The failed trial', html`<p>${version}: ${evidenceSummary(seen)}</p><ul>${lines}</ul>${output}`);
}

export function sourcesSection({ sources, server }: Status): Html {
  if (sources === undefined) return section('Way out', html`<p>Directly to the server; nothing else is set.</p>`);
  const { releases, proxy, pinned, rateBytesPerS, answered } = sources;
  const list = [...releases.map(({ name, url }) => `${name}: ${url}`), `server: ${server ?? 'none'}`];
  return section(
    'Way out',
    html`${answered ? null : html`<p class="trouble">These have not answered yet; the ones before are tried as well.</p>`}${facts(
      [
        ['Releases from', list.join(' · ')],
        ['Proxy', proxy ?? 'none'],
        ['Keys', pinned ? 'only pinned ones' : 'any trusted one'],
        ['Rate', rateBytesPerS === null ? 'no limit' : `${Math.round(rateBytesPerS / 1000)} kB/s`],
        ['Set by', wordOf(sources.origin)],
      ],
    )}`,
  );
}

export function sticksSection({ sticks = [] }: Status): Html | null {
  if (sticks.length === 0) return null;
  const lines = sticks.map(({ path, text }) => html`<li><code>${path}</code><br>${text}</li>`);
  return section('On a stick', html`<ul>${lines}</ul>`);
}

function durations({ fetchedMs, downMs, revertedMs }: TransactionLine): string {
  const parts = [
    fetchedMs === null ? null : `fetched in ${span(fetchedMs)}`,
    downMs === null ? null : `down for ${span(downMs)}`,
    revertedMs === null ? null : `back in ${span(revertedMs)}`,
  ];
  return parts.filter((part) => part !== null).join(', ');
}

export function transactionsSection({ transactions }: Status): Html {
  if (transactions.length === 0) return section('What happened', html`<p>Nothing was installed since the set-up.</p>`);
  // The newest first, whatever order they came in.
  const lines = [...transactions]
    .sort((a, b) => b.tx - a.tx)
    .map(
      (line) =>
        html`<li><strong>${nameOf(line.component)} ${line.from} → ${line.to}: ${wordOf(line.outcome)}</strong><br>${line.text}<br><small>${[durations(line), clockText(line.wallS)].filter((part) => part !== '').join(' · ')}</small></li>`,
    );
  return section('What happened', html`<ul>${lines}</ul>`);
}

export function applianceSection(status: Status): Html {
  const { settings, updater, floor } = status;
  return section(
    'Appliance',
    facts([
      ['Name', status.name],
      ['Id', status.appliance ?? 'none: it is not claimed'],
      ['Updater', `${updater.version}, separated by: ${wordOf(updater.isolation)}`],
      ['Floor', `agent ${floor.app}, updater ${floor.updater}`],
      [
        'Trials',
        `${span(settings.trialHealthyMs)} healthy within ${span(settings.trialDeadlineMs)}${settings.shortened ? ' (shortened by this appliance)' : ''}`,
      ],
    ]),
  );
}
