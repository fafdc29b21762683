/** The scripts of package.json that run a tier of tests, each with a configuration of its own, in the order of what they take. */
export function tierScripts(scripts: Readonly<Record<string, string>>): string[] {
  return Object.keys(scripts).filter((name) => scripts[name]?.startsWith('vitest run') === true);
}
