import { execa } from 'execa';

/**
 * The files of a checkout that differ from its last commit, and those that no commit has, except what git ignores; sorted.
 * Files that are gone are not among them.
 * @throws where `root` is not the root of a git checkout
 */
export async function changedFiles(root: string): Promise<string[]> {
  const git = async (...args: string[]): Promise<string[]> => {
    const { stdout } = await execa('git', args, { cwd: root });
    return stdout.split('\0').filter((path) => path !== '');
  };
  const changed = await git('diff', '--name-only', '--diff-filter=d', '-z', 'HEAD');
  const added = await git('ls-files', '--others', '--exclude-standard', '-z');
  return [...new Set([...changed, ...added])].sort((a, b) => (a < b ? -1 : 1));
}

/** Those that tests can import. */
export function sourcesAmong(files: readonly string[]): string[] {
  return files.filter((path) => /\.(ts|js)$/.test(path));
}
