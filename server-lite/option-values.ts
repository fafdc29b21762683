import { InvalidArgumentError } from 'commander';
import { commandTexts } from './texts.ts';

/** Numbers on the command line. */
export function wholeBetween(min: number, max: number) {
  return (text: string): number => {
    const value = numberBetween(min, max)(text);
    if (!Number.isInteger(value)) throw new InvalidArgumentError(commandTexts.notWhole);
    return value;
  };
}

export function numberBetween(min: number, max: number) {
  return (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= min && value <= max))
      throw new InvalidArgumentError(commandTexts.notBetween(min, max));
    return value;
  };
}
