import type { SourceFile, Violation } from './source.ts';

/**
 * Who in updater/ may read JSON by itself, with the reason; everybody else reads by `readKept`, which sets aside what is
 * damaged, so that no file stops a run.
 */
export const ownReaders: Readonly<Record<string, string>> = {
  'updater/effects/durable.ts': 'it is where it is read',
  'updater/page/attempts.ts': 'a PIN that cannot be read lets nobody in, and the page says so',
  'updater/page/requests.ts': "it reads the page's own request",
  'updater/page/main.ts': 'it reads what the builder wrote beside the program',
  'updater/commands/start.ts': 'it reads what the builder wrote beside the program',
  'updater/identity/settings.ts': 'setup tells the person who wrote them',
  'updater/trust/sources.ts': 'a file of a person, where they have it',
  'updater/recovery/recover-state.ts': 'the mark of a slot, which is verified with it',
  'updater/choice/former-state.ts': 'the mark of a slot, which is verified with it',
  'updater/choice/going-back.ts': 'the manifest of a slot, which is verified with it',
  'updater/agent-data/snapshot.ts': 'without its mark a snapshot is none, and its files stay where they are',
  'updater/outcome/kept-evidence.ts': 'one of many, pruned with its transaction',
  'updater/appliance/armed-state.ts': 'without it the record stays as it is',
  'updater/commands/read-status.ts': 'who only shows moves nothing',
};

const reads = /\breadJson\(/;

export function keptFileViolations(files: readonly SourceFile[]): Violation[] {
  return files.flatMap((file) => {
    if (!file.path.startsWith('updater/') || ownReaders[file.path] !== undefined) return [];
    const index = file.text.split('\n').findIndex((line) => reads.test(line));
    if (index === -1) return [];
    return [{ path: file.path, line: index + 1, text: 'a file is read by readJson, and not by readKept' }];
  });
}
