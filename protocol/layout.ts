import { join } from 'node:path';

/**
 * Every path of an appliance's data partition, from its root (`/var/lib/holdfast`, any directory in development). One
 * writer for each file: the comment on a line names it. This file imports only Node, because launch uses it.
 */
export function layoutOf(root: string) {
  const updater = join(root, 'updater');
  const agent = join(root, 'agent');
  const run = join(root, 'run');
  const page = join(root, 'page');
  return {
    root,
    // updater/: root only, 0700. All but launch.* are written by the updater.
    updater,
    stateRecords: [join(updater, 'state.0'), join(updater, 'state.1')] as const,
    launchRecords: [join(updater, 'launch.0'), join(updater, 'launch.1')] as const, // launch
    lock: join(updater, 'lock.db'),
    trust: join(updater, 'trust'),
    trustBegins: join(updater, 'trust-begins.json'),
    sources: join(updater, 'sources.json'),
    settings: join(updater, 'settings.json'), // root by hand: the appliance's own root-only settings
    identityKey: join(updater, 'identity.key'),
    identity: join(updater, 'identity.json'),
    agentKey: join(updater, 'agent.key'), // setup: the key that the agent has in its credentials
    knownAuthority: join(updater, 'known-authority.json'),
    counter: join(updater, 'counter.json'),
    events: join(updater, 'events.json'),
    work: join(updater, 'work'),
    snapshots: join(updater, 'snapshots'),
    evidence: join(updater, 'evidence'),
    history: join(updater, 'history.jsonl'),
    refused: join(updater, 'refused.json'),
    /** The state when an updater was armed: what it changes in the record on trial counts only once it is committed. */
    armedState: join(updater, 'state.armed'),
    deferred: join(updater, 'deferred.json'),
    slots: join(root, 'slots'),
    /** The directory of one slot: slots/app/0, slots/factory/app. */
    slot: (component: string, name: string): string =>
      name === 'factory' ? join(root, 'slots', 'factory', component) : join(root, 'slots', component, name),
    runtimes: join(root, 'runtimes'),
    answerKeys: join(root, 'answer-keys.json'), // updater; read by the agent
    networkPath: join(root, 'network-path.json'), // updater; read by the agent, and by no other program
    runtime: (digest: string): string => join(root, 'runtimes', digest),
    // agent/: the agent's user. state.db and agent.json go back with a slot; the rest never does.
    agent,
    stateDb: join(agent, 'state.db'),
    agentSettings: join(agent, 'agent.json'),
    outboxDb: join(agent, 'outbox.db'),
    agentKeys: join(agent, 'keys'),
    agentCredentials: join(agent, 'keys', 'credentials.json'), // setup, once; read by the agent
    agentFactory: join(root, 'agent-factory'),
    // page/: the page's user.
    page,
    pin: join(page, 'pin.json'),
    pinFailures: join(page, 'failures.json'),
    uploads: join(page, 'uploads'),
    // run/: tmpfs.
    run,
    /** The agent's own directory in run/: the agent can create its socket there, and nothing anywhere else in run/. */
    agentRun: join(run, 'agent'),
    agentSocket: join(run, 'agent', 'agent.sock'),
    status: join(run, 'status.json'), // updater; read by page and status command
    hint: join(run, 'hint'), // made by root, touched by the agent; only its mtime is read
    requests: join(run, 'requests'), // page's user; root if there are no separate users, and older commands
    ownRequests: join(run, 'own-requests'), // root's commands: no other user creates or removes a name there
    compiled: join(run, 'compiled'), // updater: the cache of its own compiled code
    launched: join(run, 'launched'), // launch
    agentEnds: join(run, 'agent-ends.json'), // launch, if systemd is the process control
    updaterEnds: join(run, 'updater-ends.json'), // launch
    updaterStart: join(run, 'updater-start.json'), // launch: when the updater that is on trial was started
    agentStopping: join(run, 'agent-stopping'), // updater: the run that it stops
    /** The link that launch points at its choice: it holds the links `slot` and `runtime` and the file `start.json`. */
    launchedComponent: (component: string): string => join(run, 'launched', component),
  };
}

export type Layout = ReturnType<typeof layoutOf>;

/** The state files that a snapshot copies, in this order; `-shm` is never copied. All names are inside agent/. */
export const snapshotFiles = ['state.db', 'state.db-wal', 'agent.json'] as const;
