// The seeds that find each mutant, with the invariant each names: `npm run sim:mutants -- --record` writes them anew
// after a change of the simulator.

import { readFileSync, writeFileSync } from 'node:fs';
import type { Found } from './search.ts';

/** Of each mutant: the recorded seed and three more. */
export const RECORDED_SEEDS = 4;

export type Recorded = Readonly<Record<string, readonly (readonly [seed: number, invariant: string])[]>>;

const FILE = new URL('./recorded.json', import.meta.url);

export const readRecorded = (): Recorded => JSON.parse(readFileSync(FILE, 'utf8')) as Recorded;

export function writeRecorded(found: ReadonlyMap<string, readonly Found[]>): void {
  const lines = [...found].map(([name, seeds]) => {
    const pairs = seeds.map(({ seed, invariant }) => `    [${seed}, ${JSON.stringify(invariant)}]`);
    return `  ${JSON.stringify(name)}: [\n${pairs.join(',\n')}\n  ]`;
  });
  writeFileSync(FILE, `{\n${lines.join(',\n')}\n}\n`);
}
