/** A count and its noun: `1 time`, `4 times`, `2 more tries`. English needs the plural for every number but one. */
export function counted(count: number, one: string, many: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
