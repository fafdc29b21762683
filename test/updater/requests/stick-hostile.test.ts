import { copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeEach, describe, expect, it } from 'vitest';
import { realFiles } from '../../../updater/effects/files.ts';
import { readHistory } from '../../../updater/outcome/history.ts';
import { runUpdater } from '../../../updater/run/loop.ts';
import { stateOn, statusOn } from '../support/record-appliance.ts';
import { idleState } from '../support/states.ts';
import { StickBox } from '../support/stick-box.ts';
import { systemError, withOperations } from '../support/wrapped-files.ts';

let box: StickBox;
beforeEach(async () => {
  box = await StickBox.make();
});

describe('a stick that somebody prepared', () => {
  it('costs nothing but a look: FIFOs, links, directories with a name like a bundle', async () => {
    const release = await box.build('1.0.54');
    const elsewhere = join(box.layout.root, 'elsewhere');
    mkdirSync(elsewhere);
    copyFileSync(release.path, join(elsewhere, 'app.hfb'));
    await execa('mkfifo', [join(box.stick, 'fifo.hfb')]);
    symlinkSync(join(elsewhere, 'app.hfb'), join(box.stick, 'link.hfb'));
    symlinkSync(elsewhere, join(box.stick, 'more'));
    symlinkSync(box.media, join(box.stick, 'loop'));
    mkdirSync(join(box.stick, 'directory.hfb'));
    writeFileSync(join(box.stick, 'empty.hfb'), '');
    expect(await box.taken()).toBeNull();
    expect(box.told().map(({ path, code }) => [path, code])).toEqual([[join(box.stick, 'empty.hfb'), 'truncated']]);
  });

  it('does not make the updater read thousands of names, directories or bundles', async () => {
    for (let i = 0; i < 80; i += 1) mkdirSync(join(box.stick, `directory-${i}`));
    for (let i = 0; i < 700; i += 1) writeFileSync(join(box.stick, `${i}.hfb`), 'x');
    let listed = 0;
    const counting = withOperations({
      listAtMost: (path, namesMax) => {
        listed += 1;
        expect(namesMax).toBeLessThanOrEqual(512);
        return realFiles.listAtMost(path, namesMax);
      },
    });
    await box.taken(idleState(), counting);
    expect(listed).toBeLessThanOrEqual(64);
    expect(box.told()).toHaveLength(16);
  });

  it('stops nothing when its directory cannot be read, nor when it is not there', async () => {
    const broken = withOperations({
      listAtMost: (path, namesMax) => {
        if (path === box.stick) throw systemError('EIO');
        return realFiles.listAtMost(path, namesMax);
      },
    });
    expect(await box.taken(idleState(), broken)).toBeNull();
    rmSync(box.media, { recursive: true });
    expect(await box.taken()).toBeNull();
  });
});

describe('a stick that is pulled out', () => {
  it('while it is looked at is told so, and is tried again when it comes back', async () => {
    const path = box.put(await box.build('1.0.54'));
    let opened = 0;
    let gone: number | null = null;
    const pulled = withOperations({
      // The first look reads it whole; the second one has nothing to read from.
      openRead: (name) => {
        const handle = realFiles.openRead(name);
        if (name === path) opened += 1;
        if (name === path && opened === 2) gone = handle;
        return handle;
      },
      close: (handle) => {
        if (handle === gone) gone = null;
        realFiles.close(handle);
      },
      read: (handle, position, length) => {
        if (handle === gone) throw systemError('EIO');
        return realFiles.read(handle, position, length);
      },
    });
    expect(await box.taken(idleState(), pulled)).toBeNull();
    expect(box.told()).toMatchObject([{ version: null, code: 'file-unreadable' }]);
    expect(box.told()[0]?.text).toContain('Was the stick pulled out?');
    expect(stateOn(box.layout)).toEqual(idleState());
    rmSync(path);
    await box.taken();
    box.put(await box.build('1.0.54'));
    expect(await box.taken()).toBe('1.0.54');
  });

  it('while it is installed ends the transaction with a clear reason, and nothing else has changed', async () => {
    const path = box.put(await box.build('1.0.54'));
    const appliance = box.appliance(
      withOperations({
        // The transaction has begun: the stick goes.
        create: (name, mode) => {
          if (name.startsWith(box.layout.work)) rmSync(path, { force: true });
          return realFiles.create(name, mode);
        },
        openRead: (name) => realFiles.openRead(name),
        read: (handle, position, length) => {
          if (realFiles.stat(path) === null && realFiles.statHandle(handle).links === 0) throw systemError('EIO');
          return realFiles.read(handle, position, length);
        },
      }),
    );
    await runUpdater(appliance, idleState(), false);
    const { lastTx, ...after } = stateOn(box.layout);
    const { lastTx: _before, ...before } = idleState();
    expect(after).toEqual(before);
    expect(lastTx).toBe(7);
    expect(readHistory(realFiles, box.layout)).toMatchObject([
      { tx: 7, to: '1.0.54', outcome: 'refused', reason: 'no-file' },
    ]);
    expect(statusOn(box.layout).sticks).toEqual([]);
    box.put(await box.build('1.0.54'));
    expect(await box.taken()).toBe('1.0.54');
  });

  it('between two looks is no more than a file that is gone', async () => {
    const path = box.put(await box.build('1.0.54'));
    let opened = 0;
    const gone = withOperations({
      openRead: (name) => {
        if (name === path) opened += 1;
        if (opened === 2) rmSync(path, { force: true });
        return realFiles.openRead(name);
      },
    });
    expect(await box.taken(idleState(), gone)).toBeNull();
    expect(realFiles.list(box.layout.work)).toEqual([]);
  });
});
