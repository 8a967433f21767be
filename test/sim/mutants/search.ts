// Runs mutants: each in a bundle and a process of its own, over seeds given.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { bundle } from '../../../scripts/sim/bundle.ts';
import type { PlanOptions } from '../simulator/plan.ts';
import type { Mutant } from './mutants.ts';

/** A seed that broke an invariant. */
export interface Found {
  readonly seed: number;
  readonly invariant: string;
  readonly message: string;
  /** Until then. */
  readonly virtualMs: number;
  readonly cpuMs: number;
}

export interface Ended {
  readonly tried: number;
  /** Of the whole process. */
  readonly cpuMs: number;
}

export interface Searched extends Ended {
  readonly found: readonly Found[];
}

export interface SearchOptions {
  /** Where bundles are put. */
  readonly folder: string;
  readonly seeds: readonly number[];
  /** Ends when so many have broken an invariant of the mutant; all are run if absent. */
  readonly enough?: number;
  /** Is told of each as it is found. */
  readonly onFound?: (found: Found) => void;
}

/** Small clusters are cheap. */
const NODES_DEFAULT = [2, 3] as const;

/**
 * The plan of a seed for a mutant: what brings it to light, in few machines, and nothing besides. Other faults would let
 * users get less confirmed, and every change of the product that touches them would move what happens.
 */
export const aimedAt = ({ faults, nodes: [from, to] = NODES_DEFAULT }: Mutant, seed: number): PlanOptions => ({
  seed,
  nodes: from + (seed % (to - from + 1)),
  aim: faults,
});

/** @throws Error if the process ends otherwise than by itself, with what it said. */
export async function searchMutant(mutant: Mutant, options: SearchOptions): Promise<Searched> {
  const { folder, seeds, enough = seeds.length, onFound } = options;
  const outfile = join(folder, `${mutant.name}.mjs`);
  await bundle({ mutant, outfile, entry: 'test/sim/mutants/main.ts' });
  const plans = JSON.stringify(seeds.map((seed) => aimedAt(mutant, seed)));
  const words = [outfile, plans, String(enough), mutant.breach.join(',')];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  const found: Found[] = [];
  let ended: Ended | undefined;
  let rest = '';
  let errors = '';
  child.stdout.on('data', (data: Buffer) => {
    const lines = (rest + data.toString()).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      const told = JSON.parse(line) as Found | Ended;
      if ('tried' in told) ended = told;
      else {
        found.push(told);
        onFound?.(told);
      }
    }
  });
  child.stderr.on('data', (data: Buffer) => {
    errors = (errors + data.toString()).slice(-4_000);
  });
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  if (code !== 0 || !ended) throw new Error(`${mutant.name} ended with ${code}\n${errors}`);
  return { found, ...ended };
}
