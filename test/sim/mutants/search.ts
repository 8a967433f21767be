// Runs mutants: each in a bundle and a process of its own, over seeds given.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { bundle } from '../../../scripts/sim/bundle.ts';
import type { Mutant } from './mutants.ts';

/** A seed that found the mutant. */
export interface Found {
  readonly seed: number;
  readonly invariant: string;
  readonly message: string;
  /** Until the violation. */
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
  /** Ends when so many have found it; all are run if absent. */
  readonly enough?: number;
}

/** @throws Error if the process ends otherwise than by itself, with what it said. */
export async function searchMutant(mutant: Mutant, { folder, seeds, enough }: SearchOptions): Promise<Searched> {
  const outfile = join(folder, `${mutant.name}.mjs`);
  await bundle({ mutant, outfile, entry: 'test/sim/mutants/main.ts' });
  const words = [outfile, seeds.join(','), String(enough ?? seeds.length)];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let errors = '';
  child.stdout.on('data', (data: Buffer) => {
    out += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    errors = (errors + data.toString()).slice(-4_000);
  });
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  const lines = out.split('\n').filter((line) => line !== '');
  if (code !== 0 || lines.length === 0) throw new Error(`${mutant.name} ended with ${code}\n${errors}`);
  const told = lines.map((line) => JSON.parse(line) as Found | Ended);
  return { found: told.filter((one) => 'seed' in one), ...(told.at(-1) as Ended) };
}
