// What a bundle with a mutant runs: seeds one after the other, until enough of them have broken one of the invariants
// given. One line of JSON for each that broke any, and one at the end.

import process from 'node:process';
import { runSeed } from '../simulator/run.ts';
import type { Ended, Found } from './search.ts';

const [seeds = '', enough = '', breach = ''] = process.argv.slice(2);

const tell = (line: Found | Ended) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** Of the processor, user and system. */
function cpuMs(since?: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return Math.round((user + system) / 1_000);
}

let found = 0;
let tried = 0;
for (const seed of seeds.split(',').map(Number)) {
  if (found === Number(enough)) break;
  const before = process.cpuUsage();
  const { violation, virtualMs } = await runSeed({ seed });
  tried += 1;
  if (!violation) continue;
  const { invariant, message } = violation;
  if (breach.split(',').includes(invariant)) found += 1;
  tell({ seed, invariant, message, virtualMs, cpuMs: cpuMs(before) });
}
tell({ tried, cpuMs: cpuMs() });
// Nodes of a run that was cut short may have timers of Node behind them.
process.exit(0);
