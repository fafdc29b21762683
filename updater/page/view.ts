import type { Status } from '../../protocol/status.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import { ageWord } from '../age-word.ts';
import { Html, html } from './html.ts';
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

/** What a person is told about what they have just done. */
export interface Notice {
  readonly kind: 'done' | 'waiting' | 'refused';
  readonly sentence: string;
}

export interface View {
  readonly reading: Reading;
  readonly present: Present;
  readonly notice: Notice | null;
  /** One for each answer: only what carries it may run or style the page. */
  readonly nonce: string;
}

const words: Readonly<Record<string, string>> = {
  ok: 'all right',
  updating: 'updating',
  trial: 'on trial',
  attention: 'needs attention',
  blocked: 'blocked',
  safe: 'safe mode',
  unknown: 'unknown',
};

function verdict(reading: Reading): Html {
  if (reading.kind !== 'known') {
    return html`<header id="verdict" class="unknown"><p class="word">unknown</p><h1>How this appliance is doing is not known.</h1><p>${reading.why} The actions below work all the same: the updater reads them when it runs.</p></header>`;
  }
  const { status, ageMs } = reading;
  const known = wordOf(status.verdict.word);
  const word = words[known] === undefined ? 'unknown' : known;
  const why = status.why === status.verdict.sentence ? null : html`<p>${status.why}</p>`;
  return html`<header id="verdict" class="${word}"><p class="word">${words[word] ?? ''}</p><h1>${status.verdict.sentence}</h1>${why}<p>${status.name}, as of ${span(ageMs)} ago</p></header>`;
}

function state(reading: Reading, present: Present): Html {
  const status = statusOf(reading);
  if (status === null) return html`<div id="state"></div>`;
  const old = reading.kind === 'old' ? html`<p class="trouble">${reading.why}</p>` : null;
  return html`<div id="state">${old}${trialSection(status)}<div class="columns"><div>${slotsSection(status)}${quarantineSection(status)}${evidenceSection(status)}${sticksSection(status)}${agentSection(status)}</div><div>${checkInSection(status, present)}${sourcesSection(status)}${transactionsSection(status)}${applianceSection(status)}</div></div></div>`;
}

const pinField = html`<label>PIN <input name="pin" type="password" inputmode="numeric" autocomplete="off" required maxlength="64"></label>`;

function retryChoice(status: Status | null): Html {
  const entries = status?.quarantine ?? [];
  if (entries.length === 0) return html``;
  const options = entries.map(
    (entry) => html`<option value="${entry.manifest}">${entry.version} (${entry.verdict})</option>`,
  );
  return html`<label>Release <select name="manifest">${options.reverse()}</select></label>`;
}

function previousOf(status: Status | null): string {
  const slot = status?.slots.find((entry) => entry.component === 'app' && wordOf(entry.role) === 'previous');
  return slot?.version === null || slot === undefined ? 'the version before this one' : `version ${slot.version}`;
}

function action(path: string, title: string, text: string, fields: Html, button: string): Html {
  return html`<form method="post" action="${path}"><h3>${title}</h3><p>${text}</p>${fields}${pinField}<button>${button}</button></form>`;
}

/** What would be refused is said before anybody asks for it; the updater decides when they do. */
function goBack(status: Status | null): Html {
  const text = status?.back?.refused?.text ?? `Goes back to ${previousOf(status)}, where its data can be kept.`;
  const data = status?.back?.data;
  if (data === undefined) return action('/rollback', 'Go back', text, html``, 'Go back');
  const age = ageWord(data.ageH);
  const fields = html`<input name="tx" type="hidden" value="${data.tx}"><label>Age of the data <input name="age" required autocomplete="off" maxlength="10" placeholder="as it is told above"></label>`;
  return action('/rollback', 'Go back', text, fields, `Go back to the data of ${age} ago`);
}

function actions(status: Status | null): Html {
  // The PIN before the file: it is looked at before a byte of the file is kept.
  const install = html`<form method="post" action="/install" enctype="multipart/form-data"><h3>Install from a file</h3><p>Takes a bundle (.hfb) from this device. It is installed only when its signatures are right.</p>${pinField}<label>Bundle <input name="file" type="file" accept=".hfb" required></label><button>Install</button></form>`;
  return html`<section><h2>What you can do here</h2><p class="note">Each needs the PIN that was shown at the set-up.</p><div class="actions">${action('/check', 'Look now', 'Asks the server for a release now.', html``, 'Look now')}${action('/retry', 'Try again', 'Lets a release be tried again that was rolled back here.', retryChoice(status), 'Try again')}${goBack(status)}${install}${wayOut(status)}</div></section>`;
}

/** What the form shows, and hidden what it showed: a field that nobody changed is not written back. */
function wayOut(status: Status | null): Html {
  const set = status?.sources;
  const rate = set?.rateBytesPerS == null ? '' : String(Math.round(set.rateBytesPerS / 1000));
  const cache = set?.releases.find(({ kind }) => wordOf(kind) === 'cache');
  const others = set?.releases.filter((one) => one !== cache).map((one) => ({ ...one, kind: wordOf(one.kind) })) ?? [];
  const shown = (name: string, value: string) => html`<input name="shown-${name}" type="hidden" value="${value}">`;
  const fields = html`<label>Cache <input name="cache" type="url" placeholder="http://cache.site:8080/releases" value="${cache?.url ?? ''}" maxlength="300"></label>${shown('cache', cache?.url ?? '')}<label>Proxy <input name="proxy" type="url" placeholder="http://proxy.site:3128" value="${set?.proxy ?? ''}" maxlength="300"></label>${shown('proxy', set?.proxy ?? '')}<label>kB/s <input name="rate" inputmode="numeric" value="${rate}" maxlength="9"></label>${shown('rate', rate)}${shown('others', JSON.stringify(others))}`;
  const text =
    'Where releases may come from beside the server, and how it is reached. An empty field is none; the name and password of a proxy are kept, and not shown.';
  return action('/set-sources', 'Way out', text, fields, 'Set');
}

function noticeOf(notice: Notice | null): Html {
  if (notice === null) return html`<div id="notice"></div>`;
  // What was refused stays until the next action; the rest follows the updater.
  const keep = notice.kind === 'refused' ? new Html(' data-keep="yes"') : null;
  return html`<div id="notice"${keep} role="status"><p class="notice ${notice.kind}">${notice.sentence}</p></div>`;
}

/** The one page, whole. */
export function renderPage({ reading, present, notice, nonce }: View): string {
  const status = statusOf(reading);
  const title = status?.name ? `${status.name} · Holdfast` : 'Holdfast';
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title><link rel="icon" href="data:,"><style nonce="${nonce}">${new Html(style)}</style></head>
<body>${verdict(reading)}<main><p id="lost" class="trouble"><strong>This page does not answer any more.</strong> What it shows is old, and how the appliance is doing is not known.</p>${noticeOf(notice)}${state(reading, present)}${actions(status)}<p class="note"><a href="/">Load again</a> · <a href="/status.json">The same for programs</a></p></main><script nonce="${nonce}">${new Html(script)}</script></body></html>
`;
  return page.markup;
}
