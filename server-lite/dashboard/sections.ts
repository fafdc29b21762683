import { type Html, html } from '../../protocol/html.ts';
import type { ApplianceView, OrderView, RolloutView } from '../operator/shapes.ts';
import { isInHand } from '../rules/rollout-life.ts';
import { ageText, beyond, reasonsText, sentenceCase, untold } from '../rules/words.ts';
import { dashboardTexts, operatorTexts } from '../texts.ts';

/** What the page shows; the routes make it from the same views that the API answers. */
export interface DashboardState {
  readonly appliances: readonly ApplianceView[];
  readonly orders: readonly OrderView[];
  readonly rollouts: readonly RolloutView[];
  readonly nowMs: number;
  /** Reports a row that cannot be shown, for somebody to look into. */
  readonly rowFailed: (what: string, error: unknown) => void;
}

/**
 * The refreshed part of the page that shows the fleet.
 * @param mayChange an operator is logged in: changes are offered
 */
export function fleetSections(state: DashboardState, mayChange: boolean): Html {
  return html`${summary(state)}${appliances(state)}${rollouts(state, mayChange)}${orders(state, mayChange)}`;
}

/** What the server itself needs from a person. */
export function noticeList(all: readonly string[]): Html | null {
  if (all.length === 0) return null;
  return html`<ul class="notices" role="alert">${all.map((text) => html`<li><strong class="alert">${sentenceCase(text)}</strong></li>`)}</ul>`;
}

/** Independent rows: one that cannot be shown still says what it is about. */
function rowsOf<Row>(
  { rowFailed }: DashboardState,
  rows: readonly Row[],
  what: (row: Row) => string,
  show: (row: Row) => Html,
): Html[] {
  return rows.map((row) => {
    try {
      return show(row);
    } catch (error) {
      rowFailed(what(row), error);
      return html`<tr><td colspan="6"><div><b>${what(row)}</b><strong class="alert">${dashboardTexts.notShown(String(error))}</strong></div></td></tr>`;
    }
  });
}

const stateOrder = ['ok', 'updating', 'attention', 'blocked', 'offline', 'retired'];

function summary({ appliances: all, nowMs }: DashboardState): Html {
  const counts = stateOrder.map((state) => ({ state, n: all.filter((one) => one.state === state).length }));
  const parts = counts
    .filter(({ n }) => n > 0)
    .map(({ state, n }) => html`<li><span class="dot ${state}"></span><b>${n}</b> ${state}</li>`);
  const time = new Date(nowMs).toISOString();
  return html`<div class="summary"><ul>${parts}</ul>
    <p class="quiet">${dashboardTexts.asOf} <time datetime="${time}">${dashboardTexts.utc(time.slice(11, 19))}</time></p></div>`;
}

function section(id: 'appliances' | 'orders' | 'rollouts', columns: readonly string[], rows: readonly Html[]): Html {
  const { title, empty } = dashboardTexts[id];
  const head = columns.map((column) => html`<th scope="col">${column}</th>`);
  const body =
    rows.length === 0
      ? html`<p class="empty">${empty}</p>`
      : html`<table class="${id}"><thead><tr>${head}</tr></thead><tbody>${rows}</tbody></table>`;
  return html`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>${body}</section>`;
}

function badge(state: string): Html {
  return html`<span class="badge ${state}">${state}</span>`;
}

function appliances(state: DashboardState): Html {
  const { columns } = dashboardTexts.appliances;
  const rows = rowsOf(state, state.appliances, ({ name }) => operatorTexts.oneAppliance(name), applianceRow);
  return section('appliances', Object.values(columns), rows);
}

function applianceRow(one: ApplianceView): Html {
  const assigned =
    one.assigned.length === 0
      ? null
      : html`<span class="quiet">${dashboardTexts.assigned(one.assigned.join(', '))}</span>`;
  const clock = one.clock === null ? null : html`<small>${one.clock}</small>`;
  const alert =
    one.alert === null || one.sentence.includes(one.alert) ? null : html`<strong class="alert">${one.alert}</strong>`;
  const { columns } = dashboardTexts.appliances;
  const offer = one.offer === null ? null : html`<span class="quiet">→ ${one.offer}</span>`;
  return html`<tr>
    <td data-label="${columns.appliance}"><div><b>${one.name}</b><span class="quiet">${one.site}</span><code>${one.id}</code></div></td>
    <td data-label="${columns.state}"><div>${badge(one.state)}<span>${reasonsText([one.sentence])}</span>${alert}${clock}</div></td>
    <td data-label="${columns.agent}"><div><span class="version">${one.versions.app?.version ?? '–'}</span>${offer}${assigned}</div></td>
    <td data-label="${columns.updater}"><div><span class="version">${one.versions.updater?.version ?? '–'}</span></div></td>
    <td data-label="${columns.lastCheckIn}"><div>${checkIn(dashboardTexts.agent, one.checkIns.agent)}${checkIn(dashboardTexts.updater, one.checkIns.updater)}</div></td>
    <td data-label="${columns.why}"><div><span>${beyond(one.sentence, one.why)}</span>${crash(one)}${failedTrial(one)}</div></td>
  </tr>`;
}

function checkIn(role: string, last: ApplianceView['checkIns']['agent']): Html {
  const when = last === null ? dashboardTexts.never : dashboardTexts.ago(ageText(last.ageS * 1000));
  const at = last === null ? '' : new Date(last.atMs).toISOString();
  return html`<span class="pair" title="${at}"><span class="quiet">${role}</span> ${when}</span>`;
}

function failedTrial(one: ApplianceView): Html | null {
  if (one.failedTrial === null) return null;
  const { text, lines, output: said } = one.failedTrial;
  return output(
    `trial-${one.id}`,
    dashboardTexts.failedTrial(one.failedTrial.version, minute(one.failedTrial.atMs)),
    [text, ...lines, said].join('\n').trim(),
  );
}

function crash(one: ApplianceView): Html | null {
  if (one.lastCrash === null || one.lastCrash.output === '') return null;
  const { version, atMs, output: said } = one.lastCrash;
  return output(`crash-${one.id}`, dashboardTexts.lastCrash(version, minute(atMs)), said);
}

/** Not an age: that would change with each look. */
function minute(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 16).replace('T', ' ');
}

function output(id: string, label: string, text: string): Html {
  return html`<details data-keep="${id}"><summary>${label}</summary><pre>${text}</pre></details>`;
}

function rollouts(state: DashboardState, mayChange: boolean): Html {
  const columns = [...Object.values(dashboardTexts.rollouts.columns), ...(mayChange ? [''] : [])];
  const rows = rowsOf(
    state,
    state.rollouts,
    ({ id }) => operatorTexts.oneRollout(id),
    (one) => rolloutRow(one, mayChange),
  );
  return section('rollouts', columns, rows);
}

/** What a person may do to a rollout; nothing if it has ended. */
function verbsOf({ state }: RolloutView): ('pause' | 'resume' | 'cancel')[] {
  if (state === 'paused') return ['resume', 'cancel'];
  return isInHand(state) ? ['pause', 'cancel'] : [];
}

function rolloutRow(one: RolloutView, mayChange: boolean): Html {
  const forms = verbsOf(one).map(
    (verb) =>
      html`<form data-api="api/rollouts/${one.id}/${verb}"><button>${dashboardTexts.verbs[verb]}</button></form>`,
  );
  const { columns } = dashboardTexts.rollouts;
  const form = html`<td data-label="${dashboardTexts.change}"><div>${forms}</div></td>`;
  const canaries =
    one.canaries.length === 0
      ? null
      : html`<span class="quiet">${dashboardTexts.canaries(one.canaries.join(', '))}</span>`;
  const failed = untold(one.sentence, one.failed)
    .map(({ name, why }) => `${name} (${why})`)
    .join(', ');
  const waiting = one.waiting.map(({ name, why }) => `${name} (${why})`).join(', ');
  return html`<tr>
    <td data-label="${columns.release}"><div><b>${one.component} ${one.version}</b><span class="quiet">${dashboardTexts.rolloutAge(one.id, ageText(one.ageS * 1000))}</span></div></td>
    <td data-label="${columns.state}"><div>${badge(one.state)}</div></td>
    <td data-label="${columns.stage}"><div><span>${one.stage}</span>${canaries}</div></td>
    <td data-label="${columns.howFar}"><div><span>${one.sentence}</span>${failed === '' ? null : html`<span class="quiet">${dashboardTexts.failedOn(failed)}</span>`}${waiting === '' ? null : html`<span class="quiet">${dashboardTexts.outstanding(waiting)}</span>`}</div></td>
    ${mayChange ? form : null}
  </tr>`;
}

function orders(state: DashboardState, mayChange: boolean): Html {
  const columns = [...Object.values(dashboardTexts.orders.columns), ...(mayChange ? [''] : [])];
  const rows = rowsOf(
    state,
    state.orders,
    ({ id }) => operatorTexts.oneOrder(id),
    (one) => orderRow(one, mayChange),
  );
  return section('orders', columns, rows);
}

function orderRow(one: OrderView, mayChange: boolean): Html {
  const result = one.result === null ? null : output(`result-${one.id}`, dashboardTexts.result, one.result);
  const crashed = one.crashText === '' ? null : output(`text-${one.id}`, dashboardTexts.crashOutput, one.crashText);
  const args = Object.entries(one.args)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
  const { columns } = dashboardTexts.orders;
  return html`<tr>
    <td data-label="${columns.order}"><div><b>${one.kind}</b>${args === '' ? null : html`<span class="quiet">${args}</span>`}<code>${one.id.slice(0, 8)}</code></div></td>
    <td data-label="${columns.appliance}"><div>${one.name}</div></td>
    <td data-label="${columns.state}"><div>${badge(one.state)}</div></td>
    <td data-label="${columns.status}"><div><span>${one.sentence}</span>${crashed}${result}</div></td>
    <td data-label="${columns.age}"><div>${ageText(one.ageS * 1000)}</div></td>
    ${mayChange ? cancelCell(one) : null}
  </tr>`;
}

/** An order can be cancelled only while its appliance is not known to have taken it. */
function cancelCell({ id, state }: OrderView): Html {
  const form = html`<form data-api="api/orders/${id}/cancel"><button>${dashboardTexts.verbs.cancel}</button></form>`;
  return html`<td data-label="${dashboardTexts.change}">${state === 'queued' || state === 'sent' ? form : null}</td>`;
}
