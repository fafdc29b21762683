import { printable } from '../../protocol/printable.ts';
import { catalogueOf } from './catalogue.ts';

/** Prints what a maker's module defines: `describe.ts URL`. The build runs it; nothing of it is in a release. */
const [, , url = ''] = process.argv;
const exports: Record<string, unknown> = await import(url);
process.stdout.write(printable(`${JSON.stringify(catalogueOf(exports))}\n`));
