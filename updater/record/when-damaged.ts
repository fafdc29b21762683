import { recordTexts } from '../words/texts.ts';

/**
 * What the loss of a file means that can be created again: one table, by file name, for the sentence that people read.
 * A file that is not in it may stop a run (what-may-stop.ts), is verified against something signed (files in slots/,
 * runtimes/, trust/), or is one of many in a directory that is pruned.
 */
const consequences: Readonly<Record<string, string>> = {
  'known-authority.json': recordTexts.authorityAgain,
  'counter.json': recordTexts.counterAgain,
  'events.json': recordTexts.eventsLost,
  'history.jsonl': recordTexts.historyAgain,
  'timeline.jsonl': recordTexts.timelineUnknown,
  'refused.json': recordTexts.refusedSooner,
  'deferred.json': recordTexts.deferredAgain,
  'trial-ages.json': recordTexts.trialsKeptLonger,
  'sources.json': recordTexts.sourcesLost,
  'answer-keys.json': recordTexts.answerKeysAgain,
  'settings.json': recordTexts.lastSettings,
  'settings.json.good': recordTexts.copiedFromSettings,
  'identity.json': recordTexts.copyOrClaim,
  'identity.json.good': recordTexts.copiedFromIdentity,
  'identity.key': recordTexts.copyOrClaim,
  'identity.key.good': recordTexts.copiedFromKey,
  'agent.key': recordTexts.copyOrCredentials,
  'agent.key.good': recordTexts.copiedFromKey,
  'lock.db': recordTexts.lockAgain,
  'lock.db.change': recordTexts.lockAgain,
  'lock.db-journal': recordTexts.withLock,
  'lock.db-wal': recordTexts.withLock,
  'lock.db-shm': recordTexts.withLock,
  'lock.db.change-journal': recordTexts.withLock,
  'lock.db.change-wal': recordTexts.withLock,
  'lock.db.change-shm': recordTexts.withLock,
  'state.armed': recordTexts.armedRecord,
  'state.0': recordTexts.otherRecord,
  'state.1': recordTexts.otherRecord,
  'launch.0': recordTexts.startsAgain,
  'launch.1': recordTexts.startsAgain,
  'last-answer.json': recordTexts.serverAsked,
  'last-request.json': recordTexts.answerNotShown,
  'last-own-request.json': recordTexts.ownAnswerNotShown,
  'status.json': recordTexts.writtenAgain,
  'trust-begins.json': recordTexts.copiedFromRoots,
};

/** Directories of updater/ and of the data partition, if something else took their place. */
const directories: Readonly<Record<string, string>> = {
  trust: recordTexts.trustAnew,
  work: recordTexts.workAgain,
  snapshots: recordTexts.snapshotsLost,
  evidence: recordTexts.evidenceLost,
  slots: recordTexts.slotsLost,
  runtimes: recordTexts.runtimesLost,
  agent: recordTexts.agentDataLost,
  'agent-factory': recordTexts.factoryDataLost,
  page: recordTexts.pinLost,
};

/** Notes in run/, which each boot forgets anyway. */
const ofThisBoot = recordTexts.ofThisBoot;
const unknown = recordTexts.unknownLoss;

/** For files in updater/ or beside it. */
export function consequenceOf(name: string): string {
  return consequences[name] ?? directories[name] ?? unknown;
}

/** For files in run/. */
export function consequenceInRun(name: string): string {
  return consequences[name] ?? ofThisBoot;
}

/** The names in the tables. */
export const knownNames: readonly string[] = [consequences, directories].flatMap((table) => Object.keys(table));
