import { harmlessOrderKinds } from '../../protocol/order.ts';
import type { Session } from '../operator/session.ts';
import { html, type Markup } from './markup.ts';
import { type DashboardState, liveSections } from './sections.ts';

function frame(title: string, csrf: string, header: Markup, main: Markup): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="csrf-token" content="${csrf}">
<title>${title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/dashboard.css">
<script src="/dashboard.js" defer></script>
</head>
<body>
<header><h1>Holdfast</h1>${header}</header>
<main>${main}</main>
</body>
</html>
`.text;
}

const login = html`<form class="login" method="post" action="/login">
  <label for="token">Operator token</label>
  <input id="token" name="token" type="password" autocomplete="off" required maxlength="200">
  <button>Unlock changes</button>
</form>`;

const logout = html`<form class="login" method="post" action="/logout"><span class="quiet">Changes are unlocked</span> <button>Lock</button></form>`;

/** The whole page; `#live` is what the script refreshes. */
export function dashboardPage(state: DashboardState, session: Session | null): string {
  const main = html`<p id="notice" role="status" hidden></p>
    <div id="live">${liveSections(state)}</div>
    ${session === null ? null : orderForm(state)}`;
  return frame('Holdfast', session?.csrf ?? '', session === null ? login : logout, main);
}

/** What somebody sees who may not even read. */
export function loginPage(message: string): string {
  const main = html`<section><h2>Locked</h2><p>${message}</p></section>`;
  return frame('Holdfast: locked', '', login, main);
}

function orderForm({ appliances }: DashboardState): Markup {
  const names = appliances.map(({ id, name }) => html`<option value="${id}">${name}</option>`);
  const kinds = harmlessOrderKinds.map((kind) => html`<option>${kind}</option>`);
  return html`<section aria-labelledby="send"><h2 id="send">Send an order</h2>
    <form class="send" data-api="/api/orders">
      <label>Appliance <select name="appliance">${names}</select></label>
      <label>Kind <select name="kind">${kinds}</select></label>
      <button>Send</button>
    </form></section>`;
}
