// `npm run sim`: runs seeds one after the other and says what happened. See docs/SIMULATION.md.

import { createWriteStream } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { FAULT_KINDS } from './faults/all.ts';
import type { Plan } from './plan.ts';
import { planFor } from './plan.ts';
import { type RunResult, runSeed } from './run.ts';
import { shrink } from './shrink.ts';
import { addUp, emptySummary, formatSummary } from './summary.ts';

const HELP = `Runs whole simulated clusters under faults, one for each seed.

  --seeds N      how many (1)
  --from S       the first seed (1)
  --nodes M      machines at the beginning, 2 to 9 (drawn by the seed)
  --minutes T    minutes of virtual time with faults (1)
  --trace FILE   writes what happens in the runs
  --shrink       drops faults from the plan of a seed that fails, as long as it still fails
  --json         one JSON object a run, in place of text
  --plan         prints the plan of each seed and runs nothing
`;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1' },
    from: { type: 'string', default: '1' },
    nodes: { type: 'string' },
    minutes: { type: 'string' },
    trace: { type: 'string' },
    shrink: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    plan: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function wholeNumber(name: string, text: string, from: number, to: number): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= from && number <= to) return number;
  throw new Error(`--${name} must be a whole number from ${from} to ${to}, got ${text}`);
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

function printFailure(result: RunResult, replay: string): void {
  const { violation, seed, last } = result;
  if (!violation) return;
  print(`\nseed ${seed} violates ${violation.invariant} at ${(violation.atMs / 1_000).toFixed(1)} s:`);
  print(`  ${violation.message}\nlast events:`);
  for (const line of last) print(`  ${line}`);
  print(`replay: ${replay}\n`);
}

async function main(): Promise<void> {
  if (values.help) return print(HELP);
  const seeds = wholeNumber('seeds', values.seeds, 1, 10_000_000);
  const from = wholeNumber('from', values.from, 0, 2 ** 31);
  const nodes = values.nodes === undefined ? undefined : wholeNumber('nodes', values.nodes, 2, 9);
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
  const file = values.trace === undefined ? undefined : createWriteStream(values.trace);
  const onLine = file && ((line: string) => void file.write(`${line}\n`));
  const summary = emptySummary();
  for (let seed = from; seed < from + seeds; seed++) {
    const options = { seed, nodes, minutes };
    const plan: Plan = planFor(options);
    if (values.plan) {
      print(JSON.stringify(plan, undefined, 2));
      continue;
    }
    onLine?.(`seed ${seed}`);
    const startedMs = process.cpuUsage();
    const result = await runSeed({ ...options, plan, ...(onLine && { onLine }) });
    const { user, system } = process.cpuUsage(startedMs);
    const cpuMs = Math.round((user + system) / 1_000);
    addUp(summary, result, cpuMs);
    const extra = [nodes && `--nodes ${nodes}`, minutes && `--minutes ${minutes}`].filter(Boolean).join(' ');
    const replay = `npm run sim -- --seeds 1 --from ${seed} ${extra} --trace trace.txt`;
    if (values.json) {
      const { last, ...rest } = result;
      print(JSON.stringify({ ...rest, cpuMs, ...(result.violation && { last, replay }) }));
    } else printFailure(result, replay);
    if (result.violation && values.shrink) {
      const shrunk = await shrink(plan, result.violation.invariant, (tried) => runSeed({ ...options, plan: tried }));
      print(`the same with ${shrunk.faults.length} of ${plan.faults.length} faults and ${shrunk.acts.length} acts:`);
      for (const fault of shrunk.faults) print(`  ${JSON.stringify(fault)}`);
    }
    if (result.violation) process.exitCode = 1;
  }
  file?.end();
  if (!values.json && !values.plan)
    print(
      formatSummary(
        summary,
        FAULT_KINDS.map(({ kind }) => kind),
      ),
    );
}

// Stacks of refusals that everybody expects cost more than what they refuse.
if (values.trace === undefined) Error.stackTraceLimit = 2;
await main();
