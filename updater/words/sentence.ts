import { withFullStop } from '../../protocol/text.ts';

/** Starts with a capital and ends with a full stop; a text that was cut keeps its ellipsis. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  return withFullStop(`${trimmed.charAt(0).toUpperCase()}${trimmed.slice(1)}`);
}
