import { describe, expect, it } from 'vitest';
import { requestShape } from '../../../protocol/request.ts';
import { PageBox, soundStatus } from './page-box.ts';

/** Going back to a version that cannot read today's data: what is told first, and what has to be repeated. */

const text = '1.0.52 cannot read the data that 1.0.54 writes. Name the age, 5d, to go back.';

async function started(): Promise<PageBox> {
  const box = new PageBox();
  await box.start();
  const refused = { code: 'state-not-readable', text };
  box.writeStatus({ ...soundStatus(box.clock), back: { version: '1.0.52', refused, data: { tx: 7, ageH: 120 } } });
  return box;
}
const asked = (box: PageBox) => box.requests().map((found) => requestShape.parse(found));

describe('the form for going back to data of before', () => {
  it('tells what it costs, and has a field for the age, which it does not fill in', async () => {
    const { text: page } = await (await started()).ask();
    expect(page).toContain(text);
    expect(page).toContain('<input name="tx" type="hidden" value="7">');
    expect(page).toMatch(/<input name="age" required (?!value)[^>]*>/);
    expect(page).toContain('Go back to 1.0.52 and its data of 5d ago');
  });

  it('asks for that data and that age, as the person typed it', async () => {
    const box = await started();
    expect((await box.post('/rollback', { pin: box.pin, tx: '7', age: ' 5 D' })).status).toBe(303);
    expect(asked(box)).toMatchObject([{ kind: 'rollback', data: { tx: 7, ageH: 120 } }]);
    // Another age is asked for too: the updater knows how old it is now.
    expect((await box.post('/rollback', { pin: box.pin, tx: '7', age: '6d' })).status).toBe(303);
    expect(asked(box)).toContainEqual(expect.objectContaining({ data: { tx: 7, ageH: 144 } }));
  });

  it.each([
    ['', '7'],
    ['soon', '7'],
    ['5d', ''],
    ['5d', '-1'],
  ])('asks for nothing with the age %j of %j', async (age, tx) => {
    const box = await started();
    const { status, text: page } = await box.post('/rollback', { pin: box.pin, tx, age });
    expect(status).toBe(400);
    expect(page).toContain('type its age as the page shows it');
    expect(asked(box)).toEqual([]);
  });

  it('needs the PIN as well', async () => {
    const box = await started();
    expect((await box.post('/rollback', { pin: '000000', tx: '7', age: '5d' })).status).toBe(403);
    expect(asked(box)).toEqual([]);
  });

  it('names the version, and asks for that one alone, however long it lay open', async () => {
    const box = await started();
    const manifest = 'a'.repeat(64);
    box.writeStatus({ ...soundStatus(box.clock), back: { version: '1.0.52', manifest, refused: null } });
    const { text: page } = await box.ask();
    expect(page).toContain('<button>Go back to 1.0.52</button>');
    expect(page).toContain(`<input name="manifest" type="hidden" value="${manifest}">`);
    expect((await box.post('/rollback', { pin: box.pin, manifest })).status).toBe(303);
    expect(asked(box)).toMatchObject([{ kind: 'rollback', manifest }]);
    expect((await box.post('/rollback', { pin: box.pin, manifest: 'x' })).status).toBe(400);
  });

  it('is as it was where the data is kept', async () => {
    const box = await started();
    box.writeStatus({ ...soundStatus(box.clock), back: { version: '1.0.52', refused: null } });
    expect((await box.ask()).text).not.toContain('name="age"');
  });
});
