import { counted } from '../protocol/counted.ts';

/** Every sentence of this program that a person reads. */

/** `holdfast-server`: its commands and options, and what they print. */
export const commandTexts = {
  program: 'The Holdfast server: check-ins, releases, orders, dashboard.',
  serve: 'Serve until SIGTERM or SIGINT; SIGHUP takes a renewed certificate at once',
  serveData: 'where everything is kept',
  serveHost: 'address to listen on',
  servePort:
    'port to listen on; 0: any free one, for this start only (default: the port of the last start; at the first start 7080, or the next free one)',
  servePace: 'time between two check-ins of a program',
  servePublicUrl:
    'URL where appliances and people reach it; repeat it for each further name. Claim codes carry the first',
  serveOpenToThisHost: 'everybody on this machine may read the dashboard without the token; changes need it',
  serveTrustedProxy:
    'a reverse proxy whose X-Forwarded-For is believed: an IP address or a block; repeat it for each. Bounds then count by client',
  serveConnectionsMax: 'bound for all connections together',
  serveConnectionsPerPeer: 'bound for the connections of one address',
  serveTlsCert: 'certificate chain, PEM; a renewed one is taken while the server runs',
  serveTlsKey: 'private key, PEM',
  serveTokenFile: 'where to write the operator token when it is made',
  json: 'print one JSON line',
  backup: 'Write database, keys and metadata to one file, while the server runs; it is as secret as the keys',
  backupData: 'the data of the server',
  backupOut: 'the file to write, or a directory to write one into',
  backupReplace: 'overwrite an existing file',
  restore: 'Replace the data of a server that does not run with a backup',
  restoreData: 'where the server will keep everything',
  restoreFrom: 'the backup',
  restoreReplace: 'set aside what is in the directory',
  token: 'Make another operator token; the previous one and its sessions end at once',
  tokenData: 'the data of the server, which may run',
  tokenFile: 'where to write it (default: it is shown, once)',
  tokenIs: (token: string) => `The operator token is ${token} (shown once).`,
  tokenIsIn: (file: string) => `The operator token is in ${file}.`,
  previousToken: (plain: string) => `${plain} The previous one no longer works.`,
  backupWithoutBundles: (releases: string) => `\nIt does not hold the bundles of ${releases}: keep those too.`,
  backupMade: (file: string, bytes: number, bundles: string) =>
    `The backup is ${file} (${bytes} bytes). It holds the keys of the server: keep it secret.${bundles}`,
  problem: (code: string, message: string, next: string) => `${code}: ${message}\nNext: ${next}`,
  defectNext: 'look at the log of the server',
  usageNext: (program: string) => `${program} --help lists commands and options`,
  notWhole: 'It must be a whole number.',
  notBetween: (min: number, max: number) => `It must be a number between ${min} and ${max}.`,
  listens: (url: string, first: string) => `holdfast server listens on ${url}${first}\n`,
  firstToken: (token: string, hashAt: string) => ` · operator token ${token} (shown once; stored in ${hashAt})`,
  tokenWrittenTo: (file: string, hashAt: string) => ` · operator token written to ${file} (stored in ${hashAt})`,
  digestOnly: (database: string) => `${database} (digest only)`,
  tokenFileNotWritten: 'was not written',
  tokenFileOfAnother: 'holds another token, and stays as it is',
  tokenFileStays: (path: string, what: string) =>
    `token-file-not-written: ${path} ${what}: the operator token was made at an earlier start, and only its digest is kept`,
  tokenFileStaysNext: (text: string) =>
    `${text}\nNext: use the file that it was written to then, or make another token: holdfast-server token --data DIR\n`,
  nextStartMakesAnother: 'the next start makes another token and writes that',
  nothingReplaced: 'nothing was replaced: the previous token is still in use',
  tokenNotWritten: (path: string, why: string) => `the operator token could not be written to ${path}: ${why}`,
  tokenNotWrittenNext: (otherwise: string) => `give --token-file a path that can be written; ${otherwise}`,
  stopFailed: (why: string) => `stop: ${why}\n`,
} as const;

/** Why the server, or a command on its data, does not start. */
export const startTexts = {
  noData: (data: string) => `there is no server.db in ${data}`,
  noDataNext: 'name the directory that the server serves',
  dataNotAccessibleNext: 'run it as the user whose data it is (ls -ld names the user)',
  dataNotAccessible: (path: string, code: string) => `${path} cannot be used by this user (${code})`,
  notAFile: (path: string) => `${path} is no file, and the server needs one there, or nothing`,
  notADirectory: (path: string) => `${path} is no directory, and the server needs one there, or nothing`,
  notAFileNext: (path: string) => `look at what it is, and move it away: mv ${path} ${path}.aside`,
  noHeader: 'it does not begin as a database does; it and what lies beside it are as they were',
  emptyDatabase: (path: string) => `${path} is empty`,
  diskFullNext: (path: string) => `make room on the disk of ${path}, then do the same again`,
  diskFull: (path: string, why: string) => `the disk of ${path} is full: ${why}`,
  portNotAllowedNext: 'take a port above 1023, or let systemd give this program CAP_NET_BIND_SERVICE',
  addressNotHereNext: 'take an address of this machine, or 127.0.0.1, as --host',
  listenOn: (host: string, port: number) => `listen on ${host} port ${port}`,
  portTakenNext:
    'stop that program, or take another port with --port, which is then kept; claim codes and appliances know the previous address',
  portTaken: (where: string) => `${where}: another program listens there`,
  listenNext: 'take another --host or --port',
  listenRefused: (where: string, why: string) => `${where}: the system refuses it (${why})`,
  oneTlsFile: 'only one of --tls-cert and --tls-key is given',
  oneTlsFileNext: 'give both, or neither',
  ownDirectoryNext: 'give --data a directory of its own',
  directoryOfEverybody: (data: string) => `${data} is a directory for everybody`,
  directoryOfAnother: (path: string) => `${path} belongs to another user, who may let others read it`,
  directoryOfAnotherNext: 'run as its owner, or chown it',
  notLoopback: (host: string) =>
    `listen on ${host}: that is not loopback, so it needs TLS and a name. Give --tls-cert, --tls-key and --public-url, or leave --host out`,
  publicUrlInvalid: (url: string, why: string) => `--public-url ${url} ${why}`,
  proxyInvalid: (proxy: string, why: string) => `--trusted-proxy ${proxy} ${why}`,
  openBeyondThisHost:
    '--open-to-this-host is for a server that only this host reaches: leave it out, or leave out --host, --public-url and --trusted-proxy',
  noProxyAddress: 'is not an IP address: give the address that the proxy connects from, or a block like 10.0.0.0/24',
  noPrefixLength: (bitsMax: number) => `has no prefix length between 1 and ${bitsMax}`,
  renewedPairUnusable: (message: string) => `${message}; the ones that were read before are served`,
  pairUnusableNext: 'give the PEM files of a certificate chain, the one of the server first, and of its key',
  pairUnusable: (certFile: string, keyFile: string, why: string) => `${certFile} and ${keyFile}: ${why}`,
  tlsFileUnreadable: (path: string, code: string) => `${path} cannot be read (${code})`,
  tlsFileUnreadableNext: 'check its name and who may read it',
  restoreUnfinished: (data: string) => `a restore of ${data} was cut off, so that parts of it are of two databases`,
  restoreUnfinishedNext: 'run it again: holdfast-server restore --data DIR --from BACKUP',
  dataDamaged: (path: string, why: string) => `${path} is damaged: ${why}`,
  restoreNext: 'holdfast-server restore --data DIR --from BACKUP --replace',
  databaseHeld: (path: string) => `${path} is held by another process`,
  databaseHeldNext: 'end the process that holds it (fuser server.db names it)',
  dataNotUsableNext: 'run it as the user whose data it is, or give another directory as --data',
  dataNotUsable: (data: string, why: string) => `${data} cannot be used: ${why}`,
  databaseDamaged: (path: string, why: string) => `open ${path}: it is damaged (${why})`,
  databaseTooNew: (path: string, version: number, known: number) =>
    `open ${path}: its schema ${version} is newer than ${known}, which this version knows`,
  databaseTooNewNext: 'start the version of the server that wrote it, or a newer one',
  directoryInUse: (path: string) => `${path}: another server runs on this data directory`,
  directoryInUseNext: 'stop it first, or give this one a directory of its own',
  tokenDatabaseDamaged: (path: string) => `${path} is damaged; the token is as it was`,
  keyUnreadable: (path: string) => `${path} cannot be read as a private key`,
  keyUnreadableNext:
    'holdfast-server restore --data DIR --from BACKUP --replace; without a backup, move it away: a new key is made, and holdfast keys rotate must name it',
  nextKeyDamaged: (path: string) =>
    `${path} was damaged and is kept as ${path}.damaged; another key was made in its place`,
} as const;

/** Backups: made and restored. */
export const backupTexts = {
  existsNext: 'name another file, or add --replace: the existing file is then lost',
  exists: (file: string) => `${file} is there already; nothing was written`,
  unreadable: 'it cannot be read',
  dataDamaged: (path: string, why: string) => `${path} is damaged, and no backup was made: ${why}`,
  insideData: (file: string, data: string) => `${file} lies in ${data}, whose backup it would be`,
  insideDataNext: 'name a place outside of it, on another disk if there is one',
  dataDamagedNext: 'restore an earlier backup: holdfast-server restore',
  notEmpty: (data: string, first: string | undefined) => `${data} is not empty: it has ${first}`,
  notEmptyNext: 'name an empty directory, or add --replace: the existing data is then kept beside it',
  isNotThere: 'is not there',
  isNoFile: 'is not a file',
  notFound: (from: string, why: string) => `${from} ${why}; nothing was changed`,
  notFoundNext: 'name the file that backup wrote',
  isNoBackup: 'is not a backup of a Holdfast server',
  damaged: (from: string, why: string) =>
    `${from} is not a whole backup of a Holdfast server: ${why}; nothing was changed`,
  damagedNext: 'take another backup',
  foreignFile: (path: string | undefined) => `${path} does not belong in a backup`,
  contentsUnreadable: (contentsName: string) => `its ${contentsName} cannot be read`,
  fileMissing: (path: string | undefined) => `${path} is missing, or was not in it when it was made`,
  otherFile: (path: string) => `${path} is another file`,
  noPrivateKey: (name: string) => `keys/${name} is not a private key`,
  databaseDamaged: (why: string) => `its database is damaged: ${why}`,
  restored: (data: string, made: string) => `${data} is restored from the backup of ${made}.`,
  startTheServer: 'Start the server: appliances offer again what it misses, and each gap is noted at its appliance.',
  keptAs: (keptAs: string) => `What was there before is kept in ${keptAs}.`,
  publishAgain: (bundles: string) => `Publish these bundles again: ${bundles}.`,
  lookAtEach: (made: string) =>
    `What was changed since ${made} is as it was then. Look at each of these, and change again what was changed:`,
  tokenOfThen: (data: string) =>
    `- The operator's token is the one from then, even if it was replaced since, and it opens the server again. To end it: holdfast-server token --data ${data}`,
  rollouts: 'Rollouts that continue',
  rolloutsNext: 'even if they were cancelled since: holdfast rollout cancel ID',
  claims: 'Claim codes open for',
  claimsNext: 'even if they were used or replaced since: holdfast claim list',
  appliances: 'Appliances in service',
  appliancesNext: 'even if they were retired since: holdfast appliance retire NAME',
  inAll: (count: number) => `, … (${count} in all)`,
  listed: (what: string, names: string, rest: string) => `- ${what}: ${names}; ${rest}`,
  ordersOfThen:
    '- Orders, and releases assigned to single appliances, are those from then: holdfast orders; holdfast fleet',
} as const;

/** What the log and the notices say of the server as a whole. */
export const logTexts = {
  connectionsClosed: (closed: number, all: number, perPeer: number) =>
    `${counted(closed, 'connection was', 'connections were')} closed to make room for others: there are ${all} in all and ${perPeer} of one address (--connections-max, --connections-per-peer)`,
  presenceDamaged: (why: string) =>
    `its last report about itself was damaged in the database, and was set aside: ${why}`,
  counterDamaged: (role: string, ceiling: number) =>
    `the stored counter of its ${role}'s key is ${ceiling}, which no counter reaches; it begins again`,
  countersInMemory: 'the disk is full: counters of check-ins continue in memory only',
  /** The keys of a server that ran, and no database. */
  listensAt: (address: string) => `Server listening at ${address}`,
  databaseLost: (kept: string) =>
    `server.db was missing or empty beside the keys of this server: it began an empty one, which knows no appliance, order or rollout.${kept} Restore a backup (holdfast-server restore --data DIR --from BACKUP --replace), or claim the appliances again`,
  databaseKept: (name: string) => ` What was there is kept as ${name} and ${name}-wal.`,
  keyMissing: (keys: string) => `the server's ${keys} key was missing, and a new one was made`,
  keyNotBelieved: (which: string) =>
    `${which}: appliances do not believe it. Restore a backup (holdfast-server restore), or name it in signed metadata (holdfast keys rotate)`,
  settleCounters: 'settle the counters',
  nextTokenShown: 'the next start shows another token',
  requestFailed: 'a request failed',
  lookAtCertificate: 'look at the certificate',
  certificateRenewed: 'the renewed certificate is served',
  expireOrders: 'expire orders',
  renewMetadata: 'renew metadata',
  workFailed: (what: string) => `${what} failed`,
  notShown: (what: string) => `${what} cannot be shown`,
  itIsNotShown: (why: string) => `it cannot be shown: ${why}`,
  metadataOf: (role: string, version: number) => `the ${role} metadata (version ${version})`,
  renewRootNext: 'renew it with holdfast keys rotate root, then holdfast release publish',
  renewTargetsNext: 'holdfast release build and publish, or another change of the signed list, renews it',
  metadataExpired: (which: string, day: string, next: string) =>
    `${which} expired on ${day}: appliances install nothing by themselves; ${next}`,
  metadataExpires: (which: string, day: string, next: string) => `${which} expires on ${day}; ${next}`,
  unknownKey: (keyId: string, address: string, age: string) => `key ${keyId}… from ${address}, ${age} ago`,
  andMore: (count: number) => ` and ${count} more`,
  unknownKeySends: 'a key that this server does not know sends requests',
  unknownKeysSend: (count: number, appliances: number) =>
    `${count} keys that this server does not know send requests, of ${counted(appliances, 'appliance')} or more`,
  unknownKeys: (who: string, keys: string, more: string) =>
    `${who} (${keys}${more}). An appliance has two keys, and its id is hf- and the beginning of its updater's; claim it again if it is yours`,
  anAppliance: 'an appliance',
  oneCalls: (name: string) => `${name} calls`,
  manyCall: (name: string, others: number) => `${name} and ${others} more call`,
  foreignAuthority: (who: string, authority: string) =>
    `${who} this server ${authority}, and it does not go by that name: their requests are not bound to it; if that is one of its names, start it with one more --public-url`,
  restored: (day: string, ofDay: string, untilDay: string) =>
    `this server was restored on ${day} from a backup of ${ofDay}: appliances offer again what it misses, and what they no longer have is noted for each of them; this is said until ${untilDay}`,
  bundlesMissing: (shown: string, more: number, directory: string) =>
    `${shown}${more > 0 ? ` and ${more} more` : ''}: no appliance can fetch it, because its bundle is gone from ${directory}; publish it again: holdfast release publish FILE`,
  metadataNotRenewed: (why: string) => `the server's release metadata could not be renewed: ${why}`,
} as const;

/** The disk of the server's data. */
export const diskTexts = {
  lessThanOneMib: 'less than 1 MiB',
  mib: (mib: number) => `${mib} MiB`,
  mibAndFiles: (mib: string, names: number) => `${mib} and ${counted(names, 'file')} (inodes)`,
  diskOf: (data: string) => `the disk of ${data}`,
  roomFor: (amount: string) => `room for ${amount}`,
  full: (where: string, left: string) =>
    `${where} is full (${left} is left): what appliances report, orders, claims and releases may not be stored. Make room there`,
  least: (mib: number, names: number) => `${mib} MiB and ${names} files should be free`,
  nearlyFull: (where: string, left: string, least: string) =>
    `${where} is nearly full: ${left} is left, and ${least}. Make room there`,
  freeSpaceUnreadable: (data: string, why: string) => `the free space of the disk of ${data} cannot be read: ${why}`,
  roomAgain: (data: string) => `the disk of ${data} has room again`,
} as const;

/** The clock of the server's machine. */
export const clockTexts = {
  says: (date: string) => `the server's clock says ${date} UTC`,
  continuesWith: (date: string) => `the server continues with ${date} UTC in everything that it signs`,
  ahead: (says: string, days: number, signs: string) =>
    `${says}, which is ${counted(days, 'day')} ahead of what it signed before; ${signs}. Set the clock, or confirm that it is right: holdfast server clock accept`,
  behindBy: (says: string, signs: string) => `${says}, which is behind what the server signed before; ${signs}`,
  behind: (what: string) => `${what}. Set the clock, or confirm that it is right: holdfast server clock reset`,
  behindNext: 'set the clock; where the server signed a time that was wrong: holdfast server clock reset',
  beforeBuild: (date: string, built: string) =>
    `the server's clock says ${date} UTC, and its program was built at ${built}`,
  beforeBuildNext: 'set the clock of the machine of the server first',
  confirmed: (date: string) => `an operator said that the server's clock is right: ${date} UTC`,
  inOrder: "the server follows its machine's clock",
  inOrderNext: 'nothing needs to be done',
  followed: "the server follows its machine's clock again",
  noDate: 'no date',
  notStored: 'the time that was signed last could not be stored',
  accepted: "the server follows its machine's clock, and has signed its metadata again",
  reset:
    "the server follows its machine's clock and signs earlier times again. An appliance that took the later time keeps it, at most a day further for each answer: where one went past the end of the metadata, it installs nothing by itself until the timestamp key is replaced (holdfast keys rotate timestamp)",
} as const;

/** Requests that are refused before anything looks into them. */
export const requestTexts = {
  bodyLate: (bodyS: number) => `the body did not arrive within ${bodyS} s`,
  bodyLateNext: 'send it again over a faster network',
  hostNotServed: 'this server does not go by that name',
  hostNotServedNext: 'use the address that it printed, or start it with --public-url for this one, too',
  foreignOrigin: 'another page asked in your name',
  foreignOriginNext: 'use the dashboard itself',
  diskFullNext: 'make room on the disk of the server; then ask again',
  diskFull: 'the disk of the server is full: this cannot be stored',
  nothingHere: 'there is nothing here',
  failed: 'the server could not handle the request',
  failedNext: 'see its log',
  databaseHeld: 'another process holds the database of this server: nothing was changed',
  databaseHeldNext: (retryAfterS: number) =>
    `ask again in ${retryAfterS} s; if that does not help, end the process that holds server.db (fuser server.db names it)`,
} as const;

/** Words for times and counts. */
export const wordTexts = {
  seconds: (count: number) => `${count} s`,
  minutes: (count: number) => `${count} min`,
  hours: (count: number) => `${count} h`,
  days: (count: number) => `${count} d`,
  times: (count: number) => counted(count, 'time'),
} as const;

/** How an appliance is, and what people do to one. */
export const applianceTexts = {
  nameTakenNext: (name: string) =>
    `take another name; or free this one with holdfast appliance retire ${name}; or claim that very appliance again with holdfast claim create --name ${name} --again`,
  nameTaken: (name: string) => `an appliance is called ${name} already`,
  wasRetired: 'the appliance was retired',
  retired: (name: string) => `${name} was retired; its name is free`,
  noCopyKnown: (name: string) => `nothing is known of a copy of ${name}`,
  noCopyKnownNext: 'holdfast fleet shows alarms',
  onlyOneMachine: (name: string) => `an operator says that only one machine is ${name}`,
  isRetired: (name: string) => `${name} is retired`,
  isRetiredNext: 'claim it again: holdfast claim create',
  renamed: (name: string, site: string, newName: string, newSite: string) =>
    `${name} of ${site} is called ${newName} of ${newSite} now`,
  assigned: (component: string, version: string, name: string) => `${component} ${version} was assigned to ${name}`,
  notAssignedNext: 'holdfast fleet shows what is assigned',
  notAssigned: (component: string, name: string) => `no ${component} release is assigned to ${name}`,
  unassigned: (name: string, component: string) => `${name} follows the rollouts of ${component} again`,
  unknown: (typed: string) => `there is no appliance ${typed}`,
  unknownNext: 'holdfast fleet lists them',
  unknownVersion: 'an unknown version',
  stateRetired: 'it is retired; its keys are no longer accepted',
  neverCheckedIn: 'enrolled, but it has never checked in',
  offline: (age: string, on: string) => `offline: not heard from for ${age}; last on ${on}`,
  waitingUnreached: (version: string) => `; ${version} cannot reach it`,
  updaterSilent: (on: string, waiting: string) => `on ${on}, and its updater does not check in${waiting}`,
  goingBack: (on: string) => `going back to ${on}`,
  onTrial: (on: string) => `another version is on trial; ${on} is kept`,
  updating: (row: string, on: string, isSettled: boolean) =>
    `an update is under way (${row}); ${on} ${isSettled ? 'runs' : 'is kept'}`,
  agentDown: (on: string, crashed: string) => `its agent ${on} is down${crashed}`,
  agentCrashes: (on: string, crashed: string) => `its agent ${on} crashes${crashed}`,
  agentSilent: (on: string) => `its agent ${on} does not check in`,
  ownHealthCheck: 'its own health check',
  failing: (on: string, which: string) => `on ${on}; failing: ${which}`,
  unclear: (on: string) => `on ${on}; whether it works is not known`,
  alert: (on: string, alert: string) => `on ${on}; ${alert}`,
  healthy: (on: string) => `${on} runs and is healthy`,
  safeMode: (why: string) => `safe mode: ${why}`,
  agentInItsPlace: 'an agent runs in its place',
  noAgent: 'no agent runs',
  agentNotKnown: 'whether an agent runs is not known',
  notStartable: (agent: string) => `safe mode: its version cannot be started; ${agent}`,
  within: (seconds: number) => `in ${seconds} s`,
  uptimeStands: (passed: string) => `its uptime stands or goes slowly ${passed}`,
  clockStands: (passed: string) => `its clock stands or went back ${passed}`,
  clockOff: (offS: number) => `its clock is ${Math.abs(offS)} s ${offS < 0 ? 'behind' : 'ahead'}`,
  neverSucceeded: (component: string, version: string, times: string, reason: string, text: string) =>
    `${component} ${version} was tried ${times} and never succeeded (${reason}): ${text}`,
} as const;

/** Which release an appliance may have, and why not. */
export const decisionTexts = {
  quarantined: 'in quarantine here',
  wentBack: 'in quarantine here: a person went back from it',
  notJudged: 'in quarantine here: its trial could not be judged',
  notProven: 'in quarantine here: it was tried and did not prove itself',
  lost: 'and is in safe mode: it is sent again',
  hasAssigned: (which: string) => `it has ${which}, which is assigned to it`,
  assignedInQuarantine: (which: string, why: string) => `${which} is assigned to it, and ${why}`,
  althoughItHas: (have: string) => `, although it has ${have}`,
  assigned: (which: string, but: string) => `${which} is assigned to it${but}`,
  assignedWithdrawn: (component: string, version: string) =>
    `${component} ${version} was assigned to it, and was withdrawn`,
  withdrawn: (which: string) => `${which} was withdrawn`,
  hasNewer: (component: string, version: string | undefined, rolledOut: string) =>
    `it has ${component} ${version}, which is newer than ${rolledOut}`,
  paused: (which: string, reason: string) => `the rollout of ${which} is paused: ${reason}`,
  had: (which: string, lost: string) => `it had ${which} ${lost}`,
  hasIt: (which: string) => `it has ${which}, the version that is rolled out`,
  inQuarantine: (which: string, why: string) => `${which} is ${why}`,
  neverDid: 'it never did',
  notFor: (age: string) => `not for ${age}`,
  updaterSilent: (since: string) => `its updater does not check in (${since}), so nothing can be installed`,
  neverCheckedIn: 'it has never checked in',
  offline: (age: string) => `it is offline, not heard from for ${age}`,
  ready: (component: string, version: string) => `${component} ${version} is ready for it`,
  offered: (component: string, version: string) => `${component} ${version} is offered to it`,
  noRollout: 'no rollout is under way',
} as const;

/** Rollouts, from their start to their end. */
export const rolloutTexts = {
  canaryRetiredNext: 'name another one with --canary, or none, so that one is chosen',
  canaryRetired: (name: string) => `${name} is retired, and can prove nothing`,
  notPublished: (which: string) => `${which} is not published`,
  notPublishedNext: 'holdfast release publish FILE',
  withdrawn: (which: string) => `${which} was withdrawn`,
  withdrawnNext: 'choose a newer one',
  noAppliance: 'no appliance is enrolled',
  noApplianceNext: 'enrol one: holdfast claim create',
  unknown: (id: number) => `there is no rollout ${id}`,
  unknownNext: 'holdfast rollout list',
  byOperator: 'by an operator',
  changed: (verb: string) => `rollout: ${verb}`,
  hasEnded: (id: number, component: string, version: string, state: string) =>
    `rollout ${id} of ${component} ${version} is ${state}`,
  hasEndedNext: (version: string, flag: string) => `to roll it out again: holdfast rollout start ${version}${flag}`,
  releaseWithdrawn: 'the release was withdrawn',
  superseded: (component: string, version: string, id: number) =>
    `superseded by ${component} ${version}, rollout ${id}`,
  thenAlso: (reason: string, by: string) => `${reason}; then ${by}`,
  failedOn: (reason: string, names: string) => `${reason}; it failed on ${names}`,
  startNext: (version: string, flag: string) => `holdfast rollout start ${version}${flag} --canary APPLIANCE`,
  waitsForProof: (names: string) => `waits until its canary ${names} has proven it`,
  waitsForUpdater: (names: string) =>
    `waits until its canary ${names} has proven it, but the updater there does not check in`,
  waitsForHealth: (names: string) => `waits: its canary ${names} has it, and is not healthy now`,
  waitsAfterFailure: (names: string, other: string) =>
    `waits: it failed on its canary ${names}; to try it there again: holdfast-updater retry VERSION on it; on another: ${other}`,
  waitsForAssigned: (names: string, first: string | undefined, other: string) =>
    `waits: its canary ${names} is assigned another release; holdfast fleet unassign ${first}, or ${other}`,
  waitsForNewer: (names: string, other: string) =>
    `waits: its canary ${names} has a newer one, and cannot prove it; ${other}`,
  waitsForGone: (names: string, other: string) => `waits: its canary ${names} is gone; ${other}`,
  waitsForCanary: (other: string) => `waits: it has no canary; ${other}`,
  proven: 'it was committed, and runs healthy',
  refusedThere: (version: string, reason: string) => `${version} was refused (${reason})`,
  rolledBackThere: (version: string, reason: string) => `${version} was rolled back (${reason})`,
  noReason: 'no reason',
  notOffered: (which: string, said: string) =>
    `its updater reports an end of ${which}, which this server never offered to it; no rollout stops for that: ${said}`,
  pausedByItself: (id: number, version: string) => `rollout ${id} of ${version} paused by itself`,
  canaryList: 'list of canaries',
  state: 'state',
  damaged: (what: string) => `its ${what} is damaged in the database; start another rollout of the release`,
  provenBy: (proven: number, all: number) =>
    `${proven} of ${counted(all, 'appliance has', 'appliances have')} proven it`,
  failedOnSome: (have: string, count: number, names: string, more: string) =>
    `${have}, and it failed on ${count} (${names}${more})`,
  paused: (reason: string) => `Paused: ${reason}`,
  outstandingAssigned: 'another release is assigned to it',
  outstandingSilent: 'its updater does not check in',
  outstandingNotKnown: 'whether its updater checks in is not known yet',
  outstandingNewer: 'it has a newer one',
  outstandingQuarantined: 'in quarantine there',
  outstandingUnderWay: 'under way',
  outstandingFailed: 'it failed there',
  outstandingHeld: 'held',
} as const;

/** Orders, from their sending to their end. */
export const orderTexts = {
  needsOperatorKey: (kind: string) => `${kind} must be signed by an operator's key, which the server does not hold`,
  needsOperatorKeyNext: 'sign it where the operator key is; this server cannot send it yet',
  kindUnknown: (kind: string, meant: string | null) =>
    `there is no order ${kind}${meant === null ? '' : ` (did you mean ${meant}?)`}`,
  kindUnknownNext: (kinds: string) => `one of: ${kinds}`,
  tooMany: (open: number) => `${counted(open, 'order is', 'orders are')} open for this appliance`,
  tooManyNext: 'wait until some have ended',
  sendAsNext: (kind: string, args: string) => `send it as: holdfast orders send APPLIANCE ${kind}${args}`,
  tooLarge: (bytesMax: number, bytes: number) =>
    `an order may have ${bytesMax} bytes as it is sent, and this one has ${bytes}`,
  tooLargeNext: 'shorten its arguments: a letter beyond ASCII takes two to four bytes',
  unknown: (id: string) => `there is no order ${id}`,
  unknownNext: 'holdfast orders lists them',
  neverFetched: 'it was never fetched',
  neverEnded: (state: string) => `it was ${state} and never ended`,
  expired: (kind: string, id: string, why: string) => `order ${kind} ${id} expired: ${why}`,
  hasEnded: (state: string) => `the order has ended: it is ${state}`,
  hasEndedNext: 'holdfast orders show ID tells more',
  hasBegun: (state: string) => `the appliance has taken the order: it is ${state}`,
  hasBegunNext: 'wait for its end: holdfast orders show ID',
  neverSent: 'it was never sent',
  perhapsTaken: (times: string) =>
    `it had been sent ${times}, so the appliance may have it, and then runs it all the same`,
  cancelled: (kind: string, id: string, why: string) => `order ${kind} ${id} was cancelled: ${why}`,
  reported: (kind: string, id: string, reason: string) => `order ${kind} ${id}: ${reason}`,
  notSent: (kind: string, id: string, why: string) => `order ${kind} ${id} cannot be sent: ${why}`,
  damaged: (why: string) => `what the server stored of it is damaged or too large to be sent: ${why}`,
  stateUnknown: (state: string) => `the appliance reported the state ${state}, which does not exist`,
  hadItBefore: (state: string) => `the appliance had it before: ${state} there`,
  reportedAfterEnd: (state: string, current: string) =>
    `the appliance reported ${state} after the order was ${current}`,
  crashedSince: (times: string) => `; the agent has crashed ${times} since`,
  crashedBefore: (times: string) => `; before that, the agent crashed ${times}`,
} as const;

/** Check-ins, and what signs them. */
export const checkInTexts = {
  foreignAuthority: "an appliance uses a name that is not this server's",
  authorityUnknown: (authority: string) => `the request is for ${authority}, and this server does not go by that name`,
  authorityUnknownNext: (authority: string) =>
    `if it is one of the server's names, start the server with one more --public-url: https://${authority}`,
  keyRevoked: 'this key was revoked',
  retired: 'this appliance is retired',
  retiredNext: 'keep running, ask daily',
  notKnownHere: 'it was restored or begun anew, or the appliance was never enrolled here',
  keyUnknown: (why: string) => `this server does not know this key: ${why}`,
  keyUnknownNext: 'claim the appliance again',
  andMore: (count: number) => `, and ${count} more`,
  faults: (first: string, more: string) => `check-in: ${first}${more}; what else is wrong in the next hour is not told`,
  overQuota: (role: string) =>
    `the ${role} of this appliance sends more events than its quota: none of these was taken`,
  overQuotaNext: (retryAfterS: number) => `send them again in ${retryAfterS} s`,
  malformed: 'the check-in is not one that this server understands',
  eventProblem: (n: number | string, why: string) => `event ${n}: ${why}`,
  withoutNumber: 'without a number',
  notSigned: (why: string) => `the request is not signed by a key that is known here: ${why}`,
  noSignature: 'no signature',
  requestFailed: 'a signed request failed',
  failed: 'the server could not handle the request',
  failedNext: 'try again later',
} as const;

/** Two machines with one identity. */
export const cloneTexts = {
  alarm: (role: string, sentence: string) => `more than one machine uses the ${role}'s key${sentence}`,
  side: (host: string, address: string, boot: string) => `${host} at ${address} (boot ${boot})`,
  aMachine: 'a machine',
  sides: (sides: readonly string[]) => `: ${sides.join(' and ')}`,
  byBothKeys: ", by its agent's key and by its updater's",
  byAgentKey: ", by its agent's key and not by its updater's",
  byUpdaterKey: ", by its updater's key",
  solvedNext: (name: string) => `holdfast appliance clone-solved ${name} ends this alarm`,
  stolenNext: (isKeyOfUpdater: boolean, name: string) =>
    `if ${isKeyOfUpdater ? 'the key was' : "only the agent's key was"} stolen: holdfast appliance retire ${name}, claim its freed name without --again, and run setup --new-identity with that claim on the appliance itself`,
  onTheCopyNext: (solved: string, stolen: string) =>
    `on the copy run holdfast-updater setup --new-identity with a claim of its own; then ${solved}; ${stolen}`,
  copyEnrolledNext: (copy: string, solved: string) =>
    `the copy is the appliance ${copy} now; if there is no other copy, ${solved}`,
  since: (day: string, keys: string, which: string, next: string) =>
    `two machines have used its identity since ${day} UTC${keys}${which}; ${next}`,
  claimRenamesBoth: (name: string) => `two machines use the identity of ${name}; this claim would rename both`,
  claimRenamesBothNext: 'on the copy: holdfast-updater setup --new-identity, with this same code',
  copyIs: (id: string) => `a copy of it is the appliance ${id} now`,
  copyOfUnknown: 'whose copy it was is not said by a key that is known',
} as const;

/** Claims and enrolments. */
export const enrolTexts = {
  malformed: 'the enrolment is not one that this server understands',
  claimForAnother: (name: string) => `this claim code is only for the appliance ${name}, and this is another appliance`,
  isRetired: (name: string) => `${name} is retired`,
  claimedAgain: (before: string, name: string) => `${before} was claimed again, and is ${name} now`,
  claimUnknown: 'this claim code is not known here, or was replaced',
  claimUsed: 'this claim code was used by another appliance',
  claimExpired: 'this claim code is too old',
  claimMissing: 'the enrolment has neither a claim nor a proof of one',
  keyOfClaim: "the claim's key",
  keyOfAgent: "the agent's key",
  notProven: (what: string) => `${what} did not sign this enrolment`,
  notProvenNext: 'run setup again with the whole claim code',
  vouchNotTrusted: "the updater's word for the agent's key does not hold",
  newClaimNext: 'make a new claim on the server: holdfast claim create --name NAME --site SITE',
  newIdentityNext: (name: string) =>
    `holdfast appliance retire ${name}; then holdfast claim create --name NAME --site SITE, without --again; then, on the appliance, holdfast-updater setup --new-identity`,
  keyInUse: (role: string) => `the ${role}'s key is in use by another program or appliance`,
  keyRevoked: (role: string) => `the ${role}'s key was revoked`,
  keyChangedTooOften: (role: string, times: number) =>
    `with this claim code, the key of the ${role} was changed ${times} times already`,
  keyChangedTooOftenNext: 'make a new one: holdfast claim create --name NAME --again',
  unprovenKey: (role: string, ofRole: string, appliance: string) =>
    `the key that it named as its ${role}'s, and did not prove, is the ${ofRole}'s of the appliance ${appliance}, which proved it`,
  noRoot: 'no release was published yet, so there is no root of trust to hand out',
  noRootNext: 'holdfast release publish FILE, then make the claim',
  noSite: 'a claim for a new appliance needs the site where it will be',
  noSiteNext: 'give --site SITE',
} as const;

/** What is told of the events that appliances send. */
export const eventTexts = {
  strangeOrder: (order: string) => `order ${order}, which it never had`,
  numbersNotKept: (role: string, appliance: string) => `the numbers of the ${role} of ${appliance} could not be kept`,
  missingNotNoted: (role: string) => `what is missing of its ${role} could not be noted`,
  unreadable: (n: number, role: string, why: string) => `event ${n} of the ${role} cannot be read: ${why}`,
  sameId: (n: number, role: string) =>
    `event ${n} of its ${role} came under the id of another one: its disk was put back, or two devices use its key; both are kept`,
  cannotKnow: (role: string, what: string) =>
    `its ${role} reported ${what}, which its ${role} cannot know: it is kept as a note, and nothing follows from it`,
  neverHadOrder: (role: string, order: string) =>
    `its ${role} reported the order ${order}, which it never had: it is kept as a note, and nothing follows from it`,
  notApplied: 'an event was stored, but what it means could not be applied',
  eventNotApplied: (n: number, role: string) => `event ${n} of the ${role} could not be applied`,
  notStored: (n: number, role: string, appliance: string) =>
    `event ${n} of the ${role} of ${appliance} could not be stored`,
  oneEvent: (n: number) => `event ${n}`,
  manyEvents: (from: number, to: number) => `events ${from}-${to}`,
  missing: (range: string, role: string, isOne: boolean) =>
    `${range} of its ${role} ${isOne ? 'is' : 'are'} missing here: this server was restored from an older backup, or its outbox was; asked for again`,
  arrived: (range: string, role: string) => `${range} of its ${role} arrived after all`,
  exceptFor: (rest: string) => `, but for ${rest}, which it does not have any more`,
  usedTwice: (role: string, n: number) =>
    `its ${role} used the number ${n} twice: its outbox was lost or put back, or two devices use its key`,
  wentBack: (role: string, from: number, to: number) =>
    `its ${role}'s numbering went back from ${from} to ${to}: its outbox was lost or put back, or two devices use its key`,
  serverForgot: (trusted: number, signed: number) =>
    `its updater trusts timestamp metadata ${trusted}, and this server has signed at most ${signed}: it was restored from a backup that is older than what appliances know; it now signs above that`,
  ofServer: 'of this server',
  ofProgram: (role: string) => `of its ${role}`,
  newestKept: (events: number, whose: string, mib: number) =>
    `the newest ${events} ${whose} are kept, within ${mib} MiB`,
  removed: (dropped: number, name: string, kept: string) =>
    `${dropped} of its ${name} were removed here so far: ${kept}`,
  facts: 'facts of releases and of this server',
  courses: 'crashes and reports of orders',
  records: 'records',
  notes: 'notes and unreadable events',
  nestedTooDeep: 'it is nested too deep',
} as const;

/** What the operator's requests are answered. */
export const operatorTexts = {
  malformedNext: 'correct what is named, then send it again',
  oneAppliance: (name: string) => `appliance ${name}`,
  oneOrder: (id: string) => `order ${id}`,
  oneRelease: (component: string, version: string) => `release ${component} ${version}`,
  oneEvent: (serial: number) => `event ${serial}`,
  oneRollout: (id: number) => `rollout ${id}`,
  keyWasRevoked: (role: string, name: string) => `the ${role}'s key of ${name} was revoked`,
  countersReset: (name: string) =>
    `the counters of ${name} were reset: its next check-in is taken whatever its counter is`,
  whereTheTokenIs:
    'it was printed when the server first started, unless it was replaced since; holdfast-server token --data DIR makes another one (--token-file FILE keeps it)',
  tokenWrong: 'this is not the operator token',
  loginDelayedNext: (where: string, leftS: number) =>
    `the right one is always taken: ${where}; another wrong one is looked at in ${leftS} s`,
  loginDelayed: 'too many wrong tokens came from this address',
  tokenNeeded: 'only an operator may do this',
  tokenNeededNext: (where: string) => `give it: ${where}`,
  csrfMissing: 'this change did not come from the dashboard itself',
  csrfMissingNext: 'load the dashboard again',
  tooManyArguments: (max: number) => `at most ${max} arguments`,
  bundleTooLarge: (bytes: number) => `a bundle has at most ${bytes} bytes`,
  runUnknown: 'run is real or dry',
  noBundle: 'there is no bundle in the request',
  noBundleNext: 'send its bytes as the body',
} as const;

/** Bundles: read, judged and published. */
export const publishTexts = {
  buildAnewNext: 'build the bundle anew, or copy it again',
  notWhole: (message: string) => `the bundle is not whole: ${message}`,
  endsTooEarly: 'it ends too early',
  noRoot: 'it has no metadata/1.root.json',
  padding: 'it has padding behind its end',
  bundleProblem: (message: string) => `it ${message}`,
  manifestNotUnpacked: 'its manifest cannot be unpacked',
  manifestNotUsable: (why: string) => `its manifest is not usable: ${why}`,
  needsNewerServer: (needs: string) => `the bundle's manifest needs something that this server does not know: ${needs}`,
  needsNewerServerNext: 'update the server first; nothing was published',
  framesDiffer: 'its frames and its manifest do not have the same size',
  otherRoot: (version: number) => `root ${version} of the bundle is not the one that this fleet trusts`,
  otherRootNext: 'build the bundle with the repository that this server was set up with',
  expired: (what: string, version: number, day: string) => `${what} (version ${version}) expired on ${day}`,
  nothingPublished: (next: string) => `${next}; nothing was published`,
  theRoot: 'the root of the bundle',
  theRootNext: 'renew it: holdfast keys rotate root, then build the bundle again',
  theList: 'the signed list of the bundle',
  theListNext: 'sign it again: holdfast release build, then publish the new bundle',
  otherTargets: (version: number | undefined) => `the bundle carries other targets under the version ${version}`,
  noTargets: 'there are no targets to publish',
  otherServer: (roles: string) => `the bundle was made for another server: it does not name this server's ${roles} key`,
  otherServerNext: "build it with this server's newest public-keys.json",
  notTrustedNext: 'build it with the repository that this server was set up with; nothing was published',
  notTrusted: (why: string) => `the bundle is not trusted: ${why}`,
  changed: (component: string, version: string) => `${component} ${version} was published before, with another content`,
  changedNext: 'give this build a higher version',
  otherManifest: (component: string, version: string) =>
    `the targets list another manifest for ${component} ${version}`,
  otherManifestNext: 'build it anew',
  released: 'release published',
  notStartable: (component: string, version: string, why: string) =>
    `${component} ${version} could not be started on any appliance: ${why}`,
  notStartableNext: 'build it again with its runtime, under a higher version; nothing was published',
  metadataPublished: 'release metadata published',
  keysReplaced: 'the keys of these roles were replaced',
  notRenewed: "the server's release metadata could not be renewed",
  fileBytes: (size: number) => `the file has ${size} bytes`,
  noSuchFile: 'there is no such file',
  isRoot: (version: number) => `it is root ${version}`,
  lost: (name: string, consequence: string) =>
    `${name} was damaged and is set aside: ${consequence}. Publish the newest bundle again: holdfast release publish FILE`,
  rootLost: 'no appliance can verify a release from here',
  targetsLost: 'releases that only it lists are not offered',
  notRegular: 'it is no file',
  setAside: (name: string, why: string) => `${name} is damaged (${why}) and was set aside`,
  metadataSetAside: 'timestamp.json names metadata that is not there and was set aside',
  otherRuntime: (name: string) => `the runtime ${name} is not the tree that the manifest names`,
  chunksDiffer: 'its chunks and its manifest do not have the same size',
  chunkNotListed: (path: string) => `${path} names a chunk that is not listed`,
  otherFile: (path: string) => `${path} is not the file that the manifest names`,
  chunkOutside: 'a chunk lies outside',
  chunkNotUnpacked: (sha256: string) => `chunk ${sha256}… cannot be unpacked`,
  otherChunk: (sha256: string) => `chunk ${sha256}… is not the one that the manifest names`,
  buildAnewNothingPublishedNext: 'build the bundle anew, or copy it again; nothing was published',
} as const;

/** `holdfast`: its global options, its connection, and what all commands share. */
export const cliTexts = {
  wordsTooMany: (command: string, words: string) => `error: too many arguments for '${command}': ${words}`,
  commandUnknown: (word: string, meant: string | null) =>
    `error: unknown command '${word}'${meant === null ? '' : `\n(Did you mean ${meant}?)`}`,
  program: "The operator's command line of a Holdfast server.",
  serverOption: 'address of the server',
  tokenFileOption: 'file that holds the operator token; -: standard input',
  profileOption: 'a stored connection',
  allowHttpOption: 'send the token unencrypted beyond this machine',
  jsonOption: 'print JSON, one value a line; of a list, each of its values',
  programAfter: (directory: string) =>
    `\nWithout --server and --token-file: HOLDFAST_SERVER and HOLDFAST_TOKEN_FILE, the file that HOLDFAST_CONFIG names, or what\n\`holdfast connect\` stored in ${directory}.\nExit status: 0 done, 1 refused or failed, 2 wrong usage.`,
  applianceArgument: 'name or id, in any form',
  componentOption: 'app, updater or os',
  ago: (age: string) => `${age} ago`,
  next: (next: string) => `\nNext: ${next}`,
  askToken: (url: string) => `operator token of ${url} (not shown): `,
  noToken: 'no operator token was given',
  noTokenNext: 'type it, or give --token-file FILE',
  connect: 'Store the address of a server and its operator token, after the server accepted the token',
  connectUrl: 'address of the server',
  connectAfter:
    '\nThe token is asked for without showing it, or read from --token-file FILE (-: standard input).\n--profile NAME stores another connection beside the first, for holdfast --profile NAME.',
  addressNext: 'give the address that the server printed',
  connected: (address: string, path: string) => `Connected to ${address}; it is stored in ${path}.`,
  tokenElsewhere: (url: string, server: string) => `the stored token belongs to ${url}, and is not sent to ${server}`,
  tokenElsewhereNext: (server: string) =>
    `give --token-file FILE too, or store another connection: holdfast connect ${server} --profile NAME`,
  noServerOfToken: '--token-file names no server',
  noServerOfTokenNext: 'give --server URL, too',
  halfEnvironment: 'HOLDFAST_SERVER and HOLDFAST_TOKEN_FILE belong together',
  halfEnvironmentNext: 'set both or none',
  notConfigured: 'no server and token are named',
  noSuchConnection: (name: string, directory: string) => `there is no connection ${name} in ${directory}`,
  storyNext: 'npm start tells the story again, and its connection is there until the story is ended',
  notConfiguredNext: (name: string | undefined) =>
    `store them once: holdfast connect URL${name === undefined ? '' : ` --profile ${name}`}; or give --server URL and --token-file FILE`,
  notEncrypted: (url: string) => `${url} is not encrypted: anybody on the network path could read the operator token`,
  notEncryptedNext: 'use its https:// address; or --allow-http if the network is your own',
  noName: (name: string) => `${name} is not a name for a connection`,
  noNameNext: 'take letters, digits and hyphens',
  storeAgainNext: 'store it again: holdfast connect URL',
  otherForm: (path: string, form: string) => `${path} is not ${form}`,
  noTokenInFile: (path: string) => `${path} holds no operator token`,
  noTokenInFileNext: 'take the file that the server wrote',
  unreadable: (path: string) => `${path} cannot be read`,
  unreadableNext: 'check its name and who may read it',
  tooLarge: (path: string) => `${path} is too large`,
  tooLargeNext: 'check its name',
  fileOfAnother: (path: string, owner: number, user: number) =>
    `${path} belongs to user ${owner}, and you are ${user}: it is not used`,
  fileOfAnotherNext: 'store a connection of your own: holdfast connect URL',
  openToOthers: (isToWrite: boolean, path: string) => `others may ${isToWrite ? 'write in' : 'read'} ${path}`,
  openToOthersNext: (mode: string, path: string) => `chmod ${mode} ${path}`,
  notWritten: (path: string, why: string) => `${path} was not written: ${why}`,
  nothingWritten: (why: string) => `nothing was written: ${why}`,
  answerUnknown: (path: string) => `${path}: the answer of the server is not one that this version knows`,
  answerUnknownNext: 'use the command line that belongs to the server',
  // The only answer of which fetch says nothing.
  noAnswer: '407: a proxy in between asks for a name and a password',
  unreachable: (url: string, said: string, clock: string) =>
    `${url} does not answer as a Holdfast server${said}${clock}`,
  unreachableNext: 'is the server running, is that its address, and is there a proxy or captive portal in between?',
  cutOff: 'the connection ended in the middle of the answer',
  cutOffNext: 'run the command again',
  notJson: (path: string, status: number) => `${path}: the answer (${status}) is not JSON`,
  notJsonNext: 'is that the Holdfast server, or does a proxy or captive portal in between answer in its place?',
  refusedWithout: (status: number) => `the server refused with ${status} and did not say why`,
  checkNameNext: 'check its name',
  notRegular: (path: string) => `${path} is no file`,
  emptyFile: (path: string) => `${path} is empty`,
  nameBundle: 'name the bundle itself, a file that ends in .hfb',
  cutShort: (file: string) => `${file} could not be read to its end: it changed meanwhile, or its disk is damaged`,
  cutShortNext: 'look at the file (holdfast release verify FILE), then publish it again',
  demo: 'For people who try Holdfast with `npm start`',
  demoBreak: 'Publish one more broken release and roll it out',
  demoEnded: (how: number | string | undefined) => `the demonstration ended with ${how}`,
  demoEndedNext: 'run it while `npm start` is up and has told its story',
  imageCommand: (does: string, name: string) => `${does}; ${name} --help tells more`,
  settings: "an appliance's agent.json",
  settingsExplain: 'each field of agent.json: what it takes, its standard, what it does',
  settingsField: 'only this field, or those below it',
  settingsMarkdown: 'as the table of a document',
  settingsColumns: '| field | takes | standard | what it does |',
  settingUnknown: (field: string) => `agent.json has no field ${field}`,
  settingUnknownNext: (names: string) => `it has: ${names}`,
  imageArguments: 'as the builder takes them',
  keys: 'The offline keys of releases: no server is asked',
  keysInit: 'Make the first keys of a repository, or one key to be carried',
  keysShow: 'Every role: its keys, who has them, how many must sign, until when',
  keysRotate: 'Write a change of keys to be signed, or put a signed one in place',
  keysSign: 'Read a change, and sign it with keys that are here',
  none: 'none',
  unknown: 'unknown',
} as const;

/** `holdfast fleet`, `holdfast appliance` and `holdfast claim`. */
export const cliApplianceTexts = {
  fleet: 'All appliances, and the releases that were chosen for single ones',
  list: 'All appliances: what they run, when they were last heard from, and why',
  listAll: 'the retired ones too',
  hidden: (count: number) => `${count} retired: holdfast fleet list --all`,
  assign: 'Choose a published release for one appliance; rollouts skip it until it is unassigned',
  assignVersion: 'a version that is published, newer or older than what it has',
  unassign: 'Let one appliance follow the rollouts again',
  appliance: 'One appliance',
  show: 'Everything that is known of one appliance',
  resetCounter:
    'Accept the next check-in of an appliance whatever its counter is, after a copied key moved the counter',
  cloneSolved: 'Confirm that only one machine uses this identity now; the alarm of a copy ends',
  cloneWasSolved: (name: string) =>
    `The alarm of ${name} is ended. It is raised again if two machines still use its keys.`,
  retire: 'Retire an appliance: its name is free again; it keeps running, and asks once a day whether it may come back',
  rename: 'Call an appliance by another name',
  renameName: 'letters and digits of any script, blanks, dots and dashes',
  renameSite: 'where it is now (default: unchanged)',
  retired: (name: string, id: string) =>
    `${name} (${id}) is retired, and its former name is free. It keeps running and asks once a day; to bring it back: holdfast claim create --name NAME --again, and holdfast-updater setup on it. If its key was stolen, that would bring the thief back, too; instead: holdfast claim create --name NAME --site SITE, and holdfast-updater setup --new-identity on it.`,
  wasRetired: (name: string, id: string) => `${name} (${id}) was retired before; nothing was changed.`,
  renamed: (name: string, site: string) =>
    `It is ${name} of ${site} now. Its own page shows the name of its last claim until it is claimed again.`,
  followsRollouts: (name: string, reasons: string) => `${name} follows the rollouts. ${reasons}`,
  notice: (notice: string) => `SERVER: ${notice}`,
  noAppliance: 'No appliance is enrolled. Next: holdfast claim create --name NAME --site SITE',
  withAlert: (why: string, alert: string) => `${why} ALERT: ${alert}`,
  notPublished: 'not published here',
  noFailedTrial: 'none since the last commit',
  noCrash: 'none of a committed version',
  happenedAt: (at: string, text: string) => `${at} UTC: ${text}`,
  asItsState: 'as its state says',
  noClockTrouble: 'no trouble is known',
  nothingAssigned: 'nothing: it follows the rollouts',
  versionSeen: (version: string, seen: string) => `${version}, last check-in ${seen}`,
  claim: 'Claim codes, by which appliances enrol',
  claimCreate: 'Make a claim code for one appliance; it can be used once, and replaces an unused one of the same name',
  claimName: 'what the appliance will be called',
  claimSite: 'where it will be; needed for a new appliance, without effect on an existing one',
  claimAgain: 'claim the existing appliance of that name again',
  claimOut: 'write the code to a new file that only you can read, for setup --claim-file',
  claimReplaced: (name: string) => `The earlier code for ${name} no longer works.`,
  claimWritten: (name: string, out: string) => `The claim code of ${name} is in ${out}.`,
  claimList: 'The codes that nobody has used yet; the code itself is shown only when it is made',
  noClaim: 'No claim code is open. Next: holdfast claim create --name NAME --site SITE',
  claimIsAgain: 'that appliance, again',
  claimIsNew: 'a new one',
  endsIn: (age: string) => `in ${age}`,
  columns: ['NAME', 'STATE', 'AGENT', 'UPDATER', 'AGENT SEEN', 'UPDATER SEEN'],
  claimColumns: ['NAME', 'SITE', 'FOR', 'MADE', 'ENDS'],
  labels: {
    name: 'name',
    id: 'id',
    site: 'site',
    state: 'state',
    why: 'why',
    alert: 'alert',
    clock: 'clock',
    assigned: 'assigned',
    agent: 'agent',
    updater: 'updater',
    row: 'row',
    checks: 'checks',
    lastCrash: 'last crash',
    failedTrial: 'failed trial',
    quarantine: 'quarantine',
  },
  neverSeen: 'never',
  noQuarantine: 'empty',
} as const;

/** `holdfast orders`. */
export const cliOrderTexts = {
  notNameValue: 'It must have the form name=value.',
  orders: 'Orders for single appliances',
  list: 'The latest orders, and how they stand',
  listAppliance: 'of one appliance: name or id',
  send: 'Send an order',
  sendKind:
    'check-in, run-checks, run-duty, run-order, collect-logs, log-level, identify, network-test, diagnostic or update_iso',
  sendArg: 'an argument; may be repeated. A diagnostic needs query=readings and upTo=NUMBER; the others take none',
  queued: (id: string, kind: string, name: string) => `Order ${id} (${kind}) is queued for ${name}.`,
  cancel: 'Cancel an order that its appliance has not taken yet',
  orderId: 'id of the order, or its beginning as `orders list` prints it',
  cancelled: (id: string, kind: string, name: string, sentence: string) =>
    `Order ${id} (${kind}) for ${name}: ${sentence}.`,
  show: 'One order, with its result',
  noOrder: 'No order was sent. Next: holdfast orders send APPLIANCE KIND',
  ageAndSent: (age: string, times: string) => `${age}, sent ${times}`,
  columns: ['ID', 'APPLIANCE', 'KIND', 'AGE', 'STATUS'],
  labels: {
    order: 'order',
    appliance: 'appliance',
    kind: 'kind',
    status: 'status',
    age: 'age',
    expires: 'expires',
    crash: 'crash',
    result: 'result',
  },
} as const;

/** `holdfast release`. */
export const cliReleaseTexts = {
  release: 'Signed releases',
  publish: 'Upload a bundle, or metadata alone; the server verifies all of it before it publishes anything',
  publishFile: 'the .hfb file',
  publishDryRun: 'the server verifies it and publishes nothing',
  list: 'What is published, newest version first',
  build: 'Build one release, try its start, sign it, write its bundle',
  revoke: 'Take a release off the signed list, and write the metadata for the server',
  sources: 'Say where appliances may get releases from: show, set FILE, clear',
  verify: 'Check a bundle as a server and an appliance do, and say what it is',
  state: {
    real: {
      published: 'is published',
      restored: 'was published before; its file here was missing or damaged, and is whole again',
      unchanged: 'was published before; nothing changed',
    },
    dry: {
      published: 'would be published: all of it is correct',
      restored: 'was published before; its file here is missing or damaged, and would be whole again',
      unchanged: 'was published before; nothing would change',
    },
  },
  metadata: (root: number, targets: number, state: string) =>
    `The release metadata (root ${root}, targets ${targets}) ${state}.`,
  published: (component: string, version: string, state: string, manifest: string) =>
    `${component} ${version} ${state} (manifest ${manifest}).`,
  withdrawn: (name: string, isDry: boolean) =>
    `${name} ${isDry ? 'would be' : 'is'} withdrawn: it is not offered any more.`,
  nothingPublished: 'Nothing is published. Next: holdfast release publish FILE',
  megabytes: (size: string) => `${size} MB`,
  publishedAt: (at: string, failedOn: number) =>
    `published ${at}Z${failedOn === 0 ? '' : `, failed on ${failedOn} appliance${failedOn === 1 ? '' : 's'}`}`,
  isWithdrawn: 'withdrawn',
  columns: ['COMPONENT', 'VERSION', 'MANIFEST', 'SIZE', 'STATE'],
} as const;

/** `holdfast rollout`. */
export const cliRolloutTexts = {
  pause: 'Stop offering it, until it is resumed',
  resume: 'Offer it again',
  cancel: 'End it: no more appliances get it; those that have it keep it',
  notNumber: 'It must be a number that `holdfast rollout list` prints.',
  rollout: 'Releases on their way to the fleet',
  start: 'Roll a published release out: to its canaries, then to everyone',
  startVersion: 'the version',
  startCanary: 'an appliance that gets it first; may be repeated',
  started: (id: number, component: string, version: string, canaries: string) =>
    `Rollout ${id} of ${component} ${version} runs; canary: ${canaries}.`,
  list: 'All rollouts, newest first',
  watch: 'Follow a rollout to its end: exit 0 when it is finished, 1 when it is paused or ended otherwise',
  rolloutId: 'the rollout; the newest one when absent',
  reason: 'why; it is shown to people',
  wasSo: (state: string) => `It was ${state} before; nothing was changed.`,
  pausedNext: 'holdfast rollout resume, or a newer release',
  pausedByFailureNext: (names: string, version: string) =>
    `holdfast-updater retry ${version} on ${names} lets it be tried there again, then holdfast rollout resume; or a newer release`,
  supersededNext: 'holdfast rollout watch follows the newest one',
  failedNext: 'publish a newer release, and roll that out',
  cancelledNext: 'holdfast rollout start VERSION starts another one',
  noRollout: 'no rollout was started',
  noRolloutNext: 'holdfast rollout start VERSION',
  is: (rollout: string, state: string) => `${rollout} is ${state}`,
  name: (id: number, component: string, version: string) => `rollout ${id} of ${component} ${version}`,
  line: (rollout: string, state: string, stage: string, sentence: string) =>
    `${rollout}${state}, stage ${stage}: ${sentence}`,
  finishedButOffered: 'finished, and still offered to latecomers',
  stillThere: (id: number, component: string, version: string, how: string) =>
    `Still there: rollout ${id} of ${component} ${version}, ${how}. To end it too: holdfast rollout cancel ${id}`,
  noneStarted: 'No rollout was started. Next: holdfast rollout start VERSION',
  columns: ['ID', 'COMPONENT', 'VERSION', 'STATE', 'STAGE', 'STARTED', 'HOW FAR'],
} as const;

/** `holdfast server`. */
export const cliServerTexts = {
  server: 'The server itself',
  show: 'The state of the server: its clock, when its metadata expires, what needs a person',
  clock: "What an operator says about the clock of the server's machine",
  clockAccept: 'Confirm that it is right, although it is ahead of what was signed before',
  clockReset: 'Confirm that it is right, and that the later times signed before were wrong',
  done: (done: string) => `Done: ${done}.`,
  metadataUntil: (role: string, version: number, day: string) => `${role} ${version} until ${day}`,
  unknownKey: (keyId: string, times: number, address: string, at: string) =>
    `${keyId} asked ${counted(times, 'time')}, last from ${address} at ${at}`,
  noMetadata: 'none is published',
  noUnknownKey: 'none asked',
  labels: {
    time: 'time',
    clock: 'clock',
    metadata: 'metadata',
    epoch: 'epoch',
    unknownKeys: 'unknown keys',
    notices: 'notices',
  },
} as const;

/** The dashboard. */
export const dashboardTexts = {
  operatorToken: 'Operator token',
  unlock: 'Unlock',
  unlocked: 'Changes are unlocked',
  lock: 'Lock',
  locked: 'Locked',
  lockedTitle: 'Holdfast: locked',
  giveToken: 'Give the operator token to see the fleet.',
  operatorsOnly: 'the fleet is shown to operators only',
  operatorsOnlyNext: 'log in',
  didNotWork: (why: string, next: string) => `That did not work: ${why}. Next: ${next}.`,
  tryAgain: 'try again',
  sendOrder: 'Send an order',
  appliance: 'Appliance',
  kind: 'Kind',
  send: 'Send',
  notShown: (why: string) => `cannot be shown: ${why}`,
  asOf: 'as of',
  utc: (time: string) => `${time} UTC`,
  appliances: {
    title: 'Appliances',
    empty: 'None is enrolled yet: holdfast claim create',
    columns: {
      appliance: 'Appliance',
      state: 'State',
      agent: 'Agent',
      updater: 'Updater',
      lastCheckIn: 'Last check-in',
      why: 'Why',
    },
  },
  rollouts: {
    title: 'Rollouts',
    empty: 'None was started yet: holdfast rollout start VERSION',
    columns: { release: 'Release', state: 'State', stage: 'Stage', howFar: 'How far' },
  },
  orders: {
    title: 'Orders',
    empty: 'None was sent yet: holdfast orders send APPLIANCE KIND',
    columns: { order: 'Order', appliance: 'Appliance', state: 'State', status: 'Status', age: 'Age' },
  },
  assigned: (releases: string) => `assigned: ${releases}`,
  agent: 'agent',
  updater: 'updater',
  never: 'never',
  ago: (age: string) => `${age} ago`,
  failedTrial: (version: string, at: string) => `failed trial of ${version}, ${at} UTC`,
  lastCrash: (version: string | null, at: string) => `last crash${version === null ? '' : ` of ${version}`}, ${at} UTC`,
  canaries: (names: string) => `canary: ${names}`,
  rolloutAge: (id: number, age: string) => `rollout ${id}, ${age} ago`,
  failedOn: (names: string) => `Failed on: ${names}`,
  outstanding: (names: string) => `Outstanding: ${names}`,
  verbs: { pause: 'pause', resume: 'resume', cancel: 'cancel' },
  change: 'Change',
  result: 'result',
  crashOutput: 'output of the crash',
  /** What the page's script says; it puts what belongs there in place of the braces. */
  script: {
    answered: 'the server answered {}',
    stale: 'What you see is old: the server does not answer ({}). Trying again.',
    done: 'Done: {}',
    unknown: 'It is not known whether that worked: {}',
  },
} as const;
