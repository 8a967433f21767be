// How many cases a fast-check family runs, and from which seed. `npm test` runs the default budget; `npm run fuzz`
// and the long forms raise it. fast-check prints seed and path of a failure; KITH_FUZZ_SEED replays it.

import process from 'node:process';
import fc from 'fast-check';

/** Cases of one family in `npm test`; a family of several properties splits it. */
export const FAMILY_RUNS = 20_000;

/** Whether the long forms of tests were asked for. */
export const longForm: boolean = process.env['KITH_LONG'] === '1';

/** What KITH_LONG=1 multiplies the budget by. */
const LONG_FACTOR = 10;

function wholeNumber(name: string): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === '') return undefined;
  if (!/^-?\d{1,15}$/.test(text)) throw new Error(`${name} must be a whole number, got ${JSON.stringify(text)}`);
  return Number(text);
}

const seed = wholeNumber('KITH_FUZZ_SEED');
if (seed !== undefined) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });

/**
 * The `numRuns` of a property that runs `defaultRuns` cases in `npm test`. KITH_FUZZ_RUNS is the budget of a whole
 * family: every property grows or shrinks by the same factor.
 */
export function fuzzRuns(defaultRuns: number): number {
  const family = wholeNumber('KITH_FUZZ_RUNS');
  const long = longForm ? LONG_FACTOR : 1;
  const factor = family === undefined ? long : family / FAMILY_RUNS;
  return Math.max(1, Math.ceil(defaultRuns * factor));
}
