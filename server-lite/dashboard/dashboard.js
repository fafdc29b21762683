// Refreshes the live part of the dashboard and sends its changes; the page reads without it.
const refreshMs = 2_000;
const timeoutMs = 8_000;
const live = document.getElementById('live');
const notice = document.getElementById('notice');

// A sentence of the page, with what belongs in it.
function told(name, what) {
  return notice.dataset[name].replace('{}', () => what);
}

function say(text, bad) {
  notice.textContent = text;
  notice.hidden = text === '';
  notice.className = bad ? 'bad' : '';
}

function keepOpen(next) {
  const open = [...live.querySelectorAll('details[open]')].map((one) => one.dataset.keep);
  for (const one of next.querySelectorAll('details')) one.open = open.includes(one.dataset.keep);
}

async function refresh(lost) {
  let fails = false;
  try {
    const answer = await fetch('fragment', { signal: AbortSignal.timeout(timeoutMs), cache: 'no-store' });
    if (!answer.ok) throw new Error(told('answered', answer.status));
    const next = document.createElement('div');
    next.innerHTML = await answer.text();
    keepOpen(next);
    // A button under the finger, or marked text, must not be pulled away.
    if (!live.contains(document.activeElement) && getSelection()?.isCollapsed !== false)
      live.replaceChildren(...next.childNodes);
    if (lost) say('', false);
  } catch (error) {
    fails = true;
    say(told('stale', error.message), true);
  }
  setTimeout(refresh, refreshMs, fails);
}

async function change(form) {
  const button = form.querySelector('button');
  button.disabled = true;
  try {
    const answer = await fetch(form.dataset.api, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-csrf-token': document.querySelector('meta[name="csrf-token"]').content,
      },
      body: JSON.stringify(Object.fromEntries(new FormData(form))),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const body = await answer.json();
    if (answer.ok) say(told('done', body.sentence ?? body.state), false);
    else say([body.message, body.next].filter(Boolean).join(' — '), true);
  } catch (error) {
    say(told('unknown', error.message), true);
  }
  button.disabled = false;
  button.blur();
}

if (live) {
  document.addEventListener('submit', (event) => {
    if (!event.target.dataset.api) return;
    event.preventDefault();
    void change(event.target);
  });
  setTimeout(refresh, refreshMs, false);
}
