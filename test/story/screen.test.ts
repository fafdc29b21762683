import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../image/fixture-tree.ts';
import { Screen } from './screen.ts';
import { tellCommandLine } from './story-profile.ts';

describe('what the story prints', () => {
  it('shows where a line was cut', () => {
    let written = '';
    const screen = new Screen((text) => {
      written += text;
    }, false);
    const how = `the-check: ${'the agent was down for longer than it should have been; '.repeat(3)}`;
    screen.tell({ text: 'a step', checked: { good: false, how } });
    screen.print(how);
    for (const line of written.trimEnd().split('\n')) {
      expect(line.length).toBeLessThanOrEqual(100);
      expect(line).toMatch(/\w…$/);
    }
  });

  it("names the story's own connection in its commands, whatever else is stored", async () => {
    await using home = await temporaryDirectory();
    const server = { url: 'http://127.0.0.1:1', token: 'hfo_story' };
    const told = tellCommandLine(server, join(home.path, 'connection.json'), join(home.path, 'holdfast'));
    expect(told.command).toBe('npx holdfast --profile story');
  });
});
