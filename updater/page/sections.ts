import { evidenceLines, evidenceSummary } from '../../protocol/evidence.ts';
import { type Html, html } from '../../protocol/html.ts';
import type { Status, TransactionLine } from '../../protocol/status.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import { nounOf } from '../words/component-words.ts';
import { pageWords } from '../words/texts.ts';

/** What a section needs besides the status. */
export interface Present {
  readonly boot: string;
  readonly monoMs: number;
}

/** A time span as people say it. */
export function span(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 2 * 60 * 60_000) return pageWords.minutes(Math.round(ms / 60_000));
  return ms < 48 * 60 * 60_000 ? `${Math.round(ms / 3_600_000)} h` : pageWords.days(Math.round(ms / 86_400_000));
}

/** The appliance's own clock, which nothing relies on. */
function clockText(wallS: number): string {
  const limitS = 8_640_000_000_000; // the limit of a Date
  if (Math.abs(wallS) > limitS) return pageWords.unknownTime;
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
      html`<tr><td>${nounOf(slot.component)}</td><td>${slot.slot}</td><td><strong>${slot.version ?? '–'}</strong></td><td class="role ${wordOf(slot.role).replaceAll(' ', '-')}">${wordOf(slot.role)}</td></tr>`,
  );
  return section(
    pageWords.versions,
    html`<table><thead><tr><th>${pageWords.part}</th><th>${pageWords.slot}</th><th>${pageWords.version}</th><th>${pageWords.role}</th></tr></thead><tbody>${rows}</tbody></table>`,
  );
}

function exitText({ lastExit }: Status['agent']): string {
  if (lastExit === null) return pageWords.noneSeen;
  return lastExit.signal === null
    ? pageWords.exitStatus(lastExit.code ?? pageWords.unknown)
    : pageWords.exitSignal(lastExit.signal);
}

export function agentSection({ agent }: Status): Html {
  const state = agent.alive
    ? pageWords.runs(agent.pid === null ? '' : pageWords.process(agent.pid))
    : pageWords.doesNotRun;
  const checks = Object.entries(agent.checks).map(
    ([name, status]) => html`<span class="check ${wordOf(status)}">${name}: ${wordOf(status)}</span> `,
  );
  const told = (agent.told ?? []).map((sentence) => html`<div>${sentence}</div>`);
  const output = agent.lastOutput === '' ? null : html`<p>${pageWords.lastWrote}</p><pre>${agent.lastOutput}</pre>`;
  return section(
    pageWords.agent,
    html`${facts([
      [pageWords.state, state],
      [pageWords.version, agent.version ?? pageWords.versionNotKnown],
      [pageWords.crashes, agent.crashes === 0 ? pageWords.noneSeen : String(agent.crashes)],
      [pageWords.lastExit, exitText(agent)],
      [pageWords.checks, checks.length === 0 ? pageWords.notKnown : html`${checks}`],
      ...(told.length === 0 ? [] : [[pageWords.told, html`${told}`] as const]),
    ])}${output}`,
  );
}

function lastAnswer({ checkIn }: Status, present: Present): string {
  const { last } = checkIn;
  if (last === null) return pageWords.noneYet;
  if (last.boot === present.boot) return pageWords.ago(span(Math.max(0, present.monoMs - last.monoMs)));
  return pageWords.beforeStart(clockText(last.wallS));
}

export function checkInSection(status: Status, present: Present): Html {
  const { error, nextInS } = status.checkIn;
  const { release, reasons } = status.desired ?? { release: null, reasons: [] };
  const trouble =
    error === null
      ? null
      : html`<p class="trouble"><strong>${pageWords.lastTryFailed}</strong> ${error.message} <em>${error.next}</em> <small>(${error.code})</small></p>`;
  return section(
    pageWords.server,
    html`${trouble}${facts([
      [pageWords.address, status.server ?? pageWords.noServer],
      [pageWords.lastAnswer, lastAnswer(status, present)],
      [pageWords.nextTry, nextInS === null ? pageWords.whenUpdaterRuns : pageWords.every(span(nextInS * 1000))],
      [
        pageWords.wanted,
        release === null ? pageWords.nothingNew : `${nounOf(wordOf(release.component))} ${release.version}`,
      ],
      ...(reasons.length === 0 ? [] : [[pageWords.why, reasons.join(' · ')] as const]),
    ])}`,
  );
}

export function trialSection({ trial }: Status): Html | null {
  if (trial === null) return null;
  const { seen, of } = trial.waits ?? { seen: 0, of: 0 };
  const waits = of === 0 ? '' : pageWords.waitsForServer(Math.min(seen, of), of);
  return section(
    pageWords.trial,
    html`<p>${pageWords.healthyFor(span(trial.healthyMs), span(trial.needMs), waits, span(trial.leftMs))}</p><progress max="${Math.max(1, trial.needMs)}" value="${trial.healthyMs}">${pageWords.partOf(trial.healthyMs, trial.needMs)}</progress>`,
  );
}

export function quarantineSection({ quarantine }: Status): Html | null {
  if (quarantine.length === 0) return null;
  const lines = quarantine.map(
    (entry) =>
      html`<li><strong>${entry.version}</strong> ${pageWords.notTakenAgain(entry.reason === 'by hand' ? pageWords.wentBack : entry.verdict)}</li>`,
  );
  return section(pageWords.quarantine, html`<ul>${lines}</ul>`);
}

export function evidenceSection({ evidence }: Status): Html | null {
  if (evidence === undefined) return null;
  const { version, seen } = evidence;
  const lines = evidenceLines(seen).map((line) => html`<li>${line}</li>`);
  const output = seen.output === '' ? null : html`<pre>${seen.output}</pre>`;
  return section(pageWords.failedTrial, html`<p>${version}: ${evidenceSummary(seen)}</p><ul>${lines}</ul>${output}`);
}

export function sourcesSection({ sources, server }: Status): Html {
  if (sources === undefined) return section(pageWords.networkPath, html`<p>${pageWords.onlyServer}</p>`);
  const { releases, proxy, pinned, rateBytesPerS, answered } = sources;
  const list = [...releases.map(({ name, url }) => `${name}: ${url}`), pageWords.serverAt(server ?? pageWords.none)];
  return section(
    pageWords.networkPath,
    html`${answered ? null : html`<p class="trouble">${pageWords.noAnswerYet}</p>`}${facts([
      [pageWords.releasesFrom, list.join(' · ')],
      [pageWords.proxy, proxy ?? pageWords.none],
      [pageWords.keys, pinned ? pageWords.onlyPinned : pageWords.anyTrusted],
      [pageWords.rate, rateBytesPerS === null ? pageWords.noLimit : `${Math.round(rateBytesPerS / 1000)} kB/s`],
      [pageWords.setBy, wordOf(sources.origin)],
    ])}`,
  );
}

export function sticksSection({ sticks = [] }: Status): Html | null {
  if (sticks.length === 0) return null;
  const lines = sticks.map(({ path, text }) => html`<li><code>${path}</code><br>${text}</li>`);
  return section(pageWords.onStick, html`<ul>${lines}</ul>`);
}

function durations({ fetchedMs, downMs, revertedMs }: TransactionLine): string {
  const parts = [
    fetchedMs === null ? null : pageWords.fetchedIn(span(fetchedMs)),
    downMs === null ? null : pageWords.downFor(span(downMs)),
    revertedMs === null ? null : pageWords.backIn(span(revertedMs)),
  ];
  return parts.filter((part) => part !== null).join(', ');
}

export function transactionsSection({ transactions }: Status): Html {
  if (transactions.length === 0) return section(pageWords.whatHappened, html`<p>${pageWords.nothingInstalled}</p>`);
  // The newest first, whatever the order in the status.
  const lines = [...transactions]
    .sort((a, b) => b.tx - a.tx)
    .map(
      (line) =>
        html`<li><strong>${nounOf(line.component)} ${line.from} → ${line.to}: ${wordOf(line.outcome)}</strong><br>${line.text}<br><small>${[durations(line), clockText(line.wallS)].filter((part) => part !== '').join(' · ')}</small></li>`,
    );
  return section(pageWords.whatHappened, html`<ul>${lines}</ul>`);
}

export function applianceSection(status: Status): Html {
  const { settings, updater, floor } = status;
  return section(
    pageWords.appliance,
    facts([
      [pageWords.name, status.name],
      [pageWords.id, status.appliance ?? pageWords.noId],
      [pageWords.updater, pageWords.updaterSeparated(updater.version, wordOf(updater.isolation))],
      [pageWords.floorLabel, pageWords.floor(floor.app, floor.updater)],
      [
        pageWords.trialsLabel,
        pageWords.trials(
          span(settings.trialHealthyMs),
          span(settings.trialDeadlineMs),
          settings.shortened ? pageWords.shortened : '',
        ),
      ],
    ]),
  );
}
