import { counted } from '../../protocol/counted.ts';
import type { FailureReason } from '../../protocol/state-record.ts';
import { withFullStop } from '../../protocol/text.ts';

/**
 * Every sentence of the updater that a person reads: errors, next steps, answers, pages, help, and lines of the journal. One
 * object a room, in the order of the alphabet; a name says what is told. Loading it does nothing: launch reads it before
 * each start.
 */

/** What each named reason means; the same words on page, command line and dashboard. */
export const reasonTexts: Readonly<Record<FailureReason, string>> = {
  'crash-loop': 'it crashed or hung at each of its starts',
  flap: 'it was healthy and then crashed again and again',
  'wrong-version': 'it reported another version than its release',
  stalled: 'its work stood still while it went on answering',
  'no-answer': 'it did not answer the health check',
  'state-not-migrated': 'it did not finish migrating its state',
  regression: 'a check failed that was good before',
  'server-not-reached': 'it could not reach the server, which it could before',
  'not-seen-by-server': 'the server did not see two check-ins of it',
  deadline: 'it was not healthy for long enough before its deadline',
  inconclusive: 'its trial could not be judged',
  'by-hand': 'a person went back from it',
  'slot-damaged': 'its files were damaged',
};

/** What people call a component. */
export const componentNouns: Readonly<Record<string, string>> = { app: 'agent', updater: 'updater', os: 'system' };

/** The agent's state files: copied, put back, kept aside. */
export const agentDataTexts = {
  notCopiable: (from: string) => `${from} is not a file that can be copied`,
  noRoomAcross: (to: string, from: string) =>
    `${to} is a file system of its own and has no room for ${from}, which is whole`,
  noRoomForAnother: (directory: string, name: string) => `${directory} has no room for another ${name}`,
  noCompleteSnapshot: (tx: number) => `there is no complete snapshot of transaction ${tx}`,
  trialFileStays: (name: string) => `${name} of the trial is still beside the restored state`,
  strangerStays: (name: string) => `${name} is still there after the trial, and does not belong here`,
  notOfSnapshot: (name: string) => `${name} is not what the snapshot holds`,
  onceMore: (message: string, code: string) => `${message} (${code}); once more`,
  unreadable: (code: string) => `it cannot be read (${code})`,
  grew: (limitBytes: number) => `it grew beyond ${limitBytes} bytes`,
  hasNames: (links: number) => `it has ${links} names`,
  belongsTo: (uid: number) => `it belongs to user ${uid}`,
  tooLarge: (sizeBytes: number, limitBytes: number) => `it has ${sizeBytes} bytes, ${limitBytes} are allowed`,
  isKind: (kind: string) => `it is a ${kind}`,
  ofMissingDatabase: 'it belongs to a state.db that was not copied',
} as const;

/** What a run works with: lock, armed record, request. */
export const applianceTexts = {
  recordAsArmed: 'the record is as it was when the new updater was armed',
  cannotBeLocked: (path: string) => `${path} cannot be locked, although it was created again`,
  cannotBeMoved: (side: string) => `${side} is not a regular file and cannot be moved`,
  neitherLockedNorMoved: (path: string) => `${path} can neither be locked nor moved`,
  requestUnreadable: 'what is asked for could not be looked at',
} as const;

/** Which release is wanted, and whether one can go back. */
export const choiceTexts = {
  metadataUnreadable: (message: string) => `the stored release metadata cannot be read: ${message}`,
  anotherThanShown: (there: string) =>
    `Going back would bring ${there} now, which is another version than was shown. Nothing was changed; look again.`,
  nameNoAge: (there: string) => `${there} can read today's data: go back without naming an age, and it is kept.`,
  withDataKept: (here: string, there: string) => `going back from ${here} to ${there}; the data is kept`,
  wrongAge: (wayText: string) => `That is not the age of the data: nothing was changed. ${wayText}`,
  dataDamaged: (there: string, here: string) =>
    `The data that ${there} left is damaged, so going back to it is not possible. ${here} continues to run.`,
  withEarlierData: (here: string, there: string, age: string) =>
    `going back from ${here} to ${there}, with its data of ${age} ago; today's data is put aside`,
  unknownComponent: (component: string, version: string) =>
    `the server wants ${component} ${version}, which this updater cannot install`,
  waits: (name: string, why: string) => `${name} waits: ${why}`,
  olderThanLeft: (leftVersion: string, version: string) =>
    `a person went back from ${leftVersion}, so ${version}, which is older, is not installed automatically`,
  broughtBack: (version: string, why: string) => `the server brings ${version} back while ${why}`,
  named: 'a rollout or an assignment names it',
  wantedHere: 'it wants that here',
  toKeep: (version: string, name: string, assigned: string) =>
    `To keep ${version}: holdfast fleet assign ${name} ${assigned}`,
  noPrevious: 'There is no previous version to go back to. Install a bundle from a file instead.',
  revoked: (previous: string, committed: string) =>
    `${previous} was revoked: it is not among the releases that are listed now, so going back to it is not possible. ${committed} continues to run. Install a release that is listed instead.`,
  belowFloor: (previous: string, securityVersion: number, floor: number, committed: string) =>
    `${previous} has security version ${securityVersion}, and the floor here is ${floor}. ${committed} continues to run. Install a newer release instead.`,
  cannotReadData: (previous: string, committed: string) => `${previous} cannot read the data that ${committed} writes`,
  noEarlierData: (start: string) =>
    `${start}, and its own earlier data is not there, so going back would lose all data. Nothing was changed. Install a newer release instead.`,
  earlierData: (start: string, age: string, days: number) =>
    `${start}. Its own earlier data is still there, and is ${age} of running old: going back to it hides what was stored since. Today's data is then put aside, and kept for ${days} days of running. Keys, orders and reports stay as they are. Install a newer release instead, or name the age, ${age}, to go back.`,
} as const;

/** The appliance's command line: what it answers, refuses and advises. */
export const commandTexts = {
  toSetUp: 'set an appliance up',
  toRun: 'run the updater',
  toGoBack: 'go back',
  toRetry: 'ask for another try',
  toCheck: 'ask for a look at the server',
  toReset: 'reset a number',
  toPlan: 'read what a plan is made of',
  toPutAside: 'read what was put aside',
  wordTooMany: (command: string | undefined, extra: string) => `${command} takes no word ${extra}; nothing was done`,
  toSetSources: 'set sources',
  wordMissing: (command: string | undefined, missing: string) => `${command} needs ${missing}`,
  noCommand: (command: string, meant: string | null) =>
    `there is no command ${command}${meant === null ? '' : ` (did you mean ${meant}?)`}`,
  noAppliance: (root: string, updater: string) => `there is no appliance in ${root}: ${updater} is not there`,
  noApplianceNext: (elsewhere: string) =>
    `${elsewhere} If this machine was set up before, its data partition is not mounted: look at findmnt and the disk. Else run setup.`,
  claimWays:
    'Leave it out and paste it when it is asked for; or --claim-file FILE, or --claim - and write it to standard input.',
  claimShown: 'a claim code among the arguments is shown to every user of this machine, so it is not taken from there',
  claimShownNext: (ways: string) => `${ways} Nothing was changed; where others use this machine, make another code.`,
  claimAsked: 'claim code (not shown):',
  claimMissing: 'no claim code was given',
  claimMissingNext: (ways: string) => `${ways} holdfast claim create makes one.`,
  passwordShown: 'a password among the arguments is shown to every user of this machine, so it is not taken from there',
  passwordShownNext:
    'Write the address of the proxy with its name and password to a file of mode 0600, and give --proxy-file FILE; or set HTTPS_PROXY. Nothing was changed.',
  othersMayRead: (path: string) => `others may read ${path}`,
  othersMayReadNext: (path: string) => `chmod 600 ${path}. Nothing was changed.`,
  notThere: (file: string) => `${file} is not there`,
  notThereNext: 'Check its name. Nothing was changed.',
  pathTooLong: (characters: number, charactersMax: number) =>
    `the path of the file has ${characters} characters; ${charactersMax} are allowed`,
  pathTooLongNext: 'Move it. Nothing was changed.',
  stickThere: 'Check its name, and that the stick is there.',
  notRegular: 'it is not a regular file',
  unreadable: (file: string, why: string) => `${file} cannot be read: ${why}`,
  unreadableNext: 'Name the bundle itself. Nothing was changed.',
  tooLarge: (file: string, size: string, allowed: string) => `${file} has ${size}; ${allowed} are allowed`,
  tooLargeNext: 'Is it a bundle (.hfb)? Nothing was changed.',
  noRoom: (file: string, needed: string, free: string) =>
    `${file} is to be copied onto the data partition: ${needed} are needed, ${free} are free`,
  noRoomNext: 'Make room there, or bring the bundle on a stick, which is read in place. Nothing was changed.',
  otherRoot: (root: string) => `Is the appliance elsewhere? --root DIR names its data; ${root} was looked at.`,
  putAsideWords: 'put-aside needs a TX and a DIR, or neither',
  anotherDirectory: 'Name another directory; what was put aside is as it was.',
  onlyRootReads: 'only root can read what was put aside',
  runAsRoot: 'Run it as root.',
  lookAtDisk: 'Look at that disk, or name another directory; what was put aside is as it was.',
  size: (files: number, megabytes: string) => `${counted(files, 'file')}, ${megabytes} MB`,
  putAsideLine: (tx: number, size: string, path: string) => `${tx}  ${size}, in ${path}`,
  nothingPutAside: 'nothing is put aside',
  nothingPutAsideAs: (tx: string) => `nothing is put aside as ${tx}`,
  nothingPutAsideAsNext: 'See holdfast-updater put-aside for what is.',
  putAsideCopied: (size: string, tx: number, directory: string) =>
    `${size} of ${tx} were copied into ${directory}; what was put aside is as it was`,
  noRun: (run: string, root: string) => `${run} is not there, so nothing is known of an appliance in ${root}`,
  noRunNext: (elsewhere: string) =>
    `${elsewhere} If that is the right one, look at findmnt and the disk: the data partition, or the memory file system for run/, is not mounted.`,
  statusUnreadable: 'the status that the updater wrote cannot be read, so nothing is known',
  noStatus: 'the updater has not written a status since the boot, so nothing is known',
  noStatusNext: 'Start one run; if something stops it, it says what is wrong: holdfast-updater run',
  onlyRoot: (what: string) => `only root can ${what}`,
  askAsRootUnchanged: 'Ask as root. Nothing was changed.',
  settingsAgain: (settings: string) => `Write ${settings} again; runs continue with the settings that were read last.`,
  onlyRootDoes: (message: string) => `only root can do this: ${message}`,
  askAsRoot: 'Ask as root.',
  confined: 'Look at what confines this shell: mount options, attributes of the file, a security module.',
  refusedToRoot: (message: string) => `the system refuses it even to root: ${message}`,
  makeRoom: 'Make room on that disk, then ask again.',
  lookAtThat: 'look at that, then ask again',
  notTaken: 'no updater took the request',
  notTakenNext: 'Start one: holdfast-updater run; the request is still there.',
  notLooked: 'the updater has not looked yet',
  anotherRequest: 'another request took its place',
  notEnded: 'the transaction has not ended',
  seeStatus: 'See holdfast-updater status',
  nothingChanged: 'Nothing was changed.',
  seeWhy: 'See holdfast-updater why',
  continuesToRun: (from: string) => `${from} continues to run.`,
  notLeft: (message: string) => `the request could not be left for the updater: ${message}`,
  notLeftByDisk: (next: string) => `Nothing was changed: ${next}.`,
  notLeftNext: (run: string) =>
    `Nothing was changed. Start one run, which puts ${run} in order, and ask again: holdfast-updater run`,
  notAnAge: (typed: string) => `--data-age needs an age like 7h or 5d, not ${typed}`,
  nothing: 'nothing',
  notInQuarantine: (version: string, rest: string) => `${version} is not in quarantine, which holds ${rest}`,
  sourcesKeys: 'It may have releases, proxy, noProxy, ca and rateBytesPerS. Nothing was changed.',
  notSources: (file: string, why: string) => `${file} does not hold sources: ${why}`,
  counterReset: 'the counter of the updater starts again',
  noCounter: 'no counter of the updater is stored here',
  counterNext: 'The next check-in is refused once, and the server names the number from which it continues.',
  timeReset: 'the trusted time is the time of this build again',
  noTime: 'no trusted time is stored here; that of this build holds',
  timeNext: 'Each verified answer of the server moves it by a day at most, until it is right.',
  eventsReset: 'the events of the updater that the server acknowledged wait again, as far as they are kept',
  noEvents: 'no event that the server acknowledged is kept here',
  eventsNext:
    'They go out with the next check-ins; the server passes over what it already has. The agent offers its own again when the server asks, as after holdfast-server restore.',
  sourcesReset: 'the sources are forgotten: the server itself is asked now, without a proxy, an authority or pins',
  noSources: 'no sources are set here: the server itself is asked, without a proxy, an authority or pins',
  sourcesNext:
    'Sources that the signed metadata names come back with the next metadata; a file sets others until those change: holdfast-updater sources FILE',
  resetNeeds: (names: string) => `reset needs one of ${names}`,
  atWorkNotReset: 'an updater is at work; nothing was reset',
  tryAfterRun: 'Try again when its run has ended.',
  notReset: (why: string) => `nothing was reset: ${why}`,
  onlyRootResets: (message: string) => `only root can reset: ${message}`,
  onlyRootResetsNext: 'Run it as root on the appliance.',
  notResetNext: 'Look at the disk; what could not be reset is as it was.',
  serverMissing: 'Give --server URL. Nothing was changed.',
  noCopy: 'there is no identity here that could be a copy',
  noCopyNext: 'Run setup without --new-identity.',
  atWorkNotChanged: 'an updater is at work; nothing was changed',
  pin: (pin: string) => `\nPIN of the field page (shown once): ${pin}`,
  pinReplaced: (pin: string) => `PIN of the field page (shown once): ${pin}\nThe previous one no longer works.`,
  isAppliance: (name: string, appliance: string, app: string, updater: string, pin: string) =>
    `${name} is appliance ${appliance}: app ${app}, updater ${updater}${pin}`,
  setupAfterThat: 'Then run setup again; nothing was changed.',
  setupContinuesAfter: (next: string) => `${next}. Run setup again: it continues where it stopped.`,
  setupContinues: 'Run setup again: it continues where it stopped.',
  trial: (healthyS: number) => `trial: ${healthyS} s of healthy time (shortened by this appliance's own settings)`,
  onStick: (path: string, text: string) => `on a stick: ${path}: ${text}`,
  noWayBack: (text: string) => `no way back: ${text}`,
  notClaimed: 'not claimed',
  saidThen: (said: string) => `It said then: ${said}`,
  failedTrial: (version: string) => `the failed trial of ${version}:`,
  nothingInstalled: 'nothing was installed yet',
  setByMetadata: 'signed metadata',
  setByStick: 'a stick',
  setByPerson: 'a person, until the signed ones change',
  noSourcesSet: 'No sources are set: releases come from the server itself, without a proxy.',
  sourcesInOrder: 'Releases come from these sources, in this order:',
  serverItself: '  the server itself',
  keysOfServer: (which: string) => `keys of the server: ${which}`,
  keysPinned: 'only those that the sources name',
  keysProven: 'any that its certificate proves',
  noLimit: 'no limit',
  rate: (rateBytesPerS: number) => `${rateBytesPerS} bytes a second`,
  setBy: (who: string) => `set by: ${who}`,
  noAnswerYet: 'No answer over these has been verified yet; the previous network path is tried too.',
  megabytes: (megabytes: string) => `${megabytes} MB`,
  unknown: 'unknown',
  unknownBecause: (why: string) => `Unknown: ${why}`,
  proxy: (proxy: string) => `proxy: ${proxy}`,
  none: 'none',
  rateIs: (rate: string) => `rate: ${rate}`,
} as const;

/** Disk, network and terminal. */
export const effectTexts = {
  tooManyNames: (path: string, namesMax: number) => `${path} holds more than ${namesMax} names`,
  tooLarge: (path: string, sizeBytes: number, bytesMax: number) =>
    `${path} has ${sizeBytes} bytes, ${bytesMax} are allowed`,
  stalled: (url: string, stallMs: number) => `${url} sent nothing for ${stallMs} ms, or next to nothing for longer`,
  timedOut: (url: string, totalMs: number) => `${url} was not done in ${totalMs} ms`,
  encoded: (url: string, encoding: string) => `${url} answers with content-encoding ${encoding}`,
  bodyNotBytes: 'the body is not bytes',
  truncated: (received: number, announced: string) => `${received} of ${announced} bytes arrived`,
  nothingChanged: (operation: string, path: string) => `${operation} ${path}: nothing is changed here`,
  openingForWriting: 'opening for writing',
  aDirectory: 'a directory of the disk',
  aFile: 'a file of the disk',
  notRegular: (path: string) => `${path} is not a regular file`,
  neitherDeviceNorFile: (path: string) => `${path} is neither a block device nor a file`,
  notAName: (name: string, directory: string) => `${name} is not a name in ${directory}`,
  belongsTo: (uid: number) => `belongs to user ${uid}`,
  hasNames: (links: number) => `has ${links} names`,
  heldTooLarge: (directory: string, name: string, sizeBytes: number, bytesMax: number) =>
    `${directory}/${name} has ${sizeBytes} bytes, ${bytesMax} are allowed`,
  notOneFile: (directory: string, name: string, kind: string, links: number) =>
    `${directory}/${name} is a ${kind} of ${links} names`,
  otherOwner: (name: string, uid: number, ownerUid: number | undefined) =>
    `${name} belongs to user ${uid}, not to ${ownerUid}`,
  tooManyRedirects: (url: string, redirectsMax: number) => `${url} redirects more than ${redirectsMax} times`,
  answerTooLarge: (url: string, bytesMax: number) => `${url} answers with more than ${bytesMax} bytes`,
  redirectsNowhere: (from: string) => `${from} redirects to no address`,
  redirectsElsewhere: (from: string, to: string) => `${from} redirects to ${to}`,
  wrongShape: (path: string) => `${path} does not have its shape`,
  nextEntry: (entry: string, message: string) => `${entry}: ${message}; the next entry of the network path is tried`,
} as const;

/** `--help` of each command. */
export const helpTexts = {
  setupDoes: 'make this machine an appliance of a server; asks for the claim code without showing it',
  setupFactory: '--factory DIR: the directory with the factory bundles, if not the image’s',
  setupClaim: '--claim-file FILE, --claim -: the code is in a file of mode 0600, or on standard input',
  setupNewIdentity: '--new-identity: on a copied data partition: a new identity, with a new claim',
  setupProxy: '--proxy URL --ca FILE: the site’s proxy, and a private authority; else HTTPS_PROXY and NO_PROXY apply',
  setupProxyFile: '--proxy-file FILE: a proxy with a name and a password, in a file of mode 0600',
  setupNewPin: 'give the field page another PIN, and print it; needs neither server nor claim',
  setupMore: 'Prints the PIN of the field page once. If it is cut off, the same call continues it.',
  runDoes: 'one run: continue or look for a release, then end',
  statusDoes: 'what runs, what is in the slots, what happened last',
  unknownMore: 'If the updater has not looked for minutes, or since the boot, it says unknown and ends with 1.',
  whyDoes: 'one sentence: why this appliance runs what it runs',
  planDoes: 'what would be done now, or with a bundle; changes nothing',
  planBackDoes: 'what going back would do, or why it is refused; changes nothing',
  checkDoes: 'look for a release now, and wait for the result',
  checkMore: 'With --no-wait it ends when the updater has taken the request.',
  installNeeds: 'a FILE',
  installDoes: 'install a bundle from a file',
  installMore: 'Waits for the end of its trial; with --no-wait it ends when the updater has begun.',
  rollbackDoes:
    'go back to the previous version of the agent; AGE: if it cannot read today’s\ndata, to its earlier data of this age, e.g. 5d, as status shows it',
  rollbackMore: 'It names the version that status showed, and is refused if another one has come meanwhile.',
  putAsideDoes: 'data that was put aside for older data; copies one into a new directory',
  retryDoes: 'try a rolled-back release again; the newest that failed its trial if none is\nnamed',
  historyDoes: 'the last transactions',
  historyMore: 'With --json, one transaction a line.',
  resetDoes: 'reset a number that only rises: counter, trusted-time, acknowledged, sources',
  sourcesDoes: 'where releases may come from; set them from a JSON file',
  pageDoes: 'the field page by itself; page --help tells more',
  options:
    '  --root DIR   the data partition (default /var/lib/holdfast)\n  --json       for programs: one JSON value a line; errors too, on standard error\n  --no-wait    do not wait for the end of a request\n  --help       for all, or for the command before it      --version   the version of this program\n\nExit status: 0 done, 1 refused or failed, 2 wrong usage.',
  title: 'holdfast-updater: installs, tries and rolls back the agent of this appliance',
  tryHelp: (call: string) => `Try: ${call}`,
} as const;

/** Keys, settings, and who owns which directory. */
export const identityTexts = {
  noIdentity: 'this appliance has no identity yet: run holdfast-updater setup',
  identityDamaged:
    "this appliance's identity is damaged, so it has no server; page, files and going back work. Claim it again: holdfast-updater setup",
  belongsElsewhere: (url: string, name: string) => `this appliance belongs to ${url} as ${name}`,
  belongsElsewhereNext: 'Retire it there first, or use an empty data partition.',
  ownerUnknown: 'the identity of this appliance is damaged, and this claim is not from the server that it belonged to',
  ownerUnknownNext: 'Make a claim code on that server, or use an empty data partition.',
  keyNotKept: (path: string) => `${path} does not read back as it was written, and is removed; that key was never used`,
  keyNotKeptNext: 'Look at the disk, then repeat the setup.',
  notPutRight: (message: string) => `cannot be put right: ${message}`,
  cannotBeMoved: (kind: string) => `is a ${kind} and cannot be moved`,
  created: 'was missing and was created',
  createdAgain: (kind: string) => `was a ${kind} in a directory's place: created again`,
  belongedTo: (uid: number) => `belonged to user ${uid}`,
  hadMode: (mode: string) => `had mode ${mode}`,
  putRight: (changes: string) => `${changes}: put right`,
  and: ' and ',
  settingsNotJson: (path: string) => `${path} is not JSON`,
  settingsWrongShape: (path: string) => `${path} does not have its shape`,
  settingsDamaged: (path: string) => `${path} was damaged`,
  lastSettingsHold: (damaged: string) => `${damaged}; the settings that were read last are in force`,
  noSettings: (damaged: string, least: string) =>
    `${damaged} and had no copy; this appliance runs with what it finds on this machine, and without any setting of its own. Write the file again, with at least: ${least}`,
  unknownSetting: (path: string, unknown: string) => `${path}: ${unknown}, so it does nothing; everything else holds`,
} as const;

/** launch, in the journal. */
export const launchTexts = {
  slotNotWhole: (slot: string, component: string) => `slot ${slot} of ${component} is unsealed or incomplete`,
  usage:
    'usage: launch count|point app|updater [--root DIR]\n       launch ended app|updater --invocation ID --code CODE --status STATUS [--root DIR]\n       launch overdue updater [--after-s SECONDS] [--root DIR]\n',
  trialHangs: 'launch: the updater on trial hangs\n',
  endedBadly: (failures: number, code: string, status: string) =>
    `launch: the updater ended badly, ${failures} in a row (${code} ${status})\n`,
  ended: (what: string, asOrdered: string) => `launch: ${what}${asOrdered}\n`,
  nothingStarted: 'nothing of the agent had been started',
  agentEnded: (code: string, status: string) => `the agent ended (${code} ${status})`,
  asOrdered: ', as ordered',
  starts: (component: string, version: string, slot: string) => `launch: ${component} ${version} from slot ${slot}\n`,
  startsNothing: (component: string, why: string) => `launch: starting nothing for ${component}: ${why}\n`,
  outOfBoots: (tx: number) => `transaction ${tx} ran out of boots`,
  outOfTries: (tx: number) => `transaction ${tx} has no tries left`,
  updaterAtWork: (row: string) => `the updater is at work (${row})`,
} as const;

/** What the state table refuses, and what is not compared. */
export const machineTexts = {
  notInSafeMode: 'an updater is not replaced in safe mode',
  notInWindow: (committed: string, previous: string) =>
    `an updater is not replaced while ${committed} can still be taken back to ${previous}`,
  noBaseline: ' Nothing answered before the switch, so no check is compared with before.',
  serverNotCompared:
    ' It does not know the network path of the updater, so whether it reaches the server is not compared.',
} as const;

/** How a transaction ended, and what is kept of it. */
export const outcomeTexts = {
  noSpaceForEvidence: 'there is no space for the evidence',
  putAsideData: (name: string) => `that was put aside in ${name}`,
  trialData: (name: string) => `of the failed trial ${name}`,
  removedByAge: (what: string, days: number) => `the data ${what} is ${days} days old: removed`,
  dataKept: (place: string) => `its data is kept in ${place}`,
  saidLast: (place: string) => `what it said last is in ${place}`,
  putAsideKept: (place: string) => `the data that was put aside is kept in ${place}`,
  leftAfterCommit: (committed: string, why: string, reason: string, version: string) =>
    `${committed} was left after its commit, because ${why} (${reason}); ${version} runs again`,
  servesAgain: (version: string) => `${version} serves again`,
  notEmpty: (directory: string) => `${directory} is there already, and is not an empty directory`,
  notWhatWasPutAside: (path: string) => `${path} is not what was put aside`,
  timelineUnwritable: (message: string) => `the timeline cannot be written: ${message}`,
} as const;

/** The field page and its program. */
export const pageTexts = {
  nowWaits: 'From now on you have to wait between tries.',
  triesLeft: (left: number) => `${counted(left, 'more try', 'more tries')} before you have to wait.`,
  wrongPin: (more: string) => `The PIN is wrong, and nothing was done. ${more}`,
  tooManyPins: (seconds: number) =>
    `Too many wrong PINs. Try again in ${seconds} s; until then, even the right one is not looked at from here.`,
  pinsChecked: 'Other PINs are being checked. Nothing was done; try again in a moment.',
  noPin:
    'This appliance has no PIN, so nothing can be done here. On the appliance, as root: holdfast-updater setup --new-pin',
  triesNotCounted: (why: string) =>
    `The PIN cannot be checked safely, because tries cannot be counted (${why}). Nothing was done.`,
  nothingDone: (message: string) => `Nothing was done: ${message}.`,
  nothingInstalled: (message: string) => `Nothing was installed: ${message}. Send the file again.`,
  updaterNotRunning: (message: string) => `${message}. If this lasts, the updater is not running.`,
  cannotWrite: (code: string) => `Nothing was done: the appliance cannot write (${code}). Is its disk full or broken?`,
  notSources: 'an address begins with http:// or https://, and a rate is a whole number of kB/s',
  anotherForm: 'this is not the form that the page sends',
  noRelease: 'the form names no release',
  typeAge: 'to go back to older data, type its age as the page shows it, e.g. 5d',
  noFile: 'the form has no file',
  twoFiles: 'the form has two files',
  notAFileForm: 'this is not a form with a file',
  leftRequest: (id: string) => `left request ${id}`,
  help: (passwordLengthMin: number) =>
    `holdfast-updater page: the field page by itself, in the foreground. It shows how this appliance is doing and what can be\ndone about it on site.\n\n  --root DIR             the data partition (/var/lib/holdfast)\n  --port PORT            where to listen (7070; 0 takes a free one)\n  --host ADDRESS         127.0.0.1; any other address needs the next three options\n  --tls-key FILE         PEM of the page's key\n  --tls-cert FILE        PEM of its certificate\n  --password-file FILE   the password that every visitor needs, ${passwordLengthMin} characters or more\n  --name NAME            a name by which browsers may reach the page; may be repeated\n  --json                 print where it listens as JSON\n  --help, --version\n\nStarted by systemd with one socket (LISTEN_FDS), it listens there.\n`,
  notAPort: (port: string) => `--port ${port} is not a port`,
  open: (host: string) =>
    `the page would be open to everybody who can reach ${host}: it needs --tls-key, --tls-cert and --password-file`,
  fileUnreadable: (path: string, error: string) => `${path} cannot be read: ${error}`,
  fileUnwritable: (path: string, error: string) => `${path} cannot be written: ${error}`,
  notForAgent: "This page is not for the agent's user. The agent asks the updater through the hint.",
  unknownUser: 'This machine cannot tell which user is asking. Connect again.',
  refusedConnection: (why: string) => `refused a connection: ${why}`,
  notAForm: 'this is not a form of this page',
  formTooLarge: 'the form is larger than any of this page',
  unknownName: 'This page is not known under that name. Use the address that the appliance prints.',
  needsPassword: 'This page needs the password that was set for it.',
  otherSite: 'Another site tried to use this page. Nothing was changed.',
  doesNotExist: (path: string) => `${path} does not exist`,
  certificateUnusable: (tlsCert: string, tlsKey: string, why: string) => `${tlsCert} and ${tlsKey}: ${why}`,
  certificateRenewed: 'the renewed certificate is served',
  certificateKept: (message: string) => `${message}; the ones that were read before are served`,
  passwordTooShort: (path: string, lengthMin: number) => `${path}: ${lengthMin} characters are needed`,
  listens: (url: string) => `field page: ${url}\n`,
  rightUser: 'run it as root, or as the user of the page',
  portTaken: 'another program listens there: take another port with --port',
  partWithoutName: 'a part of the form has no name',
  formEnded: 'the form ended in the middle',
  noBoundary: 'the form does not begin with its boundary',
  boundaryDamaged: 'a boundary of the form is damaged',
  headTooLong: 'the head of a part of the form is too long',
  tooManyParts: 'the form has too many parts',
  answered: (text: string, code: string) => `Your request: ${text}${code}`,
  requestWaits: 'Your request waits for the updater. It should take it within seconds.',
  requestTaken: 'The updater has taken your request. Its answer will show here.',
  nothingHere: 'There is nothing here. The page is at /',
  tooManyPasswords: (leftS: number) => `Too many wrong passwords from here. Try again in ${leftS} s.`,
  notAnAddress: 'The address is not one of this page.',
  nothingTakesThat: 'Nothing here takes that.',
  noStatus: 'The updater has not written a status since the appliance started.',
  unknownStatus: 'The status that the updater wrote is not one that this page reads.',
  statusUnreadable: 'The status that the updater wrote cannot be read.',
  requestsWait: (waiting: number) => `${counted(waiting, 'request waits', 'requests wait')} for the updater already`,
  tookTooLong: 'This took too long, and nothing was done. Send it again.\n',
  ownError: 'The page met an error of its own. Nothing was changed; try again.\n',
  fileTooLarge: (room: string) => `The file is larger than the ${room} that it may have. Nothing was taken.`,
  fileEmpty: 'No file was chosen, or it is empty. Choose a bundle (.hfb).',
  anotherFile: 'Another file is being sent to this page. Wait until it is done.',
  filesWait: (files: number) =>
    `${counted(files, 'file waits', 'files wait')} to be installed already. Let the updater take that first.`,
  noRoom: 'There is no room for a file on the appliance. Nothing was taken.',
  refused: (why: string) => `refused: ${why}`,
  megabytes: (megabytes: number) => `${megabytes} MB`,
} as const;

/** A setting of the agent that is not in force. */
export function settingText(problem: string): string {
  return `agent.json: ${withFullStop(problem)}`;
}

/** A duty of the agent that is in trouble. @param nextInS null: not within a day */
export function dutyText(
  name: string,
  trouble: {
    readonly isLeftAlone: boolean;
    readonly failures: number;
    readonly nextInS: number | null;
    readonly error: string;
  },
): string {
  const { isLeftAlone, failures, nextInS, error } = trouble;
  const times = failures < 2 ? 'failed' : `failed ${failures} times in a row`;
  const next = nextInS === null ? 'is not tried again today' : `is tried again in ${nextInS} s`;
  return `The duty ${name} ${times}${isLeftAlone ? ', is left alone for now,' : ''} and ${next}: ${withFullStop(error)}`;
}

/** What the field page shows: words of the verdict, headings, labels, buttons, and what stands between the facts. */
export const pageWords = {
  verdicts: {
    ok: 'all right',
    updating: 'updating',
    trial: 'on trial',
    attention: 'needs attention',
    blocked: 'blocked',
    safe: 'safe mode',
    unknown: 'unknown',
  },
  appliance: 'Appliance',
  notKnownNow: 'How this appliance is doing is not known.',
  actionsStillWork: 'The actions below still work: the updater reads them when it runs.',
  asOf: (name: string, age: string) => `${name}, as of ${age} ago`,
  noAnswer: 'This page no longer answers.',
  noAnswerMeans: 'What it shows is old, and how the appliance is doing is not known.',
  loadAgain: 'Load again',
  sameForPrograms: 'The same for programs',

  whatYouCanDo: 'What you can do here',
  pinNote: 'Each action needs the PIN that was shown at set-up.',
  noPinNote:
    'Nothing can be done here: the PIN of this page is missing or damaged. On the appliance, as root: holdfast-updater setup --new-pin',
  pin: 'PIN',
  lookNow: 'Look now',
  lookNowText: 'Asks the server for a release now.',
  tryAgain: 'Try again',
  tryAgainText: 'Allows another try of a release that was rolled back here.',
  release: 'Release',
  goBack: 'Go back',
  goBackTo: (to: string) => `Go back${to}`,
  goBackToData: (to: string, age: string) => `Go back${to} and its data of ${age} ago`,
  goesBack: (previous: string) => `Goes back to ${previous}, where its data can be kept.`,
  toVersion: (version: string) => ` to ${version}`,
  versionOf: (version: string) => `version ${version}`,
  versionBefore: 'the version before this one',
  ageOfData: 'Age of the data',
  asShownAbove: 'as shown above',
  installFromFile: 'Install from a file',
  installFromFileText: 'Takes a bundle (.hfb) from this device. It is installed only if its signatures are valid.',
  bundle: 'Bundle',
  install: 'Install',
  networkPathText:
    'Where releases may come from besides the server, and how the server is reached. An empty field means none; the name and password of a proxy are kept and not shown.',
  cache: 'Cache',
  rateUnit: 'kB/s',
  set: 'Set',

  minutes: (minutes: number) => `${minutes} min`,
  days: (days: number) => counted(days, 'day'),
  ago: (span: string) => `${span} ago`,
  unknownTime: 'unknown time',

  versions: 'Versions',
  part: 'Part',
  slot: 'Slot',
  version: 'Version',
  role: 'Role',

  agent: 'Agent',
  state: 'State',
  runs: (process: string) => `runs${process}`,
  process: (pid: number) => ` (process ${pid})`,
  doesNotRun: 'does not run',
  versionNotKnown: 'not known: it does not answer',
  crashes: 'Crashes',
  lastExit: 'Last exit',
  noneSeen: 'none seen',
  exitStatus: (code: number | string) => `status ${code}`,
  exitSignal: (signal: string) => `signal ${signal}`,
  checks: 'Checks',
  notKnown: 'not known',
  told: 'It tells',
  unknown: 'unknown',
  lastWrote: 'What it last wrote:',

  server: 'Server',
  lastTryFailed: 'The last try failed:',
  address: 'Address',
  noServer: 'none: the appliance is not claimed',
  lastAnswer: 'Last answer',
  noneYet: 'none yet',
  beforeStart: (clock: string) => `before the last start; how long ago is unknown (its clock said ${clock})`,
  nextTry: 'Next try',
  whenUpdaterRuns: 'when the updater runs next',
  every: (span: string) => `every ${span}`,
  wanted: 'Wanted',
  nothingNew: 'nothing new',
  why: 'Why',

  trial: 'Trial',
  healthyFor: (healthy: string, needed: string, waits: string, left: string) =>
    `Healthy for ${healthy} of the ${needed} that it needs${waits}; ${left} are left.`,
  waitsForServer: (seen: number, of: number) => `, waiting for two check-ins at the server: ${seen} of ${of}`,
  partOf: (done: number, all: number) => `${done} of ${all}`,

  quarantine: 'Quarantine',
  notTakenAgain: (why: string) => `is not taken again by itself: ${why}`,
  wentBack: 'a person went back from it',
  failedTrial: 'The failed trial',
  onStick: 'On a stick',

  networkPath: 'Network path',
  onlyServer: 'Directly to the server; nothing else is set.',
  noAnswerYet: 'No answer over these has been verified yet; the path that was verified last is tried as well.',
  releasesFrom: 'Releases from',
  serverAt: (address: string) => `server: ${address}`,
  none: 'none',
  proxy: 'Proxy',
  keys: 'Keys',
  onlyPinned: 'only pinned ones',
  anyTrusted: 'any trusted one',
  rate: 'Rate',
  noLimit: 'no limit',
  setBy: 'Set by',

  whatHappened: 'What happened',
  nothingInstalled: 'Nothing has been installed since set-up.',
  fetchedIn: (span: string) => `fetched in ${span}`,
  downFor: (span: string) => `down for ${span}`,
  backIn: (span: string) => `back in ${span}`,

  name: 'Name',
  id: 'Id',
  noId: 'none: it is not claimed',
  updater: 'Updater',
  updaterSeparated: (version: string, isolation: string) => `${version}, separated by: ${isolation}`,
  floorLabel: 'Floor',
  floor: (app: number, updater: number) => `agent ${app}, updater ${updater}`,
  trialsLabel: 'Trials',
  trials: (healthy: string, deadline: string, shortened: string) => `${healthy} healthy within ${deadline}${shortened}`,
  shortened: ' (shortened by this appliance)',
} as const;

/** `plan`: what would be done now, or why nothing would. */
export const planTexts = {
  notAnAge: (typed: string) => `--data-age needs an age like 7h or 5d, not ${typed}`,
  planWords: 'plan takes a FILE, or --rollback, to which --data-age belongs',
  setupFirst: 'Run setup first.',
  onlyRoot: 'only root can read what a plan is made of',
  onlyRootNext: 'Run it as root.',
  slot: (slot: string) => `slot ${slot}`,
  files: (files: number) => counted(files, 'file'),
  ifItFails: (ifItFails: string) => `If it fails: ${ifItFails}`,
  bytes: (toFetch: string, reused: string, written: string, reserved: string) =>
    `Bytes: ${toFetch} to fetch, ${reused} reused from what is here, ${written} written, ${reserved} reserved.`,
  downtimeUnknown: 'unknown, nothing was measured here yet',
  downtimeMeasured: (expectedMs: number, measured: number) =>
    `about ${expectedMs} ms, as in ${counted(measured, 'switch', 'switches')} before`,
  downtime: (expected: string, stateBytes: string) => `Downtime: ${expected}; ${stateBytes} of state are copied in it.`,
  shortened: ", shortened by this appliance's own settings",
  trial: (healthyS: number, deadlineS: number, how: string) =>
    `Trial: ${healthyS} s of healthy time within ${deadlineS} s${how}.`,
  retry: 'Use retry to have that release tried again, or roll out a newer one.',
  givenUpNow: 'The previous version is being given up.',
  givenUpNowNext: 'Wait for its end: holdfast-updater status shows it.',
  looksAtSlots: 'Start one run, which looks at the slots: holdfast-updater run',
  takesUnknown: (subject: string) => `What ${subject} takes is unknown: it cannot be looked at now.`,
  refused: (subject: string) => `${subject} is refused.`,
  stickThere: 'Check its name, and that the stick is there.',
  runsAlready: (version: string) => `Nothing to do: ${version} is what runs; install would change nothing.`,
  notInstalled: (name: string, why: string) => `${name} is not installed now: ${why}`,
  notInstalledNext: 'Install it when that time is over.',
  serverNotAsked: 'the server has not been asked since the boot',
  startRun: 'Start one run: holdfast-updater run',
  wantedUnknown: 'What the server wants is unknown.',
  wantedRuns: (runs: string) => `Nothing to do: ${runs} runs, and it is what the server wants.`,
  serverDecides: 'The server decides that: holdfast fleet shows more.',
  nothingWanted: (runs: string) => `Nothing to do: the server wants no release here; ${runs} runs.`,
  assignIt: 'Install it from a file, or assign it.',
  inQuarantine: (version: string | undefined) => `${version} is in quarantine`,
  belowFloor: (version: string) => `${version} has a security version below the floor here.`,
  refusedBefore: (version: string) => `${version} was refused a short while ago.`,
  triedAgain: (retryIt: string) => `It is tried again by itself. ${retryIt}`,
  windowClosed: (version: string) =>
    `The window of this appliance is closed: ${version} is prepared, and the switch waits for it.`,
  windowClosedNext: 'Wait for the window, or install the release from a file.',
  installNewer: 'Install a newer release: holdfast-updater install FILE',
  withNamedAge: 'Plan it with the age that is named: holdfast-updater plan --rollback --data-age AGE',
  withoutAge: 'Plan it without --data-age.',
  withAge: 'Plan it with the age that is named.',
  lookAgain: 'Look again: holdfast-updater status',
  backRefused: 'Going back is refused.',
  slotNotAsSealed: (slot: string, version: string, reason: string, path: string) =>
    `Slot ${slot} no longer holds what was sealed for ${version}: ${reason} at ${path}.`,
  noRoomForCopy: (bytes: number, free: number) =>
    `The copy of today's state needs ${bytes} bytes, and ${free} are free: the agent is not stopped until there is room.`,
  today: 'today',
  ago: (age: string) => `${age} ago`,
  dataKept: 'the data is kept',
  dataPutAside: "today's data is put aside",
  wouldRunAgain: (version: string, committed: string, data: string, kept: string) =>
    `${version} would run again in place of ${committed}, with its data of ${data}; ${kept}.`,
  readSlot: 'read every byte of the slot, reserve space; wait for nothing',
  copyToday: "copy today's state of the agent",
  putEarlier: (age: string) => `put its data of ${age} ago in the place of today's, and read every byte of it`,
  markBack: (left: string) => `mark the slot as committed; ${left} is not installed automatically again`,
  runsAgainBack: (version: string, slot: string) =>
    `${version} runs again from slot ${slot}, with its state as it was before the switch.`,
  wouldBeInstalled: (component: string, version: string, inPlace: string) =>
    `${component} ${version} would be installed${inPlace}.`,
  inPlaceOf: (from: string) => ` in place of ${from}`,
  sealUpdater: 'seal the slot; try the new updater as a child that can write nowhere',
  flipUpdater: 'flip the state record; launch starts the new updater',
  firstRun: 'its first whole run decides; the agent continues to run',
  verify: 'verify metadata and manifest, reserve space',
  fetch: 'fetch the chunks that nothing here has',
  readBundle: 'read the bundle in place; nothing of it is copied',
  write: 'write the slot, sync it, read it back',
  sealAndWait: 'seal the slot; wait for the window if the agent is healthy',
  seal: 'seal the slot',
  copyState: 'copy the state of the agent',
  mark: 'mark the slot as committed; the previous version is kept',
  baseline: 'record the baseline, stop the agent, prove that it is gone',
  flip: (tries: number) => `flip the state record and start the new version, ${counted(tries, 'try', 'tries')}`,
  judge: (healthyS: number, deadlineS: number) =>
    `judge it until it has been healthy for ${healthyS} s, for at most ${deadlineS} s`,
  leftAlone: (version: string) => `; ${version} is not installed automatically again`,
  continuesToUpdate: (name: string, left: string) => `${name} continues to update; the agent continues to run${left}.`,
  runsAgain: (version: string, slot: string, left: string) =>
    `${version} runs again from slot ${slot}, with its state as it was before the switch${left}.`,
  megabytes: (megabytes: string) => `${megabytes} MB`,
} as const;

/** Process control. */
export const processesTexts = {
  noAnswer: (operation: string, path: string) => `no answer to ${operation} from ${path}`,
  refused: (operation: string) => `${operation} was refused`,
  noAgent: 'the answer names no agent',
  notStopped: (complaint: string) => `systemd did not stop the agent: ${complaint}`,
  systemdSilent: (what: string, complaint: string) => `systemd does not answer to ${what}: ${complaint}`,
  noUsableUnit: (unit: string, load: string | undefined, active: string | undefined) =>
    `systemd has no usable ${unit} (${load}, ${active})`,
  processesOutlive: (processes: string) => `processes of the agent outlive their stop: ${processes}`,
} as const;

/** The state record, and what the loss of a file means. */
export const recordTexts = {
  notKept: (path: string) => `${path} does not read back as it was written`,
  noRecord: (updater: string) => `no state record in ${updater}: run setup first`,
  newerSchema: (schema: number, ownSchema: number) =>
    `the state record has schema ${schema}, this updater knows ${ownSchema}`,
  wrongShape: 'the state record does not have its shape',
  authorityAgain: 'the server says again by which name it goes; until then requests are not bound to it',
  counterAgain: 'the server says which number is next',
  eventsLost: 'what waited for the server is lost, and later events follow',
  historyAgain: 'the list of what was installed starts again',
  timelineUnknown: 'it is no longer known how long the steps of the last update took',
  refusedSooner: 'a release that was refused may be tried again sooner',
  deferredAgain: 'the agent may put off a switch again',
  trialsKeptLonger: 'what is kept of failed trials is kept for longer',
  sourcesLost: 'releases come from the server only, until sources are set or signed again',
  answerKeysAgain: "it is made again from the release metadata; until then the claim's keys count",
  lastSettings: 'the settings that were read last are in force',
  copiedFromSettings: 'it is copied again from the settings',
  copyOrClaim: 'the copy beside it is in force; without one this appliance has to be claimed again',
  copiedFromIdentity: 'it is copied again from the identity',
  copiedFromKey: 'it is copied again from the key',
  copyOrCredentials: 'the copy beside it is in force; without one the agent keeps the credentials that it has',
  lockAgain: 'the lock is created again, for the updater alone',
  withLock: 'it is created again with the lock',
  armedRecord: 'after a failed trial of a new updater, the record stays as that updater left it',
  otherRecord: 'the state comes from the other record, or from the slots',
  startsAgain: 'starts of a trial may be counted again',
  serverAsked: 'the server is asked again',
  answerNotShown: 'the answer to the last request is no longer shown',
  ownAnswerNotShown: 'the answer to the last request of root is no longer shown',
  writtenAgain: 'it is written again',
  copiedFromRoots: 'it is copied again from the roots of trust',
  trustAnew:
    'the trust begins anew from the copy of its roots, and the versions of the release metadata that were seen are forgotten; without a copy this appliance has to be claimed again',
  workAgain: 'work that was begun there starts again',
  snapshotsLost: 'the data that was kept there from before updates is lost',
  evidenceLost: 'what was kept there of failed trials is lost',
  slotsLost: 'the versions that were in it are lost, until a bundle is installed',
  runtimesLost: 'no version can start, until a bundle brings its runtime',
  agentDataLost: 'the agent lost its data',
  factoryDataLost: 'the factory agent lost its data',
  pinLost: "the page's PIN is lost: holdfast-updater setup --new-pin makes another",
  ofThisBoot: 'it was a note of this boot, and is made again',
  unknownLoss: 'what its loss means is not known to this updater',
} as const;

/** Crash loops, damaged slots and lost records. */
export const recoveryTexts = {
  hangs: 'hangs',
  crashes: 'crashes',
  staysAlthough: (version: string, does: string, stays: string | null) =>
    `${version} ${does} again and again. ${stays}`,
  goesBack: (version: string, does: string, previous: string) =>
    `${version} ${does} again and again: it goes back to ${previous} by itself`,
  factoryRuns: 'the factory agent runs on a state of its own',
  noAgentRuns: 'no agent runs, because the factory agent is damaged too',
  recordsLost: (message: string, version: string) =>
    `the state records were lost (${message}); the slots say that ${version} is committed`,
  recordsLostInTrial: 'the state records were lost in its trial',
  damagedGoesBack: (damaged: string, version: string) =>
    `${damaged} is damaged: going back to ${version}, which is whole`,
  safeMode: (why: string, runs: string) => `safe mode: ${why}; ${runs}`,
  nothingProven: 'nothing proven can be started',
  wholeAgain: 'what was damaged is whole again',
  keptAs: (name: string) => ` It is kept as ${name}.`,
  wasDamaged: (place: string, what: string, consequence: string, where: string) =>
    `${place} was damaged (${what}): ${consequence}.${where}`,
  wasEmpty: 'it was empty',
  saysNothing: (sizeBytes: number) => `its ${sizeBytes} bytes say nothing`,
  wasNoFile: 'it was not a file',
  wasKind: (kind: string) => `it was a ${kind}`,
  nameWithoutFile: 'name without a file',
} as const;

/** From a source to a sealed slot. */
export const releaseTexts = {
  notOpened: (path: string) => `${path} cannot be opened as a file`,
  endsBefore: (path: string, position: number) => `${path} ends before byte ${position}`,
  noLongerRead: (path: string, code: string) => `${path} can no longer be read (${code})`,
  sentMore: (url: string) => `${url} sent more than the range asked for`,
  sentLess: (url: string, received: number, expected: number, position: number) =>
    `${url} sent ${received} of ${expected} bytes at ${position}`,
  lengthUnknown: (url: string) => `${url} sends the whole file, and does not say how long it is`,
  anotherFile: (url: string) => `${url} sends another file than before`,
  endsAt: (url: string, at: number, end: number) => `${url} ends at byte ${at} of ${end}`,
  answersWith: (url: string, status: number | string) => `${url} answers with status ${status}`,
  partUnknown: (url: string) => `${url} does not say which part of the file it sends`,
  anotherPart: (url: string) => `${url} sends another part, or a part of another file, than was asked for`,
  carriedRootUnknown: (version: number) => `the carried root ${version} is not the one that is known here`,
  rootMissing: (version: number) => `${version} is missing, which follows the one that is known here`,
  carriesRoots: (version: number, missing: string) => `the bundle carries root ${version}, and root ${missing}`,
  carriedTargetsUnknown: (version: number) => `the carried targets ${version} are not the ones that are known here`,
  carriedTargetsUnsigned: (version: number) =>
    `the carried targets ${version} are not signed as any known root requires`,
  notWritable: (directory: string) => `${directory} cannot be written`,
  needsSpace: (component: string, version: string, needed: string, free: string) =>
    `${component} ${version} needs ${needed} MB on the data partition, ${free} MB are free`,
  needsFiles: (component: string, version: string, files: number, filesFree: number) =>
    `${component} ${version} needs ${files} more files on the data partition, there is room for ${filesFree}`,
  patchBaseUnreadable: (chunk: string) => `what chunk ${chunk} is a patch of cannot be read`,
  noSource: 'there is no source of this bundle',
  otherSize: (name: string, entry: string) => `${name} has ${entry} of another size`,
  wrongDigests: (name: string) => `${name} sends chunks that do not have their digest`,
  notAmongFrames: (position: number) => `byte ${position} of a bundle is not among its frames`,
  fetching: (component: string, version: string) => `fetching ${component} ${version}`,
  noSourceSends: 'no source sends the chunks that were signed',
  endsWithinChunk: (name: string) => `${name} ends within a chunk`,
  notOneFrame: 'it is not one zstd frame, or there is something after it',
  badChunk: (chunk: string, why: string) => `chunk ${chunk} ${why}`,
  notItsLength: 'is not a frame of its length',
  notUnpacked: 'cannot be unpacked',
  notItsDigest: 'does not have its digest',
  metadataOnly: (name: string) => `${name} carries only metadata, and no release`,
  manifestNotUnpacked: (name: string) => `${name} has a manifest that cannot be unpacked`,
  metadata: 'release metadata',
  noTargets: 'there is no trusted targets metadata',
  notListed: (name: string) => `no role lists ${name}`,
  notThere: (url: string) => `${url} is not there`,
  expired: (role: string, version: number) => `${role} metadata ${version} has expired`,
  failedBefore: (subject: string) => `${subject} failed here before`,
  buildWithRuntime: 'Build the release again with its runtime, under a higher version, and publish that.',
  notStarted: (subject: string, why: string) => `${subject} could not be started here: ${why}`,
  belowFloor: (subject: string, securityVersion: number, floor: number) =>
    `${subject} has security version ${securityVersion}, the floor here is ${floor}`,
  floorStep: (securityVersion: number, stepMax: number, floor: number) =>
    `security version ${securityVersion}, more than ${stepMax} above the floor here, ${floor}`,
  wouldShutOut: (subject: string, step: string) =>
    `${subject} has ${step}: it would shut out every release that is numbered below`,
  noOsSlots: 'is an operating system, and this appliance has no os slots that can be written',
  noOsSlotsNext: 'Name its os slots in settings.json, or choose a release of app or updater.',
  needsUpdater: (needed: string | undefined, own: string) => `needs updater ${needed} or newer, this is ${own}`,
  needsUpdaterNext: 'Update the updater first, then install this.',
  needsOs: (needed: string | undefined, here: string) => `needs operating system ${needed} or newer, ${here}`,
  needsOsNext: 'Update the operating system first, or choose a release for the one that is here.',
  follows: (component: string, from: string | undefined, here: string) =>
    `can only follow ${component} ${from} or newer, ${here}`,
  followsNext: (component: string, from: string | undefined) =>
    `Install ${component} ${from} or a newer one that can follow what is here first, then this.`,
  otherHardware: (hardware: string, own: string) => `is for ${hardware}, not for ${own}`,
  unknownHardware: 'this hardware, whose name is not known here',
  otherHardwareNext: 'Choose a release for this hardware.',
  hereUnknown: 'and what is here is not known',
  hereIs: (here: string) => `here is ${here}`,
  notReserved: (message: string) => `no space is reserved, because the file system cannot: ${message}`,
  reservingSpace: 'reserving space',
  reservesMore: (bytes: number, free: number) => `${bytes} bytes are to be reserved, ${free} are free`,
  nextSource: (message: string) => `${message}; the next source is asked`,
  noMetadataSource: 'there is no source of release metadata',
  otherManifest: (url: string) => `${url} holds another manifest than was released`,
  nextSourceAfter: (name: string, message: string) => `${name}: ${message}; the next source is asked`,
  noReleaseNamed: (where: string, why: string) => `${where} holds a manifest that names no release${why}`,
  notAmongListed: (component: string, version: string) =>
    `${component} ${version} is not among the releases that are listed now`,
  listedOtherwise: (component: string, version: string) =>
    `${component} ${version} is listed with another manifest than this one`,
  needsUnknown: (subject: string, needs: string) => `${subject} needs what this updater does not know: ${needs}`,
  manifestUnusable: (subject: string, why: string) => `the manifest of ${subject} is not usable: ${why}`,
  runtimeNotListed: (subject: string) => `the manifest of ${subject} names a runtime that is not the one it lists`,
  otherLength: (name: string, bytes: number, what: string, expected: number | null) =>
    `${name} has ${bytes} bytes of ${what}, not ${expected}`,
  keepingManifest: 'keeping the manifest',
  theTransaction: 'the transaction',
  imageChunkMissing: 'a chunk of the image is not here, or no longer',
  deviceReadsBack: (device: string) => `${device} was written, but reads back as something else`,
  deviceNotWritable: (device: string, code: string) => `${device} cannot be written as a slot (${code})`,
  deviceTooSmall: (device: string, sizeBytes: number) => `${device} is smaller than the image of ${sizeBytes} bytes`,
  writing: (component: string, version: string) => `writing ${component} ${version}`,
  sealing: (component: string, version: string) => `sealing ${component} ${version}`,
  noDevice: (slot: string) => `os slot ${slot} has no device here`,
  readsBackAs: (path: string, reason: string) => `${path} was written but reads back as ${reason}`,
  chunkMissing: (path: string) => `a chunk of ${path} is not here, or no longer`,
} as const;

/** What people ask for and bring. */
export const requestTexts = {
  uploadNotRemoved: 'an upload could not be removed',
  bundleNotRemoved: 'an unneeded bundle could not be removed',
  pathTooLong: (file: string) => `the path ${file} is too long`,
  notThere: (directory: string, name: string) => `${directory}/${name} is not there as a file`,
  notOwn: (directory: string, name: string) => `${directory}/${name} is not a file of the page's own`,
  placesNotInOrder: "the page's directories could not be put in order",
  removedNoKind: (directory: string, name: string, kind: string) =>
    `${directory}/${name} was no ${kind} of its own: removed`,
  removedTooMany: (directory: string, removed: number) =>
    removed === 1
      ? `${directory} held a name that does not belong there, or is too large: removed`
      : `${directory} held ${removed} names that do not belong there, or are too many or too large: removed`,
  pageLeftMore: (files: number) =>
    `The page left more for the updater than it may; ${counted(files, 'file was', 'files were')} removed. Ask again.`,
  pageNotTold: 'the page could not be told',
  answered: (id: string, outcome: string, text: string) => `request ${id}: ${outcome}: ${text}`,
  cutOff: 'It was cut off before it began, and nothing was changed. Ask again.',
  endNotKept: (version: string) => `How it ended was not kept. ${version} runs.`,
  installed: (what: string, text: string) => `${what} is installed. ${text}`,
  continuesToRun: (text: string, from: string) => `${text} ${from} continues to run.`,
  beingInstalled: (before: string, name: string) => `${before}${name} is being installed`,
  serverNotReached: (message: string) => `The server was not reached, or gave no valid answer: ${message}`,
  nothingOther: (runs: string, why: string) =>
    `Nothing new: the server wants nothing other than ${runs}, which is installed.${why}`,
  notInstalled: (what: string, text: string) => `${what} is not installed: ${text}`,
  rolledBackHere: (what: string) => `${what} was rolled back here and is not installed automatically.`,
  nothingNew: (what: string) => `Nothing new: ${what} is installed.`,
  belowFloor: (what: string) => `${what} is below the floor here and is not installed.`,
  refusedBefore: 'it was refused before',
  triedLater: (what: string, why: string) => `${what} is tried again later: ${why}`,
  lookingNow: 'looking for a release now',
  recordsNewer: 'The state records are those of a newer updater; this one changes nothing. Install a bundle instead.',
  networkPathChanged: 'The network path has changed since it was shown. Nothing was changed now; look again.',
  noneInQuarantine: 'no release is in quarantine; looking at the server now',
  nameTheLeft: (version: string) =>
    `no release in quarantine failed its trial here: a person went back from ${version}. To try that again, name it: holdfast-updater retry ${version}`,
  notInQuarantine: 'That release is no longer in quarantine. Nothing was changed; look again.',
  mayBeTried: (version: string) => `${version} may be tried again`,
  onlyUploads: 'The page may only install what was uploaded through it.',
  runsAlready: (version: string) => `${version} is what runs; nothing was changed`,
  notInstalledNow: (name: string, why: string) =>
    `${name} is not installed now: ${why}. Install it again when that time is over.`,
  installingFile: (component: string, version: string, undone: string) =>
    `installing ${component} ${version} from a file${undone}`,
  fileUnreadable: (file: string, code: string) =>
    `${file} cannot be read (${code}). Check its name, and that the stick is there.`,
  stickUnreadable: (message: string) => `a stick cannot be read: ${message}`,
  notFromStick: (component: string) => `${component} releases are not taken from a stick.`,
  runs: (version: string) => `${version} is what runs.`,
  failedTrial: (verdict: string) => `it failed its trial here (${verdict})`,
  wentBack: 'a person went back from it',
  notByItself: (version: string, why: string) =>
    `${version} is not installed automatically: ${why}. Use retry, or install the file.`,
  triedFromStick: (version: string) =>
    `${version} was tried from this stick; see what happened. Use retry to try it again.`,
  notNewer: (version: string, committed: string) => `${version} is not newer than ${committed}, which runs.`,
  notNewerThanPrevious: (version: string, previous: string) =>
    `${version} is not newer than ${previous}, which ran before, so only a person can install it.`,
  operatorChose: (version: string) =>
    `An operator chose the release of this appliance, so ${version} is not installed automatically. Install the file.`,
  olderThanLeft: (left: string, version: string) =>
    `A person went back from ${left}; ${version} is older, so it is not installed automatically.`,
  takenNext: (version: string) => `${version} is taken next.`,
  misspelt: (word: string) => `${word}: a word is misspelt. Nothing was changed.`,
  stickFileUnreadable: (path: string, code: string) =>
    `${path} cannot be read (${code}). Was the stick pulled out? Put it in again.`,
  onStick: (path: string, said: string) => `on a stick: ${path}: ${said}`,
  installingFrom: (component: string, version: string, path: string) =>
    `installing ${component} ${version} from ${path}`,
  notInstalledFrom: (path: string, why: string) => `${path} is not installed: ${why}`,
  notARequest: (directory: string, name: string) => `${directory}/${name} is not a request: removed`,
  notRemoved: (name: string) => `${name} could not be removed`,
} as const;

/** One run, and what may stop it. */
export const runTexts = {
  notRemoved: (message: string) => `what is no longer needed cannot be removed: ${message}`,
  pageLeftNoRoom: 'the page left no room in run/: its files there beyond its quota are removed',
  agentLeftNoRoom: 'run/ is full: the agent is stopped, and its files there are removed',
  anotherAtWork: 'another updater is at work',
  recordsAgain: (why: string) => `${why}; a person brought a bundle: records start again, from what the slots say`,
  continuesToRun: (version: string) => `${version} continues to run`,
  noAgentRuns: 'no agent runs',
  neverSetUp: 'this machine was never set up: there is no identity, and no record of a state',
  neverSetUpNext: 'Run holdfast-updater setup.',
  recordsLost: 'the state records are lost, and no slot, not even factory, says what was installed',
  recordsLostNext:
    'Run holdfast-updater setup again, with the claim code of this appliance: it installs factory again.',
  mayNotRead: 'the updater may not read or write what it needs',
  mayNotReadNext: 'Run it as root, and check that nothing but its unit confines it.',
  readOnly: 'the data partition cannot be changed: the system has made it read-only, as it does after an error',
  readOnlyNext: 'Look at the log of the kernel and at the disk; then start the machine again.',
  noRoom: 'there is no room for the state records, not even for what the updater needs to make room',
  noRoomNext: 'Make room on the data partition; then start one run: holdfast-updater run.',
  diskFails: 'the disk does not keep or give back what is written to it',
  diskFailsNext: 'Look at the log of the kernel; the disk probably has to be replaced.',
  lockFails: 'the lock of the updater can neither be taken nor created again',
  lockFailsNext: 'Look at updater/lock.db on the data partition, and remove it while no updater runs.',
  agentUncontrolled: 'the agent cannot be started and stopped',
  agentUncontrolledNext: 'Look at systemctl status holdfast-agent; the next run tries again.',
  noResources: 'this machine has no memory or no file descriptors left for a run',
  noResourcesNext: 'Look at what uses them up; the next run tries again.',
  unexpected: 'the updater met an unexpected error',
  unexpectedNext:
    'Send the log of holdfast-updater to its maker; after five such ends in a row, the factory updater takes its place.',
  stopped: (why: string, code: string, message: string, next: string) =>
    `The updater was stopped: ${why} (${code}: ${message}). ${next}`,
  statusUnwritable: (message: string) => `its status cannot be written either: ${message}`,
  stoppedLine: (why: string, code: string, message: string, next: string) =>
    `stopped: ${why} (${code}): ${message}. ${next}`,
} as const;

/** Check-ins and the network path. */
export const serverTexts = {
  keysNotTaken: (message: string) => `the keys of the server could not be taken from the stored metadata: ${message}`,
  noNewerKeys: (message: string) => `no newer keys of the server: ${message}`,
  keysNotWritten: (message: string) => `the keys of the server could not be written down for the agent: ${message}`,
  otherAuthority: (authority: string | null) =>
    `the server does not go by ${authority}: requests are not bound to that name`,
  notKnown: 'the server does not know this appliance: it was restored or begun anew',
  notKnownNext: 'claim it again with holdfast-updater setup; it keeps running, and nothing that waits is lost',
  retired: 'the server has retired this appliance',
  retiredNext: 'it keeps running; claim it again to bring it back',
  refused: 'the server refused the check-in',
  refusedNext: 'see its log, or holdfast fleet',
  unreachableNext: 'check cable, name resolution and proxy; the appliance keeps trying',
  impostorNext: 'a captive portal or proxy may be in between; nothing that it said was believed',
  addressAndBoot: (address: string, boot: string) => `${address} (boot ${boot})`,
  sawOther: (addresses: string) => `, the server saw the other one at ${addresses}`,
  and: ' and ',
  agentKey: "the key of this appliance's agent, not its updater's",
  identity: "this appliance's identity",
  keyStolen:
    ". If there is no copy, the agent's key was stolen: retire this appliance, then run that command here with a new claim",
  twoMachines: (what: string, host: string, boot: string, other: string, stolen: string) =>
    `two machines use ${what}. This one is ${host} (boot ${boot})${other}. On the copy, and only there: holdfast-updater setup --new-identity --claim-file FILE${stolen}`,
  authorityNotWritten: (message: string) => `the name that the server goes by could not be written down: ${message}`,
  pathNotWritten: (message: string) => `the network path could not be written down for the agent: ${message}`,
  notTheServer: (code: string) => `what answered is not the server of this appliance (${code})`,
  unnamed: 'unnamed',
} as const;

/** From an empty partition to a claimed appliance. */
export const setUpTexts = {
  otherServerKey: 'the server has another key than when this claim was made; its release metadata is asked',
  unsignedAuthority: (authority: string, problem: string) =>
    `the server does not read what is signed for ${authority} (${problem}): asking without`,
  notTheClaimServer: (url: string) => `what answers at ${url} is not the server of the claim code`,
  notTheClaimServerNext: 'Check the address, and the proxy: give --proxy if the site has one.',
  claimRefused: (message: string, code: string) => `the server refused the claim: ${message} (${code})`,
  claimRefusedNext: 'Make a new claim code on the server.',
  answeredOnTheWay: (status: number, body: string) =>
    `something on the way to the server answered with status ${status}: ${body}`,
  answeredOnTheWayNext:
    'Check the address, and the proxy: --proxy URL if the site has one; --proxy-file FILE if it wants a password.',
  noUsers: 'this machine has no users hf-agent and hf-page',
  noUsersNext:
    "Lay the operating system's part over / and run systemd-sysusers; then run setup again. To try one here: npm run appliance.",
  environmentProxy: 'the environment names a proxy that is not an http:// or https:// address',
  givenProxy: '--proxy or --proxy-file holds no http:// or https:// address',
  proxyNext:
    'Give --proxy http://HOST:PORT; with a name and password before the host, percent-encoded, in a file: --proxy-file FILE. Nothing was changed.',
  tooManyHosts: 'NO_PROXY names too many hosts, or too long ones',
  tooManyHostsNext: 'Shorten it.',
  badAuthority: (path: string, certificatesMax: number) =>
    `${path} does not hold certificates that can be used (one to ${certificatesMax}, PEM)`,
  badAuthorityNext: 'Give the certificate of the authority that signed the one of the server. Nothing was changed.',
  serverAnswers: (entry: string) => `the server answers ${entry}`,
  noFactoryBundle: (factory: string, component: string) => `${factory} holds no bundle of ${component}`,
  noFactoryBundleNext: 'Use the directory that came with the image, or name one that holds both bundles: --factory DIR',
  claimedAs: (name: string, appliance: string) => `claimed as ${name} (${appliance})`,
  factory: (app: string, updater: string) => `factory: app ${app}, updater ${updater}`,
} as const;

/** Why this appliance runs what it runs. */
export const statusTexts = {
  pinMissing:
    'the PIN of the field page is missing or damaged, so nobody can act there. On the appliance, as root: holdfast-updater setup --new-pin',
  factoryDamaged: (noun: string) =>
    `the factory ${noun} is damaged, so nothing is left to fall back to: run holdfast-updater setup again with a claim code of this server, which installs it again`,
  factoryInPlace: (name: string, noun: string) =>
    `${name} is damaged, and the factory ${noun} runs in its place: publish it again, or install its bundle`,
  waitsForServer: (seen: number, of: number) => `, waiting for two check-ins at the server: ${seen} of ${of}`,
  fetched: (version: string) => `${version} is being fetched.`,
  prepared: (version: string, runs: string) => `${version} is being prepared; ${runs} runs.`,
  switchingTo: (version: string) => `Switching to ${version}.`,
  goingBackTo: (version: string, data: string) => `Going back to ${version}${data}.`,
  withData: (age: string) => `, with its data of ${age} ago`,
  updaterOnTrial: (version: string, runs: string) =>
    `${version} is on trial: its first whole run decides; ${runs} runs.`,
  onTrial: (
    version: string,
    healthy: string,
    needed: string,
    waits: string,
    withoutBaseline: string,
    withoutServer: string,
  ) => `${version} is on trial: healthy for ${healthy} of ${needed}${waits}.${withoutBaseline}${withoutServer}`,
  passedTrial: (version: string) => `${version} passed its trial.`,
  failedTrial: (version: string, previous: string) => `${version} failed its trial; going back to ${previous}.`,
  previousOne: 'the previous one',
  factoryAgent: 'the factory agent',
  notKnown: (version: string) => `Whether ${version} runs is not known: process control does not answer.`,
  beingStarted: (version: string) => `${version} is being started`,
  notRunning: (version: string) => `${version} is not running`,
  once: 'once',
  times: (crashes: number) => `${crashes} times`,
  runsAgain: '; it runs again',
  serverNotReached: (message: string) => `the server was not reached: ${message}`,
  crashed: (version: string, times: string, exit: string) => `${version} crashed ${times}${exit}`,
  lastExit: (exit: string | number | null) => ` (last exit: ${exit})`,
  updaterRolledBack: (version: string, why: string, verdict: string, runs: string) =>
    `Updater ${version} was rolled back, because ${why} (${verdict}); ${runs} continues to update.`,
  runsBecause: (version: string, why: string) => `${version} runs: ${why}`,
  wentBackFrom: (version: string) => `a person went back from ${version}.`,
  rolledBack: (version: string, why: string, verdict: string) =>
    `${version} was rolled back, because ${why} (${verdict}).`,
  untilNewer: (text: string) => `${text} Nothing is changed until a newer updater runs, or somebody brings a bundle.`,
  dataNotBack: (version: string) => `the data of ${version} could not be brought back after a trial`,
  filesDamaged: (version: string) => `the files of ${version} are damaged`,
  noneProven: 'no proven version can be started',
  safeMode: (reason: string, runs: string) => `Safe mode: ${reason}. ${runs} Install a bundle.`,
  nothingErased: (inSafe: string) => `${inSafe}; nothing is erased`,
  lastTryStopped: (why: string) => `the last try stopped: ${why}`,
} as const;

/** From resolving to commit or rollback. */
export const transactionTexts = {
  placesNotInOrder: (message: string) => `the agent's directories could not be put in order: ${message}`,
  credentialsLost:
    "the agent's credentials are damaged and there is no copy of its key, so it cannot check in. Claim this appliance again: holdfast-updater setup",
  credentialsRestored: "the agent's credentials were not what setup had written; they have been restored",
  passedTrial: (name: string) => `${name} passed its trial`,
  wentBackByItself: (from: string, version: string) =>
    `${from} crashed or hung again and again; went back to ${version} by itself`,
  wentBack: (version: string) => `went back to ${version}`,
  wentBackWithData: (version: string, age: string, without: string) =>
    `went back to ${version} and its data of ${age} ago.${without}`,
  dataKept: (from: string, place: string, days: number, others: number) =>
    `The data of ${from} is kept in ${place}, for ${days} days of running or until ${others} more are kept.`,
  doesNotWait: (version: string) => `${version} answers and is not healthy: the switch does not wait`,
  givenUpForPerson: (version: string) => `${version} waits, and is given up for what a person asks`,
  noLongerWaits: (version: string, why: string) => `${version} no longer waits: ${why}`,
  putOffLongEnough: 'it was put off for long enough',
  noSpaceToCount: 'there is no space to count',
  waits: (version: string, why: string) => `${version} waits: ${why}`,
  cannotSwitchOs: 'nothing here can switch to an operating system',
  noOsSlots: 'this appliance has no os slots to write',
  osSlotNotWritable: (slot: string | null) => `os slot ${slot} is not one that can be written here`,
  osSlotNotWritten: (slot: string, reason: string, path: string) =>
    `os slot ${slot} is not what was written: ${reason} at ${path}`,
  osWritten: (version: string, slot: string, runs: string) =>
    `os ${version} is in slot ${slot}, complete and verified; this machine continues with slot ${runs}, because nothing here can switch its boot loader`,
  updaterNotInstalled: (version: string, text: string) =>
    `updater ${version} was not installed: tried as a child of this one, ${text}`,
  probeTimedOut: (timeoutS: number, complaint: string) =>
    `it did not end within ${timeoutS} s, or was killed: ${complaint}`,
  probeSaidNothing: (code: number, complaint: string) =>
    `it ended with ${code} and did not say how it went: ${complaint}`,
  probeFound: (message: string, code: string) => `it found: ${message} (${code})`,
  probeEnded: (code: number, complaint: string) => `it ended with ${code}: ${complaint}`,
  probeVersion: (version: string) => `it says that it is ${version}`,
  probeWroteNothing: 'it did not write the record',
  probeSchema: (schema: number) => `it writes schema ${schema} before it is committed`,
  probeChangedRecord: 'it changed the record, which it should only have rewritten',
  todayNotCopied: (why: string) => `today's data could not be copied completely: ${why}`,
  findsData: (version: string, age: string) => `${version} finds its data of ${age} ago`,
  notPutBack: (why: string) => `its earlier data could not be put back: ${why}`,
  noCopy: 'there is no copy',
  givenUpForNewer: (version: string) => `${version} is given up for something newer`,
  notInstalled: (version: string, message: string, code: string, next: string) =>
    `${version} was not installed: ${message} (${code}). ${next}`,
  bytesFetched: (version: string, fetchedBytes: number, fetchedMs: number) =>
    `${version}: ${fetchedBytes} bytes fetched in ${fetchedMs} ms`,
  manifestGone: 'the manifest of the transaction is no longer here',
  bundleChanged: (path: string) => `${path} is no longer the bundle that was verified`,
  rolledBack: (version: string, why: string, reason: string, text: string) =>
    `${version} was rolled back, because ${why} (${reason}): ${text}.`,
  trialDataKept: (place: string, days: number) =>
    `Its data is kept in ${place} until a later version is committed, for ${days} days of running at the most.`,
  noDataKept: 'None of its data was kept.',
  didNotAnswer: (withinS: number) => `the agent did not answer within ${withinS} s of its start`,
  slotNotSealed: (slot: string, reason: string, path: string) =>
    `slot ${slot} is not what was sealed: ${reason} at ${path}`,
  noLongerWanted: (version: string) => `${version} is no longer wanted: a newer decision came`,
  agentNotStopped: (message: string) => `the agent cannot be stopped: ${message}`,
  stateNotCopied: (message: string) => `the state cannot be copied: ${message}`,
  runNotWhole: 'this updater does not reach the server, which the previous one could reach: the run is not whole',
  powerFailed: 'the power failed too often for a verdict',
  lastExit: (exit: string | number | null) => ` (last exit: ${exit})`,
  endedBeforeWhole: (tries: number, how: string) =>
    `it ended ${counted(tries, 'time')} before its first whole run${how}`,
  serverNotReached: 'it does not reach the server, which the previous updater could reach and still can',
  noWholeRun: (tries: number) => `none of its ${tries} runs was whole, and the server cannot be reached now either`,
} as const;

/** Release metadata and sources, and what to do when a release is refused. */
export const trustTexts = {
  network: 'The updater tries again by itself; check the network and the server if it keeps happening.',
  fileNotWhole: 'The file is not whole: copy it again, wait until the copy is complete, and check the stick.',
  fetchAgain: 'Fetch it again, or take another copy of the file; publish the release again if every copy fails.',
  signing:
    'The updater tries again by itself. If this continues, ask the people who sign releases; do not install files of unknown origin.',
  redirectRefused: 'Check for a captive portal or proxy between appliance and server.',
  encoded: 'Check for a proxy that compresses answers between appliance and server.',
  rangeIgnored: 'Check for a proxy that drops Range headers, or install from a file.',
  chunkMissing: 'The updater fetches what is missing by itself.',
  buildAgain: 'Build and publish the release again.',
  deviceUnusable: 'Check the os slots in settings.json, and that the slot is not mounted.',
  disk: 'Check the disk: the updater tries again by itself.',
  noSpace: 'Make room on the data partition; the updater tries again by itself.',
  readOnly: 'Find out why the data partition cannot be written: a worn-out disk often turns read-only.',
  slotDamaged: 'The updater writes the slot again by itself; check the disk if it keeps happening.',
  noFile: 'Check the name of the file, and that the stick is still there.',
  floor: 'Choose a release with a security version that is not below the floor.',
  floorStep: 'Build the release again with a security version that is near the one before it.',
  incompatible: 'Update the updater first, or choose a release that this one understands.',
  quarantined: 'Use retry to try it again, or roll out a newer release.',
  chooseListed: 'Choose a release that is still listed.',
  otherClaim: 'Make a new claim code on the right server and set the appliance up with it.',
  expired: 'The server must sign fresh metadata; a file can be installed on site meanwhile.',
  notThere: 'it is not there',
  notJson: 'it is not JSON: look for a comma or a quotation mark that is missing, or one too many',
  notPlain: 'it is no file, or too large for one',
  numberTooLarge: (seq: number, stepMax: number, knownSeq: number) =>
    `The number of these sources, ${seq}, is more than ${stepMax} above the one here, ${knownSeq}. Nothing was changed. Leave the number out, or give one near it.`,
  inUse: 'These sources are in use already.',
  newTried: 'The new sources are tried; the former path is kept until they are verified.',
  known: 'They are known.',
  signedTried: 'The signed sources are tried; the former path is kept until they are verified.',
  unusable: (why: string) => `These are not sources that can be used${why}. Nothing was changed.`,
  trustLost:
    'this appliance lost its root of trust: releases cannot be verified; claim it again with holdfast-updater setup',
  trustAnew:
    'the root of trust was lost and is begun anew from its copy: the versions of the release metadata that were seen are forgotten; floors and quarantine stay',
  trustNotAnew: (message: string) =>
    `the root of trust was lost and cannot be begun anew from its copy, so releases cannot be verified: ${message}`,
  rootNotOfClaim: 'the root of trust that the server sent is not the one of the claim code',
  noRoot: 'this appliance has no root of trust yet: run setup',
} as const;

/** The client for the conformance suite of The Update Framework. */
export const tufTexts = {
  usage:
    "The updater's client of The Update Framework, for the public conformance suite of such clients.\n\n  tuf --metadata-dir D init ROOT\n  tuf --metadata-dir D --metadata-url U refresh\n  tuf --metadata-dir D --metadata-url U --target-name N … --target-base-url U --target-dir D download\n\nExit status: 0 done, 1 refused or failed, 2 wrong usage. Stored metadata has the name of its role, without a version.",
  needed: (name: string) => `--${name} is needed`,
  needsRoot: 'init needs a ROOT',
  notThere: (rootFile: string) => `${rootFile} is not there`,
  status: (url: string, status: number) => `${url} answers with status ${status}`,
  notTheFile: (name: string) => `${name} is not the file that the targets metadata names`,
  nameOneOf: 'name one of: init ROOT, refresh, download',
} as const;

/** Verdicts of trials, and what the committed version does. */
export const verdictTexts = {
  withoutReason: 'without saying why',
  asksToWait: (runs: string, said: string, left: string) =>
    `${runs} asks not to be stopped now: ${said}; the switch waits for it for at most ${left} more`,
  previousVersion: 'the previous version',
  staysNoPrevious: 'It stays, because there is no previous version to go back to',
  staysTriedOnce: (before: string) => `It stays, because going back to ${before} was tried once, and failed`,
  staysRevoked: (before: string) => `It stays, because ${before} was revoked`,
  staysBelowFloor: (before: string) => `It stays, because ${before} is below the floor`,
  staysCannotRead: (before: string) =>
    `It stays, because ${before} cannot read today's data; only a person can go back to the older data`,
  staysInQuarantine: (before: string) => `It stays, because ${before} is in quarantine`,
  staysDamaged: (before: string) => `It stays, because ${before} is damaged`,
  goesBackInWindow: (before: string) => `It goes back to ${before} by itself when the window opens`,
  goesBackWithServer: (before: string, minutes: number) =>
    `It goes back to ${before} by itself when the server answers that the window is open, or after ${minutes} min without an answer`,
  healthy: 'runs and is healthy',
  notKnownYet: 'runs; whether it works is not known yet',
  silent: (minutes: number) => `runs, but has not answered for ${minutes} min`,
  standsStill: (minutes: number) => `runs and answers, but its work has stood still for ${minutes} min`,
  notAlive: 'the process does not live',
  noAnswer: 'it does not answer',
  notStartedByLaunch: 'what answers is not what launch started',
  workStandsStill: 'its work stands still',
  notMigratedYet: 'its state is not migrated yet',
  worseNow: (checks: string) => `worse than before: ${checks}`,
  serverUnknown: 'it does not reach the server, and whether the updater does is not known yet',
  serverNotReached: 'it does not reach the server, which the updater reaches',
  saysVersion: (version: string) => `it says that it is ${version}`,
  powerFailed: 'the power failed too often for a verdict',
  triesLost: 'the record of its tries was lost',
  healthyThenEnded: (tries: number) => `it was healthy and then ended ${counted(tries, 'time')}`,
  endedInTries: (tries: number) => `it ended ${counted(tries, 'time')} in ${counted(tries, 'try', 'tries')}`,
  notMigrated: (time: string) => `its state was not migrated after ${time}, which is what its release asks for`,
  stoodStill: (time: string) => `its work stood still for ${time} while it went on answering`,
  noValidAnswer: (time: string) => `it gave no valid health answer for ${time}`,
  worseThanBefore: (checks: string) => `worse than before the switch: ${checks}`,
  serverLost: 'it does not reach the server, which it could before and the updater can now',
  notSeen: 'the server has not seen two check-ins of it',
  notHealthyLongEnough: 'it was not healthy for long enough',
  after: (time: string, because: string) => `after ${time}: ${because}`,
  needsMoreTime: 'it needs more healthy time',
  minutes: (minutes: number) => `${minutes} min`,
  hours: (hours: number, minutes: number) => `${hours} h ${minutes} min`,
} as const;

/** The committed agent and its slot. */
export const watchTexts = {
  runtimeOfSlot: (slot: string) => `the runtime of slot ${slot}`,
  slot: (slot: string) => `slot ${slot}`,
  damagedAt: (reason: string, path: string, place: string) => `${reason} at ${path} in ${place}`,
  slotDamaged: (version: string, why: string) => `${version} is damaged: ${why}`,
  endedByItself: (version: string, exit: string | number | null, saidLast: string) =>
    `${version} ended by itself (${exit})${saidLast}`,
  saidLast: (word: string) => `; it said last: ${word}`,
  processControl: (why: string) => `process control: ${why}`,
  endedBadly: (given: string, failures: number, version: string) =>
    `updater ${given} ended badly ${failures} times in a row; ${version} runs in its place`,
  endedAndStarted: (version: string, does: string) => `${version} ${does}: it is ended and started again`,
  doesNotEnd: (message: string) => `it does not end: ${message}`,
} as const;

const dayMinutes = 24 * 60;

function lookAge(minutes: number): string {
  if (minutes < dayMinutes) return `${minutes} minutes`;
  const days = Math.floor(minutes / dayMinutes);
  if (days >= 365) return 'more than a year';
  return days === 1 ? 'a day' : `${days} days`;
}

/** Ages and cut texts. */
export const wordTexts = {
  notLooked: 'The updater has not looked since the appliance started.',
  noRoomForStatus: 'Its disk is full: the updater has no room to say how it is. Make room, or look at the journal.',
  notLookedFor: (minutes: number) => `The updater has not looked for ${lookAge(minutes)}. What follows is from then.`,
  leftOut: (characters: number, whole?: string) =>
    `\n… ${counted(characters, 'character')} left out${whole === undefined ? '' : `; all of it is in ${whole}`} …\n`,
} as const;
