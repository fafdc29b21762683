/**
 * `npm run test:programs`: whole programs as they are in the field, for seconds each: every scenario, releases that are built
 * and tried, servers that are stopped and started, large states. What decides has its tests in `npm test`, in minutes.
 */
export const programTests: string[] = [
  'examples/*/*.test.ts',
  'test/scenarios/!(kill-*|bad-*|self-update|after-commit|deferring).test.ts',
  'test/agent/{duties/{inline,scheduler},threads/{first-duty,made,thread-run}}.test.ts',
  'test/agent/{agent,check-in,known-authority,left-behind,network-path,orders,releases,server-memory}.test.ts',
  'test/commands/{command-lines,unwritten-output}.test.ts',
  'test/crash/{clock-and-power,full-disk}.test.ts',
  'test/house/readme.test.ts',
  'test/image/development/agent-by-hand.test.ts',
  'test/image/{ceremony,ceremony-server,main,no-repository,signed-sources,trial-start,trial-work}.test.ts',
  'test/server-lite/{backup,claim-key,connection,connections,damaged,frozen,image-program,kept-port}.test.ts',
  'test/server-lite/cli/hard-times.test.ts',
  'test/server-lite/{locked,notices,orders,process,releases,replace-token,retention,rollout-failures}.test.ts',
  'test/server-lite/{rollouts,terminals,tls}.test.ts',
  'test/server-lite/machine/facts.test.ts',
  'test/updater/commands/{other-user,show,terminals}.test.ts',
  'test/updater/launch/main.test.ts',
  'test/updater/page/{main,peers}.test.ts',
  'test/updater/record/damaged-files.test.ts',
  'test/updater/release/{damaged-release,good-release,lying-cache,slot-on-disk,write-device}.test.ts',
  'test/updater/requests/stick-hostile.test.ts',
  'test/updater/run/hung-agent.test.ts',
  'test/updater/server/network-path.test.ts',
  'test/updater/set-up/{no-partition,set-up-path}.test.ts',
  'test/updater/trust/sources.test.ts',
];

/** Of those the ones that take minutes. */
export const slowPrograms: string[] = [
  'test/scenarios/readme-chapter.test.ts',
  'test/image/trial-start.test.ts',
  'test/scenarios/safe-mode.test.ts',
  'test/scenarios/strangers.test.ts',
];

/** Each has a script of its own: `npm run test:kill` judges how fast a killed process is replaced, `test:systemd` boots. */
export const otherTiers: string[] = [
  ...programTests,
  'test/scenarios/{kill,bad}-*.test.ts',
  'test/agent/{killed-offline,offline}.test.ts',
  'test/crash/{planted,patched}.test.ts',
  'test/updater/agent-data/{crowded-state,own-file-system}.test.ts',
  'test/updater/run/disk-faults.test.ts',
  'test/updater/release/misbehaving-server.test.ts',
  'test/server-lite/disk-full.test.ts',
  'test/systemd/*.test.ts',
  'test/hostile/*.test.ts',
  'test/scenarios/{self-update,after-commit,deferring}.test.ts',
  'test/updater/verdict/steps-bite.test.ts',
];

/**
 * Tests of what decides and does nothing: they share workers and what these have loaded, as none can leave anything behind.
 * `test/house/tiers.test.ts` follows what they import.
 */
export const pureTests: string[] = [
  'test/agent/inhibitor.test.ts',
  'test/agent/text.test.ts',
  'test/image/chunker.test.ts',
  'test/protocol/claim.test.ts',
  'test/protocol/frozen.test.ts',
  'test/protocol/ids.test.ts',
  'test/protocol/manifest.test.ts',
  'test/protocol/network-path.test.ts',
  'test/protocol/printable.test.ts',
  'test/protocol/read-bundle.test.ts',
  'test/protocol/record.test.ts',
  'test/protocol/retry-after.test.ts',
  'test/protocol/trust/envelope.test.ts',
  'test/protocol/trust/http-signature.test.ts',
  'test/protocol/trust/tuf-key.test.ts',
  'test/protocol/version.test.ts',
  'test/protocol/wire-enum.test.ts',
  'test/server-lite/rules/numbering.test.ts',
  'test/updater/words/age-word.test.ts',
  'test/updater/launch/table.test.ts',
  'test/updater/machine/table.test.ts',
  'test/updater/page/multipart.test.ts',
  'test/updater/verdict/rescue.test.ts',
  'test/updater/status/sentences.test.ts',
  'test/updater/verdict/standstill.test.ts',
  'test/updater/machine/transitions.test.ts',
];
