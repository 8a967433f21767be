// What a bundle with a mutant runs: plans one after the other, until enough of them have broken one of the invariants
// given. One line of JSON for each that broke any, and one at the end.

import process from 'node:process';
import type { PlanOptions } from '../simulator/plan.ts';
import { runSeed } from '../simulator/run.ts';
import type { Ended, Found } from './search.ts';

const [plans = '[]', enough = '', breach = ''] = process.argv.slice(2);

const tell = (line: Found | Ended) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** Of the processor, user and system. */
function cpuMs(since?: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return Math.round((user + system) / 1_000);
}

let found = 0;
let tried = 0;
for (const options of JSON.parse(plans) as readonly PlanOptions[]) {
  if (found === Number(enough)) break;
  const before = process.cpuUsage();
  const { violation, virtualMs } = await runSeed(options);
  tried += 1;
  if (!violation) continue;
  const { invariant, message } = violation;
  if (breach.split(',').includes(invariant)) found += 1;
  tell({ seed: options.seed, invariant, message, virtualMs, cpuMs: cpuMs(before) });
}
tell({ tried, cpuMs: cpuMs() });
// Nodes of a run that was cut short may have timers of Node behind them.
process.exit(0);
