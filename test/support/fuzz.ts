// How many runs a property gets: few in `npm test`, ten times as many in long form, as many as asked in `npm run fuzz`.

import process from 'node:process';

/** Whether the long forms of tests were asked for. */
export const longForm: boolean = process.env['KITH_LONG'] === '1';

/** @param ordinary the number of runs in `npm test`. */
export function fuzzRuns(ordinary: number): number {
  const asked = Number(process.env['KITH_FUZZ_RUNS'] ?? 0);
  return asked > 0 ? asked : ordinary * (longForm ? 10 : 1);
}
