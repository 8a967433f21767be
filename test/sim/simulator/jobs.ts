// Seeds in several processes at once: each runs a part of them and tells of every run in a line of JSON.

import { spawn } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline';
import type { RunResult } from './run.ts';

/** What a run is told as. */
export interface ToldRun extends RunResult {
  readonly cpuMs: number;
}

/** Of one process: nodes that crashed keep their promises for ever, and the more of them, the slower is what follows. */
const SEEDS_OF_PROCESS = 40;

/**
 * Runs seeds `from` to `from + seeds - 1` in processes of this program, `jobs` of them at a time.
 * @param words further options for each. @throws Error if one of them ends otherwise than after a violation.
 */
export async function runJobs(
  { from, seeds, jobs }: { readonly from: number; readonly seeds: number; readonly jobs: number },
  words: readonly string[],
  onRun: (run: ToldRun) => void,
): Promise<void> {
  const end = from + seeds;
  const each = Math.min(SEEDS_OF_PROCESS, Math.ceil(seeds / jobs));
  let next = from;
  const worker = async () => {
    while (next < end) {
      const first = next;
      next += each;
      await runPart(first, Math.min(each, end - first), words, onRun);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
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
