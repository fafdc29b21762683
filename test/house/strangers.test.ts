import { describe, expect, it } from 'vitest';
import { checkoutRoot } from './checkout.ts';
import { plantSources } from './plant.ts';
import { readSources } from './source.ts';
import { strangerExceptions, strangerViolations } from './strangers.ts';

const sources = readSources(checkoutRoot);

describe('root', () => {
  it("works in no directory of another user's by its path", () => {
    expect(strangerViolations(sources, strangerExceptions)).toEqual([]);
  });

  it('has no exception that nobody needs', () => {
    const needed = strangerViolations(sources, {});
    const unneeded = Object.entries(strangerExceptions).flatMap(([path, { places }]) =>
      places.filter((place) => !needed.some((one) => one.path === path && one.text.endsWith(` ${place}`))),
    );
    expect(unneeded).toEqual([]);
  });

  it.each([
    ['a file in agent/', "files.stat(join(layout.agent, 'state.db'));", 2],
    ['a file in agent/ by its own name', 'files.unlink(layout.stateDb);', 1],
    ['a request', 'files.list(layout.requests);', 1],
    ['an upload', "appliance.files.unlink(appliance.layout.uploads + '/x');", 1],
    ['the socket', 'readHealth(layout.agentSocket);', 1],
    ['a place that was taken out of the layout', 'const { agentRun } = layout;\nfiles.list(agentRun);', 1],
    ['a place by a computed name', "files.list(layout['agentKeys']);", 1],
    ['a path that is put together', "files.unlink(join(layout.root, 'agent', 'x'));", 1],
    ['a path in one word', "files.unlink(join(layout.root, 'page/uploads/x'));", 1],
    ['a name below a held place that is joined', "withDirectory(files, join(layout.agent, 'keys'), user, work);", 1],
    ['nothing where it is held', 'withDirectory(files, layout.agent, user, (agent) => agent.stat(name));', 0],
    ['nothing where only its name is taken', 'held.at(basename(layout.agentKeys));', 0],
    ["nothing in root's own places", "files.stat(join(layout.work, 'x')); files.list(layout.run);", 0],
  ])('is found to touch %s', (_, text, count) => {
    const planted = plantSources({ 'updater/status/a.ts': text });
    expect(strangerViolations(planted, {})).toHaveLength(count);
  });

  it('is not what runs as the user of the page', () => {
    const planted = plantSources({ 'updater/page/a.ts': 'files.list(layout.uploads);' });
    expect(strangerViolations(planted, {})).toEqual([]);
  });
});
