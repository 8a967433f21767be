// What a bundle with a mutant runs: seeds one after the other, until enough of them have found something. One line of
// JSON for each seed that did, and one at the end.

import process from 'node:process';
import { runSeed } from '../simulator/run.ts';
import type { Ended, Found } from './search.ts';

const seeds = process.argv[2]!.split(',').map(Number);
const enough = Number(process.argv[3] ?? seeds.length);

const tell = (line: Found | Ended) => process.stdout.write(`${JSON.stringify(line)}\n`);

let found = 0;
let tried = 0;
for (const seed of seeds) {
  if (found === enough) break;
  const before = process.cpuUsage();
  const { violation, virtualMs } = await runSeed({ seed });
  const { user, system } = process.cpuUsage(before);
  tried += 1;
  if (!violation) continue;
  found += 1;
  const { invariant, message } = violation;
  tell({ seed, invariant, message, virtualMs, cpuMs: Math.round((user + system) / 1_000) });
}
const { user, system } = process.cpuUsage();
tell({ tried, cpuMs: Math.round((user + system) / 1_000) });
// Nodes of a run that was cut short may have timers of Node behind them.
process.exit(0);
