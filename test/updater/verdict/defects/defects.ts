import type { Defect } from './defect.ts';
import { deferralDefects } from './deferral-defects.ts';
import { endDefects } from './end-defects.ts';
import { healthDefects } from './health-defects.ts';
import { lengthDefects } from './length-defects.ts';
import { serverDefects } from './server-defects.ts';
import { workDefects } from './work-defects.ts';

export const defects: readonly Defect[] = [
  ...healthDefects,
  ...workDefects,
  ...serverDefects,
  ...endDefects,
  ...lengthDefects,
  ...deferralDefects,
];
