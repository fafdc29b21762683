import { pageWords } from '../words/texts.ts';

/** Dark on white with strong bands: somebody in a hurry reads it outdoors, on a phone. */
export const style = `
:root { color-scheme: light; --ink: #111; --soft: #444; --line: #b5b5b5; }
* { box-sizing: border-box; }
body { margin: 0; font: 1.0625rem/1.45 system-ui, sans-serif; color: var(--ink); background: #fff; }
header { color: #fff; background: #3d3d3d; padding: 1rem 0; }
header > *, main { max-width: 62rem; margin: 0 auto; padding: 0 1rem; }
header p { margin: 0 auto; }
header .word { font-weight: 700; text-transform: uppercase; letter-spacing: .06em; }
header h1 { font-size: clamp(1.45rem, 5vw, 2.1rem); line-height: 1.2; margin: .25rem auto .4rem; overflow-wrap: anywhere; }
header.ok { background: #0b5a1f; }
header.updating, header.trial { background: #0a4789; }
header.attention { background: #7a4300; }
header.blocked, header.safe { background: #971a1a; }
main { padding-top: 1rem; padding-bottom: 2rem; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 2rem; }
h2 { font-size: 1.15rem; margin: 1.4rem 0 .4rem; padding-bottom: .2rem; border-bottom: 2px solid var(--ink); }
table { width: 100%; border-collapse: collapse; font-size: .95rem; }
th, td { text-align: left; padding: .35rem .4rem .35rem 0; border-bottom: 1px solid var(--line); }
th { font-size: .9rem; color: var(--soft); }
dl { margin: 0; }
dl div { display: grid; grid-template-columns: 7rem 1fr; gap: .5rem; padding: .35rem 0; border-bottom: 1px solid var(--line); }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
ul { margin: 0; padding-left: 1.2rem; }
li, p { overflow-wrap: anywhere; }
li { margin: .4rem 0; }
small, .note { color: var(--soft); }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f1f1f1; border-left: 4px solid var(--ink); padding: .6rem; max-height: 22rem; overflow: auto; font-size: .9rem; }
progress { width: 100%; height: 1.2rem; }
.role.committed, .check.ok { color: #0b5a1f; font-weight: 600; }
.role.damaged, .check.fail { color: #971a1a; font-weight: 600; }
.role.on-trial { color: #0a4789; font-weight: 600; }
.check.warn { color: #7a4300; font-weight: 600; }
.check { display: inline-block; margin-right: .8rem; }
.notice, .trouble { border: 2px solid var(--ink); padding: .7rem .9rem; margin: 0 0 1rem; }
.notice.refused, .trouble { border-color: #971a1a; }
.notice.done { border-color: #0b5a1f; }
.actions { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 14rem), 1fr)); gap: 1rem; }
form { border: 1px solid var(--line); padding: .8rem; display: flex; flex-direction: column; gap: .6rem; }
form h3, form p { margin: 0; }
form p { flex: 1; }
label { display: block; font-size: .95rem; }
input, select, button { font: inherit; width: 100%; min-height: 2.8rem; padding: .4rem .6rem; border: 2px solid var(--ink); border-radius: 4px; background: #fff; color: var(--ink); }
button { background: var(--ink); color: #fff; font-weight: 600; cursor: pointer; }
button:focus-visible, input:focus-visible, select:focus-visible { outline: 4px solid #f5a300; outline-offset: 2px; }
#lost { display: none; }
`;

/**
 * Reloads the state at intervals; without scripts, the link at the end does. When the page no longer answers, what it
 * shows is old, and it says so.
 */
export const script = `
const everyMs = 3000;
setInterval(async () => {
  try {
    const answer = await fetch(location.pathname === '/' ? location.href : '/', { cache: 'no-store' });
    const text = (await answer.text()).replace(/<style[\\s\\S]*?<\\/style>/, '');
    const fresh = new DOMParser().parseFromString(text, 'text/html');
    for (const id of ['verdict', 'state', 'notice']) {
      const [old, next] = [document.getElementById(id), fresh.getElementById(id)];
      if (old && next && !(id === 'notice' && old.dataset.keep)) old.replaceWith(next);
    }
    document.getElementById('lost').style.display = 'none';
  } catch {
    const verdict = document.getElementById('verdict');
    verdict.className = 'unknown';
    verdict.querySelector('.word').textContent = ${JSON.stringify(pageWords.verdicts.unknown)};
    verdict.querySelector('h1').textContent = ${JSON.stringify(pageWords.notKnownNow)};
    document.getElementById('lost').style.display = 'block';
  }
}, everyMs);
`;
