import { type Html, html } from '../../protocol/html.ts';
import { harmlessOrderKinds } from '../../protocol/order.ts';
import type { Session } from '../operator/session.ts';
import { dashboardTexts } from '../texts.ts';
import type { DashboardState } from './sections.ts';

function frame(title: string, csrf: string, header: Html, main: Html): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="csrf-token" content="${csrf}">
<title>${title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="dashboard.css">
<script src="dashboard.js" defer></script>
</head>
<body>
<header><h1>Holdfast</h1>${header}</header>
<main>${main}</main>
</body>
</html>
`.markup;
}

const login = html`<form class="login" method="post" action="login">
  <label for="token">${dashboardTexts.operatorToken}</label>
  <input id="token" name="token" type="password" autocomplete="off" required maxlength="200">
  <button>${dashboardTexts.unlock}</button>
</form>`;

const logout = html`<form class="login" method="post" action="logout"><span class="quiet">${dashboardTexts.unlocked}</span> <button>${dashboardTexts.lock}</button></form>`;

const { script } = dashboardTexts;
/** Where the script speaks, with the sentences that it has. */
const noticeLine = html`<p id="notice" role="status" hidden data-answered="${script.answered}" data-stale="${script.stale}" data-done="${script.done}" data-unknown="${script.unknown}"></p>`;

/** The whole page; the script refreshes `#live`. */
export function dashboardPage(state: DashboardState, sections: Html, session: Session | null): string {
  const main = html`${noticeLine}
    <div id="live">${sections}</div>
    ${session === null ? null : orderForm(state)}`;
  return frame('Holdfast', session?.csrf ?? '', session === null ? login : logout, main);
}

/** The page for people who may not even read. */
export function loginPage(message: string): string {
  const main = html`<section><h2>${dashboardTexts.locked}</h2><p>${message}</p></section>`;
  return frame(dashboardTexts.lockedTitle, '', login, main);
}

function orderForm({ appliances }: DashboardState): Html {
  const names = appliances.map(({ id, name }) => html`<option value="${id}">${name}</option>`);
  const kinds = harmlessOrderKinds.map((kind) => html`<option>${kind}</option>`);
  return html`<section aria-labelledby="send"><h2 id="send">${dashboardTexts.sendOrder}</h2>
    <form class="send" data-api="api/orders">
      <label>${dashboardTexts.appliance} <select name="appliance">${names}</select></label>
      <label>${dashboardTexts.kind} <select name="kind">${kinds}</select></label>
      <button>${dashboardTexts.send}</button>
    </form></section>`;
}
