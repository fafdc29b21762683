/** One change of the source, and the case that must see it. */
export interface Defect {
  readonly name: string;
  readonly file: 'verdict' | 'trial' | 'comparison' | 'settings' | 'deferral';
  readonly from: string;
  readonly to: string;
  /** `clause: case`. */
  readonly seenBy: string;
}

/** Where in updater/ the file stands. */
export function roomOf(file: Defect['file']): string {
  return file === 'settings' ? 'identity' : 'verdict';
}

export function inVerdict(name: string, from: string, to: string, seenBy: string): Defect {
  return { name, file: 'verdict', from, to, seenBy };
}
export function inComparison(name: string, from: string, to: string, seenBy: string): Defect {
  return { name, file: 'comparison', from, to, seenBy };
}
export function inTrial(name: string, from: string, to: string, seenBy: string): Defect {
  return { name, file: 'trial', from, to, seenBy };
}
export function inSettings(name: string, from: string, to: string, seenBy: string): Defect {
  return { name, file: 'settings', from, to, seenBy };
}
export function inDeferral(name: string, from: string, to: string, seenBy: string): Defect {
  return { name, file: 'deferral', from, to, seenBy };
}
