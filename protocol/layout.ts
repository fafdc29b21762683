import { join } from 'node:path';

/**
 * Every path of an appliance's data partition, from its root (`/var/lib/holdfast`, any directory in development).
 * One writer for each file: the comment on a line names it. This file imports nothing but Node, because launch uses it.
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
    sources: join(updater, 'sources.json'),
    settings: join(updater, 'settings.json'), // root by hand: the appliance's own root-only settings
    identityKey: join(updater, 'identity.key'),
    identity: join(updater, 'identity.json'),
    agentKey: join(updater, 'agent.key'), // setup: the key that the agent has in its credentials
    counter: join(updater, 'counter.json'),
    events: join(updater, 'events.json'),
    work: join(updater, 'work'),
    snapshots: join(updater, 'snapshots'),
    evidence: join(updater, 'evidence'),
    history: join(updater, 'history.jsonl'),
    refused: join(updater, 'refused.json'),
    /** The state as it was when an updater was armed: what that one makes of the record in its trial counts only when it is committed. */
    armedState: join(updater, 'state.armed'),
    deferred: join(updater, 'deferred.json'),
    slots: join(root, 'slots'),
    /** The directory of one slot: slots/app/0, slots/factory/app. */
    slot: (component: string, name: string): string =>
      name === 'factory' ? join(root, 'slots', 'factory', component) : join(root, 'slots', component, name),
    runtimes: join(root, 'runtimes'),
    answerKeys: join(root, 'answer-keys.json'), // updater; read by the agent
    runtime: (digest: string): string => join(root, 'runtimes', digest),
    // agent/: the agent's user. state.db and agent.json go back with a slot, the rest never does.
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
    /** The agent's own corner of run/: it must be able to make its socket there, and nothing beside it. */
    agentRun: join(run, 'agent'),
    agentSocket: join(run, 'agent', 'agent.sock'),
    status: join(run, 'status.json'), // updater; read by page and status command
    hint: join(run, 'hint'), // made by root, touched by the agent; only its mtime is read
    requests: join(run, 'requests'), // page's user and root
    compiled: join(run, 'compiled'), // updater: what its own code was compiled to
    launched: join(run, 'launched'), // launch
    agentEnds: join(run, 'agent-ends.json'), // launch, where systemd is the process control
    updaterEnds: join(run, 'updater-ends.json'), // launch
    updaterStart: join(run, 'updater-start.json'), // launch: when the updater that is on trial was started
    agentStopping: join(run, 'agent-stopping'), // updater: the run that it stops
    /** The link that launch points at its choice: holds `slot` and `runtime` links and `start.json`. */
    launchedComponent: (component: string): string => join(run, 'launched', component),
  };
}

export type Layout = ReturnType<typeof layoutOf>;

/** The state files that a snapshot copies, in this order; `-shm` is never copied. All are names inside agent/. */
export const snapshotFiles = ['state.db', 'state.db-wal', 'agent.json'] as const;
