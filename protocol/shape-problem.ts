import type { z } from 'zod';

/** Fields that one sentence reports. */
const toldMax = 4;

/** The name of each type for people. */
const typeNames: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'a list',
  null: 'null',
  date: 'a date',
};
/** The unit of each type's limits. */
const unitNames: Readonly<Record<string, string>> = { string: ' characters', array: ' entries' };

/** Why a value does not have the needed shape: each field by its path, what is needed there, and what was found. */
export function shapeProblem({ issues }: z.ZodError): string {
  const told = issues.slice(0, toldMax).map(tell);
  const left = issues.length - told.length;
  return [...told, ...(left > 0 ? [`and ${left} more`] : [])].join('; ');
}

/** zod's own messages begin like this; any other message was written for people, beside its rule. */
const ownMessage = /^(Invalid|Too|Unrecognized) /;

function tell(issue: z.core.$ZodIssue): string {
  const field = issue.path.map(String).join('.');
  if (ownMessage.test(issue.message)) return `${field || 'it'} ${wordsOf(issue)}`;
  return field === '' ? issue.message : `${field}: ${issue.message}`;
}

function wordsOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return typeWords(issue.expected, issue.message);
    case 'too_small':
      return `must ${boundWords(issue.origin, 'at least', 'more than', issue.minimum, issue.inclusive)}`;
    case 'too_big':
      return `must ${boundWords(issue.origin, 'at most', 'less than', issue.maximum, issue.inclusive)}`;
    case 'invalid_value':
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
    case 'invalid_format':
      return issue.pattern === undefined ? `must be a valid ${issue.format}` : `must look like ${issue.pattern}`;
    case 'unrecognized_keys':
      return `has fields that are not known: ${issue.keys.join(', ')}`;
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`;
    case 'invalid_union':
      return 'has none of the shapes that are allowed';
    case 'invalid_key':
      return 'has a name in it that is not allowed';
    case 'invalid_element':
      return 'has an entry that is not allowed';
    case 'custom':
      return 'is not allowed';
    default:
      return issue satisfies never;
  }
}

/** The issue does not carry the value; its message names the type that was found. */
function typeWords(expected: string, message: string): string {
  const needed = typeNames[expected] ?? expected;
  const [, came = ''] = /received (\S+)$/.exec(message) ?? [];
  if (came === 'undefined') return `is missing; ${needed} is needed`;
  return `must be ${needed}${came === '' ? '' : `, and is ${typeNames[came] ?? came}`}`;
}

function boundWords(
  origin: string,
  inclusiveWord: string,
  exclusiveWord: string,
  bound: number | bigint,
  inclusive = true,
): string {
  const unit = unitNames[origin];
  return `${unit === undefined ? 'be' : 'have'} ${inclusive ? inclusiveWord : exclusiveWord} ${bound}${unit ?? ''}`;
}
