// Each planted bug is found: on its recorded seed and on three more where they are known, with the invariant named. `npm run sim:mutants`
// looks for such seeds.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { MUTANTS } from './mutants/mutants.ts';
import { readRecorded } from './mutants/recorded.ts';
import { searchMutant } from './mutants/search.ts';

/** Each is a process that keeps a core busy. */
const AT_ONCE = 2;
/** Seconds of processor time each; they wait for one another, and for whatever else the machine does. */
const PATIENCE_MS = 1_200_000;

const folder = mkdtempSync(join(tmpdir(), 'kith-mutants-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const turns = Array.from({ length: AT_ONCE }, () => Promise.resolve());

/** Begins when one of those before is done. */
function inTurn<T>(index: number, work: () => Promise<T>): Promise<T> {
  const turn = turns[index % AT_ONCE]!.then(work);
  turns[index % AT_ONCE] = turn.then(
    () => undefined,
    () => undefined,
  );
  return turn;
}

const recorded = readRecorded();

describe.concurrent('the simulation finds a planted bug', { timeout: PATIENCE_MS }, () => {
  it.each(MUTANTS.map((mutant, index) => ({ ...mutant, index })))('$name: $breaks', async ({ index, ...mutant }) => {
    const expected = recorded[mutant.name] ?? [];
    expect(expected).not.toEqual([]);
    const seeds = expected.map(([seed]) => seed);
    const { found } = await inTurn(index, () => searchMutant(mutant, { folder, seeds }));
    expect(found.map(({ seed, invariant }) => [seed, invariant])).toEqual(expected);
  });
});
