import { ageText } from '../fleet/words.ts';
import type { ApplianceView, OrderView, RolloutView } from '../operator/shapes.ts';
import { html, type Markup } from './markup.ts';

/** What the page shows; made by the routes from the same views that the API answers. */
export interface DashboardState {
  readonly appliances: readonly ApplianceView[];
  readonly orders: readonly OrderView[];
  readonly rollouts: readonly RolloutView[];
  readonly nowMs: number;
  /** An operator is logged in: changes are offered. */
  readonly mayChange: boolean;
}

/** The part that is refreshed. */
export function liveSections(state: DashboardState): Markup {
  return html`${summary(state)}${appliances(state)}${rollouts(state)}${orders(state)}`;
}

const stateOrder = ['ok', 'updating', 'attention', 'blocked', 'offline', 'retired'];

function summary({ appliances: all, nowMs }: DashboardState): Markup {
  const counts = stateOrder.map((state) => ({ state, n: all.filter((one) => one.state === state).length }));
  const parts = counts
    .filter(({ n }) => n > 0)
    .map(({ state, n }) => html`<li><span class="dot ${state}"></span><b>${n}</b> ${state}</li>`);
  const time = new Date(nowMs).toISOString();
  return html`<div class="summary"><ul>${parts}</ul>
    <p class="quiet">as of <time datetime="${time}">${time.slice(11, 19)} UTC</time></p></div>`;
}

function section(title: string, empty: string, columns: readonly string[], rows: readonly Markup[]): Markup {
  const id = title.toLowerCase();
  const head = columns.map((column) => html`<th scope="col">${column}</th>`);
  const body =
    rows.length === 0
      ? html`<p class="empty">${empty}</p>`
      : html`<table class="${id}"><thead><tr>${head}</tr></thead><tbody>${rows}</tbody></table>`;
  return html`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>${body}</section>`;
}

function badge(state: string): Markup {
  return html`<span class="badge ${state}">${state}</span>`;
}

function appliances({ appliances: all }: DashboardState): Markup {
  const columns = ['Appliance', 'State', 'Agent', 'Updater', 'Last check-in', 'Why'];
  return section('Appliances', 'None is enrolled yet: holdfast claim create', columns, all.map(applianceRow));
}

function applianceRow(one: ApplianceView): Markup {
  const assigned =
    one.assigned.length === 0 ? null : html`<span class="quiet">assigned: ${one.assigned.join(', ')}</span>`;
  const clock = one.clock === null ? null : html`<small>${one.clock}</small>`;
  const alert =
    one.alert === null || one.sentence.includes(one.alert) ? null : html`<strong class="alert">${one.alert}</strong>`;
  const offer = one.offer === null ? null : html`<span class="quiet">→ ${one.offer}</span>`;
  return html`<tr>
    <td data-label="Appliance"><div><b>${one.name}</b><span class="quiet">${one.site}</span><code>${one.id}</code></div></td>
    <td data-label="State"><div>${badge(one.state)}<span>${one.sentence}</span>${alert}${clock}</div></td>
    <td data-label="Agent"><div><span class="version">${one.versions.app?.version ?? '–'}</span>${offer}${assigned}</div></td>
    <td data-label="Updater"><div><span class="version">${one.versions.updater?.version ?? '–'}</span></div></td>
    <td data-label="Last check-in"><div>${checkIn('agent', one.checkIns.agent)}${checkIn('updater', one.checkIns.updater)}</div></td>
    <td data-label="Why"><div><span>${one.why}</span>${crash(one)}${failedTrial(one)}</div></td>
  </tr>`;
}

function checkIn(role: string, last: ApplianceView['checkIns']['agent']): Markup {
  const when = last === null ? 'never' : `${ageText(last.ageS * 1000)} ago`;
  const at = last === null ? '' : new Date(last.atMs).toISOString();
  return html`<span class="pair" title="${at}"><span class="quiet">${role}</span> ${when}</span>`;
}

function failedTrial(one: ApplianceView): Markup | null {
  if (one.failedTrial === null) return null;
  const { text, lines, output: said } = one.failedTrial;
  return output(`trial-${one.id}`, 'failed trial', [text, ...lines, said].join('\n').trim());
}

function crash(one: ApplianceView): Markup | null {
  if (one.lastCrash === null || one.lastCrash.output === '') return null;
  return output(`crash-${one.id}`, 'last crash', one.lastCrash.output);
}

function output(id: string, label: string, text: string): Markup {
  return html`<details data-keep="${id}"><summary>${label}</summary><pre>${text}</pre></details>`;
}

function rollouts({ rollouts: all, mayChange }: DashboardState): Markup {
  const columns = ['Release', 'State', 'Stage', 'How far', ...(mayChange ? [''] : [])];
  return section(
    'Rollouts',
    'None was started yet: holdfast rollout start VERSION',
    columns,
    all.map((one) => rolloutRow(one, mayChange)),
  );
}

function rolloutRow(one: RolloutView, mayChange: boolean): Markup {
  const change = one.state === 'running' ? 'pause' : 'resume';
  const form = html`<td data-label="Change"><form data-api="/api/rollouts/${one.id}/${change}"><button>${change}</button></form></td>`;
  const canaries =
    one.canaries.length === 0 ? null : html`<span class="quiet">canary: ${one.canaries.join(', ')}</span>`;
  const waiting = one.waiting.map(({ name, why }) => `${name} (${why})`).join(', ');
  return html`<tr>
    <td data-label="Release"><div><b>${one.component} ${one.version}</b><span class="quiet">rollout ${one.id}, ${ageText(one.ageS * 1000)} ago</span></div></td>
    <td data-label="State"><div>${badge(one.state)}</div></td>
    <td data-label="Stage"><div><span>${one.stage}</span>${canaries}</div></td>
    <td data-label="How far"><div><span>${one.sentence}</span>${waiting === '' ? null : html`<span class="quiet">Outstanding: ${waiting}</span>`}</div></td>
    ${mayChange ? form : null}
  </tr>`;
}

function orders({ orders: all }: DashboardState): Markup {
  const columns = ['Order', 'Appliance', 'State', 'Status', 'Age'];
  return section('Orders', 'None was sent yet: holdfast orders send APPLIANCE KIND', columns, all.map(orderRow));
}

function orderRow(one: OrderView): Markup {
  const result = one.result === null ? null : output(`result-${one.id}`, 'result', one.result);
  const crashed = one.crashText === '' ? null : output(`text-${one.id}`, 'output of the crash', one.crashText);
  const args = Object.entries(one.args)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
  return html`<tr>
    <td data-label="Order"><div><b>${one.kind}</b>${args === '' ? null : html`<span class="quiet">${args}</span>`}<code>${one.id.slice(0, 8)}</code></div></td>
    <td data-label="Appliance"><div>${one.name}</div></td>
    <td data-label="State"><div>${badge(one.state)}</div></td>
    <td data-label="Status"><div><span>${one.sentence}</span>${crashed}${result}</div></td>
    <td data-label="Age"><div>${ageText(one.ageS * 1000)}</div></td>
  </tr>`;
}
