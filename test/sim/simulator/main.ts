// `npm run sim`: runs seeds and says what happened. See docs/SIMULATION.md.

import { createWriteStream } from 'node:fs';
import { availableParallelism } from 'node:os';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { FAULT_KINDS } from './faults/all.ts';
import { runJobs, type ToldRun } from './jobs.ts';
import { type Plan, planFor } from './plan.ts';
import { runSeed } from './run.ts';
import { shrink } from './shrink.ts';
import { addUp, emptySummary, formatSummary } from './summary.ts';

const HELP = `Runs whole simulated clusters under faults, one for each seed.

  --seeds N      how many (1)
  --from S       the first seed (1)
  --nodes M      machines at the beginning, 2 to 9 (drawn by the seed)
  --minutes T    minutes of virtual time with faults (1)
  --aim K,K      faults of these kinds only, each up to three times
  --jobs J       processes (one less than there are processors)
  --trace FILE   writes what happens in the runs; in one process
  --shrink       drops faults from the plan of a seed that fails, as long as it still fails; in one process
  --json         one JSON object a run, in place of text
  --plan         prints the plan of each seed and runs nothing; in one process
`;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1' },
    from: { type: 'string', default: '1' },
    nodes: { type: 'string' },
    minutes: { type: 'string' },
    aim: { type: 'string' },
    jobs: { type: 'string' },
    trace: { type: 'string' },
    shrink: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    plan: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

/** Beyond an hour of faults a run says nothing that an hour does not. */
const MINUTES_MAX = 60;
const JOBS_MAX = 256;

function numberOf(name: string, text: string, from: number, to: number, whole = true): number {
  const number = Number(text);
  if (text !== '' && number >= from && number <= to && (!whole || Number.isInteger(number))) return number;
  throw new Error(`--${name} must be ${whole ? 'a whole number' : 'a number'} from ${from} to ${to}, got ${text}`);
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

interface Options {
  readonly seeds: number;
  readonly from: number;
  readonly nodes: number | undefined;
  readonly minutes: number | undefined;
  readonly aim: readonly string[] | undefined;
  readonly jobs: number;
}

function kindsOf(text: string): readonly string[] {
  const kinds = text.split(',');
  const unknown = kinds.filter((name) => !FAULT_KINDS.some(({ kind }) => kind === name));
  if (unknown.length > 0) throw new Error(`--aim: no fault ${unknown.join(', ')}`);
  return kinds;
}

function readOptions(): Options {
  const seeds = numberOf('seeds', values.seeds, 1, 10_000_000);
  const alone = values.trace !== undefined || values.shrink || values.plan;
  if (alone && values.jobs !== undefined && values.jobs !== '1') {
    throw new Error('--trace, --shrink and --plan are of one process: leave out --jobs');
  }
  const most = alone ? 1 : Math.max(1, availableParallelism() - 1);
  return {
    seeds,
    from: numberOf('from', values.from, 0, 2 ** 31),
    nodes: values.nodes === undefined ? undefined : numberOf('nodes', values.nodes, 2, 9),
    minutes: values.minutes === undefined ? undefined : numberOf('minutes', values.minutes, 0.1, MINUTES_MAX, false),
    aim: values.aim === undefined ? undefined : kindsOf(values.aim),
    jobs: Math.min(seeds, values.jobs === undefined ? most : numberOf('jobs', values.jobs, 1, JOBS_MAX)),
  };
}

/** The words that make a run of another process the same. */
const sharedWords = ({ nodes, minutes, aim }: Options): string[] => [
  ...(nodes === undefined ? [] : ['--nodes', `${nodes}`]),
  ...(minutes === undefined ? [] : ['--minutes', `${minutes}`]),
  ...(aim === undefined ? [] : ['--aim', aim.join(',')]),
];

function printFailure({ violation, seed, last }: ToldRun, options: Options): void {
  if (!violation) return;
  print(`\nseed ${seed} violates ${violation.invariant} at ${(violation.atMs / 1_000).toFixed(1)} s:`);
  print(`  ${violation.message}\nlast events:`);
  for (const line of last) print(`  ${line}`);
  print(`replay: ${['npm run sim -- --seeds 1 --from', seed, ...sharedWords(options)].join(' ')} --trace trace.txt\n`);
}

async function runHere(options: Options, onRun: (run: ToldRun) => void): Promise<void> {
  const file = values.trace === undefined ? undefined : createWriteStream(values.trace);
  // Nodes of a run that is over may still have something to say.
  const onLine = file && ((line: string) => void (file.writable && file.write(`${line}\n`)));
  for (let seed = options.from; seed < options.from + options.seeds; seed++) {
    const plan = planFor({ ...options, seed });
    if (values.plan) {
      print(JSON.stringify(plan, undefined, 2));
      continue;
    }
    onLine?.(`seed ${seed}`);
    const before = process.cpuUsage();
    const result = await runSeed({ seed, plan, ...(onLine && { onLine }) });
    const { user, system } = process.cpuUsage(before);
    onRun({ ...result, cpuMs: Math.round((user + system) / 1_000) });
    if (result.violation && values.shrink) await shrinkAndPrint(plan, result.violation.invariant);
  }
  file?.end();
}

async function shrinkAndPrint(plan: Plan, invariant: string): Promise<void> {
  const shrunk = await shrink(plan, invariant, (tried) => runSeed({ seed: plan.seed, plan: tried }));
  print(`the same with ${shrunk.faults.length} of ${plan.faults.length} faults and ${shrunk.acts.length} acts:`);
  for (const fault of shrunk.faults) print(`  ${JSON.stringify(fault)}`);
  for (const act of shrunk.acts) print(`  ${JSON.stringify(act)}`);
}

async function main(): Promise<void> {
  if (values.help) return print(HELP);
  const options = readOptions();
  const summary = emptySummary();
  const onRun = (run: ToldRun): void => {
    addUp(summary, run, run.cpuMs);
    if (run.violation) process.exitCode = 1;
    if (values.json) print(JSON.stringify({ ...run, last: run.violation ? run.last : [] }));
    else printFailure(run, options);
  };
  if (options.jobs > 1) await runJobs(options, sharedWords(options), onRun);
  else await runHere(options, onRun);
  if (!values.json && !values.plan) {
    const kinds = FAULT_KINDS.map(({ kind }) => kind);
    print(formatSummary(summary, kinds));
  }
}

// Stacks of refusals that everybody expects cost more than what they refuse.
if (values.trace === undefined) Error.stackTraceLimit = 2;
await main();
