import type { Sampled } from './sample.ts';

/** A manifest that was signed and must not be followed. */
export interface ManifestCase {
  readonly name: string;
  /** The updater's code. */
  readonly code: 'bad-bundle' | 'bad-manifest' | 'incompatible';
  /** Made from a manifest that is right; bytes as they are, anything else as JSON. */
  readonly change: (sample: Sampled) => unknown;
  /** The manifest alone does not show it: it takes a bundle, or a digest. */
  readonly needsMore?: true;
}

const wrong = (name: string, change: ManifestCase['change']): ManifestCase => ({ name, code: 'bad-manifest', change });

/** The same content as main.js, somewhere else. */
function withFile(sample: Sampled, path: string): Sampled {
  const [first] = sample.files;
  return first === undefined ? sample : { ...sample, files: [...sample.files, { ...first, path }] };
}

function withLink(sample: Sampled, path: string, target: string): Sampled {
  return { ...sample, links: [...sample.links, { path, target }] };
}

const file = (name: string, path: string): ManifestCase => wrong(name, (sample) => withFile(sample, path));
const link = (name: string, path: string, target: string): ManifestCase =>
  wrong(name, (sample) => withLink(sample, path, target));

const outsidePaths: readonly ManifestCase[] = [
  file('a path with ..', '../outside'),
  file('a path with .. in the middle', 'lib/../../outside'),
  file('an absolute path', '/tmp/outside'),
  file('a path with .', 'lib/./more'),
  file('a path with an empty name', 'lib//more'),
  file('a path that ends in a slash', 'lib/more/'),
  file('an empty path', ''),
  file('a path with backslashes', '..\\outside'),
  file('the path of the seal', '.seal'),
  file('the path of the seal, its dot written otherwise', '\u2024seal'),
  file('the path of the mark of a commit', '.committed'),
  file('a path with NUL', 'main.js\u0000.txt'),
  file('a path with a line break', 'lib/a\nb'),
  file('a path with a line separator', 'lib/a\u2028b'),
  file('a name that is too long', 'x'.repeat(201)),
  file('a path that is too long', Array.from({ length: 5 }, () => 'x'.repeat(99)).join('/')),
  file('a path that is too deep', `${'a/'.repeat(20)}b`),
];

const twins: readonly ManifestCase[] = [
  file('a path twice', 'main.js'),
  file('case twins', 'MAIN.js'),
  file('case twins among directories', 'LIB/more'),
  file('a letter in two forms, one of them decomposed', 'lib/u\u0308ber'),
  wrong('compatibility twins', (sample) => withFile(withFile(sample, 'file.txt'), '\ufb01le.txt')),
  wrong('twins by a capital of two letters', (sample) => withFile(withFile(sample, 'strasse'), 'stra\u00dfe')),
  wrong('twins by the kelvin sign', (sample) => withFile(withFile(sample, 'kelvin'), '\u212aelvin')),
  file('a character that nobody sees', 'main\u200b.js'),
  file('a name that reads from right to left', 'lib/\u202esj.niam'),
  file('half a surrogate, which a disk cannot keep', 'lib/\ud800'),
  file('the character that stands for a broken one', 'lib/\ufffd'),
  file('a file below a file', 'main.js/more'),
  wrong('a directory where a file comes later', (sample) => withFile(withFile(sample, 'data/deep'), 'data')),
  file('a file below the twin of a file', 'Main.JS/more'),
  wrong('more files than anybody allows', (sample) => ({
    ...sample,
    files: Array.from({ length: 20_001 }, (_, index) => ({ ...sample.files[0], path: `f${index}` })),
  })),
];

const links: readonly ManifestCase[] = [
  link('a link to an absolute path', 'passwd', '/etc/passwd'),
  link('a link outside', 'outside', '../outside'),
  link('a link far outside', 'bin/outside', '../../../../../../etc/passwd'),
  link('a link outside by a detour', 'bin/outside', '../lib/../../outside'),
  link('a link to the slot itself', 'bin/all', '..'),
  link('a link to where it lies', 'here', '.'),
  link('a link to nothing', 'nothing', 'lib/nothing'),
  link('a link to itself', 'loop', 'loop'),
  link('a link to a link', 'again', 'bin/tool'),
  link('a link to the seal', 'seal', '.seal'),
  link('a link to the twin of a file', 'main', 'MAIN.js'),
  link('a link with an empty target', 'empty', ''),
  link('a link with NUL in its target', 'nul', 'main.js\u0000'),
  link('a link with a slash behind its target', 'lib2', 'lib/'),
  link('a link in the place of a file', 'main.js', 'lib/tool'),
  link('a link in the place of a directory', 'lib', 'main.js'),
  link('a link in the place of the twin of a directory', 'LIB', 'main.js'),
  link('a link in the place of another link', 'bin/tool', '../main.js'),
  link('a link below a file', 'main.js/link', '../lib/tool'),
  link('a link below a link', 'bin/tool/link', '../../main.js'),
  link('a link with a path outside', '../outside', 'main.js'),
  wrong('a file through a link', (sample) => withFile(withLink(sample, 'way', 'lib'), 'way/more')),
  wrong('a file through the twin of a link', (sample) => withFile(withLink(sample, 'way', 'lib'), 'WAY/more')),
  // As the names are written it stays inside; but `..` goes up from where the first link leads.
  wrong('a link that leaves through another link', (sample) =>
    withLink(
      withLink(withFile(sample, 'a/x/y/g'), 'a/x/y/way', '../../../lib'),
      'a/out',
      'x/y/way/../../../../main.js',
    ),
  ),
  wrong('an entry that is a link', (sample) => ({ ...sample, entry: 'bin/tool' })),
  wrong('more links than anybody allows', (sample) => ({
    ...sample,
    links: Array.from({ length: 4_097 }, (_, index) => ({ path: `l${index}`, target: 'main.js' })),
  })),
];

/** What names of files and links may not do. */
export const pathCases: readonly ManifestCase[] = [...outsidePaths, ...twins, ...links];
