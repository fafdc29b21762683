/** Every sentence of this program that a person reads. */

/** The agent's start, its settings and its files. */
export const agentTexts = {
  notStarted: (message: string, code: string, next: string) =>
    `the agent did not start: ${message} (${code})\nwhat to do: ${next}\n`,
  settingWrong: 'a setting is wrong; its standard holds',
  settingUnknown: 'agent.json has a field that does nothing',
  settingStandard: (name: string, problem: string, standard: string) => `${name}: ${problem}; ${standard} holds`,
  secretFile: 'the name of a file in agent/secrets',
  settingsHold: 'agent.json: all settings are in force',
  settingsNote: (problems: string) => `agent.json: ${problems}`,
  settingsNotTold: 'what is wrong with the settings cannot be noted for the server: look at the disk',
  notAFile: (path: string) => `${path} is not a file`,
  settingsUnreadable: (why: string) => `agent.json cannot be read, so all standards hold: ${why}`,
  stateReplaced: (kept: string) => `state.db could not be read; it is kept as ${kept}, and a new one was begun`,
  openerNotNoted: 'the version that opened the state cannot be noted: look at the disk',
  up: 'the agent is up',
  stops: 'the agent stops',
  linesLeftOut: 'lines were left out: the same came too often',
  noStart: (path: string) => `there is no ${path}, so this start has no nonce and no state`,
  noStartNext: 'let launch start the agent; it writes that file',
  otherStart: (path: string) => `${path} is not what launch writes`,
  restartNext: 'restart the agent through launch',
  startUnreadable: (path: string, code: string | null) => `${path} cannot be read (${code})`,
  noRelease: (path: string) => `${path} is not a release's description`,
  noReleaseNext: 'install this release again',
  fileTooLarge: (path: string, size: number, bytesMax: number) => `${path} has ${size} bytes, ${bytesMax} are allowed`,
  fileTooLargeNext: 'look at it',
  notSetUp: (path: string) => `there is no ${path}: this appliance is not set up yet`,
  otherCredentials: (path: string, what: string) => `${path} is not what setup writes (${what}): set up again`,
  noJson: 'no JSON',
  credentialsUnreadable: (path: string, code: string | null) => `${path} cannot be read (${code})`,
  socketPathTooLong: (path: string, bytes: number, bytesMax: number) =>
    `${path} has ${bytes} bytes, a socket's path has at most ${bytesMax}`,
  socketPathTooLongNext: 'choose a shorter --root',
} as const;

/** The agent's databases, and the room for them. */
export const storeTexts = {
  readingNotStored: 'a reading could not be stored; trying again at each interval — look at the disk',
  madeRoom: 'there was no room: removed files that are not ours',
  eventDamaged: (body: string) => `the event with this number was damaged in the outbox: ${body}`,
  outboxReplaced: (kept: string) => `outbox.db could not be read; it is kept as ${kept}, and a new one was begun`,
  noFile: (path: string, end: string) => `${path}${end} is not a file`,
  damaged: (path: string, why: string) => `${path} is damaged (${why}): the next start begins a new one`,
  damageFound: 'the start before this one found damage in it',
  otherMeta: 'its table meta is not ours',
  otherReadings: 'its table readings is not ours',
  schemaUnknown: (schema: number, schemaMax: number) =>
    `its schema is ${schema}, and no version that could run here knows one above ${schemaMax}`,
  schemaTooNew: (path: string, schema: number, known: number) =>
    `${path} has schema ${schema}, this version reads up to ${known}`,
  schemaTooNewNext: 'start the version that wrote it, or let the updater put the snapshot back',
  noDatabase: (path: string) => `${path} is not a database that can be read`,
  noDatabaseNext: 'go back to the previous version with its data on the field page; the file is left as it is',
} as const;

/** Check-ins with the server. */
export const checkInTexts = {
  counterExpected: (counter: number) => `the server expects counter ${counter} or above`,
  authorityUnknown: 'the server does not go by the name that it was asked under',
  retired: 'the server retired this appliance; asking once a day, work continues',
  answers: 'the server answers',
  none: 'no check-in; trying again with growing pauses',
  otherAnswer: (status: number, why: string) => `the answer (status ${status}) is not the server's: ${why}`,
  itSays: (text: string, excerpt: string) => `${text}; it says: ${excerpt}`,
  applianceUnknown:
    'the server does not know this appliance: it was restored or begun anew; claim it again with holdfast-updater setup',
  noKnownShape: (problem: string) => `the server's answer has no known shape: ${problem}`,
  workContinues: (unknown: string) => `${unknown}; work continues, and what waits is kept`,
  otherKey: 'the answer is about a key that is not the one here',
  status: (status: number, excerpt: string) => `the server answered with status ${status}: ${excerpt}`,
  answerTooLong: (method: string, url: string, bytesMax: number) =>
    `${method} ${url}: the answer is beyond ${bytesMax} bytes`,
  noAnswer: (method: string, url: string) => `${method} ${url}: no answer`,
  nameNotNoted: 'the name that the server goes by cannot be noted: look at the disk',
  answersBy: (entry: string) => `the server answers ${entry}`,
} as const;

/** Orders, and how they ended. */
export const orderTexts = {
  halfWayFailed: 'orders that a crash left half way are failed',
  halfWayNotNoted: 'orders that a crash left half way cannot be noted as failed yet: look at the disk',
  inhibits: (kind: string) => `the order ${kind} runs`,
  stopped:
    'the agent stopped while this order was under way; whether it took effect is not known, and it is not run a second time — send a new order if it is still wanted',
  atOnce: 'at once',
  kindUnknown: (version: string, kind: string) => `version ${version} of the agent does not know the kind ${kind}`,
  identify: 'identify: this is the appliance that was asked for',
  serverNotReached: (why: string, code: string) => `the server was not reached: ${why} (${code})`,
  diagnosticOnly: (needs: string) => `${needs}; nothing else can be asked yet`,
  dutyRunsOn: (name: string, s: number) =>
    `the duty ${name} has not ended after ${s} s; it runs on until its own deadline`,
  orderUnknown: (name: string, names: string) =>
    names === '' ? `there is no order ${name}` : `there is no order ${name}; there are: ${names}`,
  dutyUnknown: (name: string, names: string) => `there is no duty ${name}; there are: ${names}`,
  updaterAsked: 'the updater was asked to look for a release now; what it does, it reports itself',
  updaterNotAsked: (path: string, code: string) =>
    `the updater could not be asked: ${path} cannot be touched (${code})`,
  notSucceeded: 'an order did not succeed',
  succeeded: 'an order succeeded',
  forAnother: (other: string, appliance: string) => `this order is for ${other}, this appliance is ${appliance}`,
  needsOperatorKey: (kind: string) =>
    `an order of kind ${kind} needs an operator's key, and this agent takes none yet; do it on site`,
  expired: (lateS: number) => `the order expired ${lateS} s before it arrived; send a new one if it is still wanted`,
  ignored: 'an order is ignored: it cannot be trusted or read',
  wasIgnored: (code: string, why: string) => `an order was ignored (${code}): ${why}`,
} as const;

/** Duties: what is done on a schedule. */
export const dutyTexts = {
  cutOff: 'the agent ended while it ran',
  failed: 'a duty failed',
  opened: 'a duty failed again and again: it is left alone for a while',
  notRead: 'what is known of a duty cannot be read; it begins anew',
  notNoted: 'the end of a duty cannot be noted: look at the disk',
  timedOut: (ms: number) => `it did not end within ${ms} ms`,
  stillRuns: 'its last run has still not ended',
  tooLong: (chars: number, charsMax: number) => `${chars} characters of JSON; at most ${charsMax} are taken`,
  tooManyCalls: (callsMax: number) => `${callsMax} calls wait for their answers: wait for them before the next one`,
  linesLeftOut: (linesMax: number) => `further lines of this run are left out: a run may write ${linesMax}`,
  notInModule: (name: string, module: string) => `${module} exports nothing named ${name} of this kind`,
  keyTooLong: (key: string, charsMax: number) => `the key ${key} is longer than ${charsMax} characters`,
  tooManyValues: (valuesMax: number) => `a duty keeps ${valuesMax} values at most: delete some first`,
  valuesTooLarge: (charsMax: number) => `a duty keeps ${charsMax} characters at most: delete some values first`,
  fiveFields: (expression: string) => `${expression}: five fields are needed, from minute to weekday`,
  noTimeZone: (timeZone: string) => `${timeZone}: there is no such time zone`,
  ownName: 'a duty or a check of the agent has this name',
  nameShape: 'lower-case words with hyphens',
  noMethod: (method: string) => `there is no ${method}`,
  tooManyRecords: (recordsMax: number) => `a run makes ${recordsMax} records at most`,
  noSecret: 'the module exports no such secret',
  notExported: (name: string) => `the setting ${name} is not exported by the module: no site can choose it`,
  settingDoesNotFit: (name: string, problem: string) => `the setting ${name}: ${problem}; its standard holds`,
  settingNameShape: 'letters, digits and underscores, with a letter first',
  standardDoesNotFit: (problem: string) => `its standard does not fit its shape: ${problem}`,
  noShape: 'a shape of zod is needed',
  notLookedYet: 'It has not looked yet.',
  lookedLongAgo: 'It looked too long ago.',
  lookFailed: (code: string, error: string) => `It could not look (${code}): ${error}`,
  noFinding: (problem: string) => `what it returned is no finding: ${problem}`,
  says: 'a duty says',
  threadEnded: (code: number) => `its thread ended by itself (${code})`,
  tooMuchMemory: (megabytes: number) => `it used more than ${megabytes} MB of memory`,
} as const;
