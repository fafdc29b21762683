import { resolve } from 'node:path';
import { type CommandLine, exitOk, exitUsage, fail, say, usage } from './command-line.ts';
import type { Wanted } from './commands/request.ts';

/** Which command does what. Each is loaded when it is called: a run must not pay for what it does not use. */

const help = `holdfast-updater: installs, tries and rolls back the agent of this appliance

  setup --server URL --claim CODE   make this machine an appliance of a server (or --claim-file FILE)
  run                               one run: carry on or look for a release, then end
  status                            what runs, what is in the slots, what went on last
  why                               one sentence: why this appliance is on what it is on
  plan [FILE]                       what would be done now, or with a bundle; changes nothing
  plan --rollback [--data-age AGE]  what going back would do, or why it is refused; changes nothing
  install FILE                      install a bundle from a file
  rollback [--data-age AGE]         go back to the previous version of the agent; AGE: where it can not read today's
                                    data, to its data of before, of this age, e.g. 5d, as status says it
  put-aside [TX DIR]                data that was put aside for older data; copies one into a new directory
  retry                             let a release that was rolled back be tried again
  history                           the last transactions
  sources [FILE]                    where releases may come from; set them from a JSON file

  --root DIR   the data partition (default /var/lib/holdfast)
  --json       for programs        --no-wait   do not wait for the end of a request
  --help       this text           --version   the version of this program`;

/** @returns the exit status: 0 done, 1 refused or failed, 64 usage */
export async function runCommand(line: CommandLine): Promise<number> {
  const [command, ...rest] = line.words;
  if (line.options.version) return say(line, line.version, { version: line.version });
  if (line.options.help || command === undefined) {
    line.print(help);
    return line.options.help ? exitOk : exitUsage;
  }
  switch (command) {
    case 'setup':
      return (await import('./commands/setup.ts')).setup(line);
    case 'run': {
      if (line.files.stat(line.layout.updater)?.kind !== 'directory') return noAppliance(line);
      const { runOnce } = await import('./run.ts');
      return runOnce(line);
    }
    case 'probe':
      return (await import('./probe.ts')).probeCommand(line);
    case 'status':
      return (await import('./commands/show.ts')).status(line);
    case 'why':
      return (await import('./commands/show.ts')).why(line);
    case 'history':
      return (await import('./commands/show.ts')).history(line);
    case 'install':
      return rest[0] === undefined
        ? usage(line, 'install needs a FILE')
        : ask(line, { kind: command, file: resolve(rest[0]) });
    case 'rollback':
      return (await import('./commands/request.ts')).rollback(line);
    case 'put-aside':
      return (await import('./commands/put-aside.ts')).putAside(line, rest);
    case 'retry':
    case 'check':
      return ask(line, { kind: command });
    case 'plan':
      return (await import('./commands/plan.ts')).plan(line, rest[0]);
    case 'sources': {
      if (rest[0] === undefined) return (await import('./commands/show.ts')).sources(line);
      return (await import('./commands/request.ts')).setSources(line, rest[0]);
    }
    default:
      return usage(line, `there is no command ${command}`);
  }
}

async function ask(line: CommandLine, wanted: Wanted): Promise<number> {
  return (await import('./commands/request.ts')).request(line, wanted);
}

/** A machine that was set up, and whose data partition did not come: it must not hang, and not begin anew (S47). */
function noAppliance(line: CommandLine): number {
  return fail(
    line,
    'no-appliance',
    `there is no appliance in ${line.layout.root}: ${line.layout.updater} is not there`,
    'If this machine was set up before, its data partition is not mounted: look at findmnt and the disk. Else run setup.',
  );
}
