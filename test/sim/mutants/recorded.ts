// The seeds that find each mutant, with the invariant each names: `npm run sim:mutants -- --record` writes them anew
// after a change of the simulator.

import { readFileSync, writeFileSync } from 'node:fs';
import { MUTANTS } from './mutants.ts';
import type { Found } from './search.ts';

/** Of each mutant: the recorded seed and three more. */
export const RECORDED_SEEDS = 4;

type Pair = readonly [seed: number, invariant: string];

const FILE = new URL('./recorded.json', import.meta.url);

/** By name of the mutant. */
export const readRecorded = (): Readonly<Record<string, readonly Pair[]>> =>
  JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, Pair[]>;

/** In place of what was recorded for the mutant; others stay, and those of mutants there are no longer go. */
export function record(name: string, found: readonly Found[]): void {
  const before = readRecorded();
  const pairsOf = (mutant: string): readonly Pair[] =>
    mutant === name ? found.map(({ seed, invariant }) => [seed, invariant] as const) : (before[mutant] ?? []);
  const lines = MUTANTS.map((mutant) => {
    const pairs = pairsOf(mutant.name).map(([seed, invariant]) => `[${seed}, ${JSON.stringify(invariant)}]`);
    return `  ${JSON.stringify(mutant.name)}: [${pairs.join(', ')}]`;
  });
  writeFileSync(FILE, `{\n${lines.join(',\n')}\n}\n`);
}
