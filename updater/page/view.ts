import { Html, html } from '../../protocol/html.ts';
import type { Status } from '../../protocol/status.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import { ageWord } from '../words/age-word.ts';
import { pageWords } from '../words/texts.ts';
import { type Reading, statusOf } from './read-status.ts';
import {
  agentSection,
  applianceSection,
  checkInSection,
  evidenceSection,
  type Present,
  quarantineSection,
  slotsSection,
  sourcesSection,
  span,
  sticksSection,
  transactionsSection,
  trialSection,
} from './sections.ts';
import { script, style } from './style.ts';

/** What a person is told about their last action. */
export interface Notice {
  readonly kind: 'done' | 'waiting' | 'refused';
  readonly sentence: string;
}

export interface View {
  readonly reading: Reading;
  readonly present: Present;
  readonly notice: Notice | null;
  readonly hasPin: boolean;
  /** A new one for each answer: only what carries it may run or style the page. */
  readonly nonce: string;
}

const words: Readonly<Record<string, string>> = pageWords.verdicts;

function verdict(reading: Reading): Html {
  if (reading.kind !== 'known') {
    return html`<header id="verdict" class="unknown"><p class="word">${pageWords.verdicts.unknown}</p><h1>${pageWords.notKnownNow}</h1><p>${reading.why} ${pageWords.actionsStillWork}</p></header>`;
  }
  const { status, ageMs } = reading;
  const known = wordOf(status.verdict.word);
  const word = words[known] === undefined ? 'unknown' : known;
  const why = status.why === status.verdict.sentence ? null : html`<p>${status.why}</p>`;
  const notices = (status.notices ?? []).map((text) => html`<p class="trouble">${text}</p>`);
  return html`<header id="verdict" class="${word}"><p class="word">${words[word] ?? ''}</p><h1>${status.verdict.sentence}</h1>${why}${notices}<p>${pageWords.asOf(status.name, span(ageMs))}</p></header>`;
}

function state(reading: Reading, present: Present): Html {
  const status = statusOf(reading);
  if (status === null) return html`<div id="state"></div>`;
  const old = reading.kind === 'old' ? html`<p class="trouble">${reading.why}</p>` : null;
  return html`<div id="state">${old}${trialSection(status)}<div class="columns"><div>${slotsSection(status)}${quarantineSection(status)}${evidenceSection(status)}${sticksSection(status)}${agentSection(status)}</div><div>${checkInSection(status, present)}${sourcesSection(status)}${transactionsSection(status)}${applianceSection(status)}</div></div></div>`;
}

const pinField = html`<label>${pageWords.pin} <input name="pin" type="password" inputmode="numeric" autocomplete="off" required maxlength="64"></label>`;

function retryChoice(status: Status | null): Html {
  const entries = status?.quarantine ?? [];
  if (entries.length === 0) return html``;
  // The first is what is chosen: the newest that failed its trial, before what a person left on purpose.
  const [byHand, failed] = [true, false].map((isByHand) =>
    entries.filter(({ reason }) => (reason === 'by hand') === isByHand).reverse(),
  );
  const options = [...(failed ?? []), ...(byHand ?? [])].map(
    (entry) => html`<option value="${entry.manifest}">${entry.version} (${entry.verdict})</option>`,
  );
  return html`<label>${pageWords.release} <select name="manifest">${options}</select></label>`;
}

function previousOf(status: Status | null): string {
  const slot = status?.slots.find((entry) => entry.component === 'app' && wordOf(entry.role) === 'previous');
  return slot?.version === null || slot === undefined ? pageWords.versionBefore : pageWords.versionOf(slot.version);
}

function action(path: string, title: string, text: string, fields: Html, button: string): Html {
  return html`<form method="post" action="${path}"><h3>${title}</h3><p>${text}</p>${fields}${pinField}<button>${button}</button></form>`;
}

/** A refusal that can be foreseen is shown before anybody asks; the updater decides when they do. */
function goBack(status: Status | null): Html {
  const text = status?.back?.refused?.text ?? pageWords.goesBack(previousOf(status));
  const { data, version, manifest } = status?.back ?? {};
  // The form is for the version that it names, however long it stays open: the updater refuses any other.
  const shown = manifest == null ? null : html`<input name="manifest" type="hidden" value="${manifest}">`;
  const to = version == null ? '' : pageWords.toVersion(version);
  if (data === undefined) return action('/rollback', pageWords.goBack, text, html`${shown}`, pageWords.goBackTo(to));
  const age = ageWord(data.ageH);
  const fields = html`${shown}<input name="tx" type="hidden" value="${data.tx}"><label>${pageWords.ageOfData} <input name="age" required autocomplete="off" maxlength="10" placeholder="${pageWords.asShownAbove}"></label>`;
  return action('/rollback', pageWords.goBack, text, fields, pageWords.goBackToData(to, age));
}

const pinNote = pageWords.pinNote;
const noPinNote = pageWords.noPinNote;

function actions(status: Status | null, hasPin: boolean): Html {
  // The PIN comes before the file: it is checked before a byte of the file is kept.
  const install = html`<form method="post" action="/install" enctype="multipart/form-data"><h3>${pageWords.installFromFile}</h3><p>${pageWords.installFromFileText}</p>${pinField}<label>${pageWords.bundle} <input name="file" type="file" accept=".hfb" required></label><button>${pageWords.install}</button></form>`;
  return html`<section><h2>${pageWords.whatYouCanDo}</h2><p class="${hasPin ? 'note' : 'trouble'}">${hasPin ? pinNote : noPinNote}</p><div class="actions">${action('/check', pageWords.lookNow, pageWords.lookNowText, html``, pageWords.lookNow)}${action('/retry', pageWords.tryAgain, pageWords.tryAgainText, retryChoice(status), pageWords.tryAgain)}${goBack(status)}${install}${networkForm(status)}</div></section>`;
}

/** What the form shows, and hidden fields with what it showed: a field that nobody changed is not written back. */
function networkForm(status: Status | null): Html {
  const set = status?.sources;
  const rate = set?.rateBytesPerS == null ? '' : String(Math.round(set.rateBytesPerS / 1000));
  const cache = set?.releases.find(({ kind }) => wordOf(kind) === 'cache');
  const others = set?.releases.filter((one) => one !== cache).map((one) => ({ ...one, kind: wordOf(one.kind) })) ?? [];
  const shown = (name: string, value: string) => html`<input name="shown-${name}" type="hidden" value="${value}">`;
  const fields = html`<label>${pageWords.cache} <input name="cache" type="url" placeholder="http://cache.site:8080/releases" value="${cache?.url ?? ''}" maxlength="300"></label>${shown('cache', cache?.url ?? '')}<label>${pageWords.proxy} <input name="proxy" type="url" placeholder="http://proxy.site:3128" value="${set?.proxy ?? ''}" maxlength="300"></label>${shown('proxy', set?.proxy ?? '')}<label>${pageWords.rateUnit} <input name="rate" inputmode="numeric" value="${rate}" maxlength="9"></label>${shown('rate', rate)}${shown('others', JSON.stringify(others))}${status?.sourcesShown === undefined ? null : shown('all', status.sourcesShown)}`;
  const text = pageWords.networkPathText;
  return action('/set-sources', pageWords.networkPath, text, fields, pageWords.set);
}

function noticeOf(notice: Notice | null): Html {
  if (notice === null) return html`<div id="notice"></div>`;
  // A refusal stays until the next action; other notices follow the updater.
  const keep = notice.kind === 'refused' ? new Html(' data-keep="yes"') : null;
  return html`<div id="notice"${keep} role="status"><p class="notice ${notice.kind}">${notice.sentence}</p></div>`;
}

/** The whole page. */
export function renderPage({ reading, present, notice, nonce, hasPin }: View): string {
  const status = statusOf(reading);
  const title = status?.name ? `${status.name} · Holdfast` : 'Holdfast';
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title><link rel="icon" href="data:,"><style nonce="${nonce}">${new Html(style)}</style></head>
<body>${verdict(reading)}<main><p id="lost" class="trouble"><strong>${pageWords.noAnswer}</strong> ${pageWords.noAnswerMeans}</p>${noticeOf(notice)}${state(reading, present)}${actions(status, hasPin)}<p class="note"><a href="/">${pageWords.loadAgain}</a> · <a href="/status.json">${pageWords.sameForPrograms}</a></p></main><script nonce="${nonce}">${new Html(script)}</script></body></html>
`;
  return page.markup;
}
