// Seeds in several processes at once: each runs a part of them and tells of every run in a line of JSON.

import { spawn } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline';
import type { RunResult } from './run.ts';

/** What a run is told as. */
export interface ToldRun extends RunResult {
  readonly cpuMs: number;
}

/**
 * Runs seeds `from` to `from + seeds - 1` in `jobs` processes of this program.
 * @param words further options for each. @throws Error if one of them ends otherwise than after a violation.
 */
export async function runJobs(
  { from, seeds, jobs }: { readonly from: number; readonly seeds: number; readonly jobs: number },
  words: readonly string[],
  onRun: (run: ToldRun) => void,
): Promise<void> {
  const each = Math.ceil(seeds / jobs);
  const parts = Array.from({ length: jobs }, (_, i) => ({
    first: from + i * each,
    count: Math.min(each, seeds - i * each),
  })).filter(({ count }) => count > 0);
  await Promise.all(parts.map(({ first, count }) => runPart(first, count, words, onRun)));
}

async function runPart(
  first: number,
  count: number,
  words: readonly string[],
  onRun: (run: ToldRun) => void,
): Promise<void> {
  const part = ['--jobs', '1', '--json', '--from', `${first}`, '--seeds', `${count}`, ...words];
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...part], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  for await (const line of createInterface({ input: child.stdout })) onRun(JSON.parse(line) as ToldRun);
  const code = await ended;
  // 1: a violation, which was told.
  if (code !== 0 && code !== 1) throw new Error(`the process with seeds from ${first} on ended with ${code}`);
}
