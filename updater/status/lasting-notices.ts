import type { Appliance } from '../appliance/appliance.ts';
import { readKept } from '../effects/kept-file.ts';
import { pinBytesMax, pinRecordShape } from '../page/pin.ts';
import { statusTexts } from '../words/texts.ts';

/** What a person on site has to know, whatever else the appliance does. */

/** Without a PIN nobody can act on the field page, which may be noticed only when it is needed. */
export function pinNotice({ files, layout }: Pick<Appliance, 'files' | 'layout'>): string[] {
  if (files.stat(layout.page)?.kind !== 'directory') return [];
  return readKept(files, layout.pin, pinBytesMax, pinRecordShape) === null ? [statusTexts.pinMissing] : [];
}
