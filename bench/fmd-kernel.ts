// `npm run bench:fmd [-- --quick --json=FILE]`: the detection kernel against keys of every number and kind, beside the
// textbook on @noble and, where cargo is there, polyfuzzy in native code. All of a line is measured in turns of one run;
// figures are medians of nine turns, and ratios medians of the ratios within a turn, flag work included, one core each
// (two where it says so).

import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import process from 'node:process';
import { Worker } from 'node:worker_threads';
import { systemRandom } from '../src/core/system.ts';
import type { Flag } from '../src/fmd/flag.ts';
import { createKernel, type Kernel } from '../src/fmd/kernel/kernel.ts';
import { choosePlan } from '../src/fmd/kernel/table-plan.ts';
import { firstIndices } from '../src/fmd/keys.ts';
import { naiveDetect, randomDetectionKey, randomFlag } from '../test/support/fmd.ts';
import { type KeyKind, rowsOfKeys } from './fmd-keys.ts';
import { type Polyfuzzy, startPolyfuzzy } from './peers/polyfuzzy.ts';

const TURNS = 9;
/** A turn is long enough for the clock and short enough to stand close to its neighbours. */
const TURN_NS = 40e6;
/** Distinct flags a turn goes round. */
const FLAGS = 8;
const KEY_COUNTS = [1, 10, 100, 1000, 10_000];
const SUBKEYS = [5, 10, 20];

interface Line {
  readonly kind: KeyKind;
  readonly n: number;
  readonly keys: number;
  readonly table: string;
  readonly nsPerPair: number;
  readonly pairsPerSecond: number;
  readonly twoWorkers: number | undefined;
  readonly timesNoble: number;
  readonly timesPolyfuzzy: number | undefined;
}

const now = (): number => Number(process.hrtime.bigint());
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** Nanoseconds of one flag against all keys of the kernel, the mean of a turn. */
function timeKernel(kernel: Kernel, flags: readonly Flag[], matches: Uint8Array, count: number): number {
  const started = now();
  for (let i = 0; i < count; i++) kernel.detect(flags[i % flags.length]!, matches);
  return (now() - started) / count;
}

/** Runs until the engine has compiled the kernel's inner loops for good. */
function warmUp(kernel: Kernel, flags: readonly Flag[], matches: Uint8Array): number {
  let took = 0;
  for (const until = now() + 10 * TURN_NS; now() < until; ) took = timeKernel(kernel, flags, matches, 1);
  return Math.max(1, Math.round(TURN_NS / took));
}

/** Two workers with half of the flags each: pairs per second of both together over those of one alone. */
async function timeTwoWorkers(kind: KeyKind, n: number, keys: number): Promise<number> {
  const start = () => new Worker(new URL('./fmd-worker-entry.mjs', import.meta.url), { workerData: { kind, n, keys } });
  const ask = async (worker: Worker): Promise<number> => {
    worker.postMessage('run');
    const [pairsPerSecond] = (await once(worker, 'message')) as [number];
    return pairsPerSecond;
  };
  const workers = [start(), start()] as const;
  await Promise.all(workers.map(ask));
  const gains: number[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    const alone = await ask(workers[turn % 2]!);
    const [first, second] = await Promise.all(workers.map(ask));
    gains.push((first! + second!) / alone);
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
  return median(gains);
}

async function measure(
  module: WebAssembly.Module,
  peer: Polyfuzzy | undefined,
  kind: KeyKind,
  n: number,
  keys: number,
): Promise<Line> {
  const flags = Array.from({ length: FLAGS }, () => randomFlag(systemRandom));
  const rows = rowsOfKeys(kind, n, keys);
  const kernel = createKernel(module);
  kernel.load([rows]);
  const matches = new Uint8Array(Math.ceil(keys / 8));
  const count = warmUp(kernel, flags, matches);
  const textbookKey = randomDetectionKey(systemRandom, firstIndices(n));
  const own: number[] = [];
  const noble: number[] = [];
  const native: number[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    own.push(timeKernel(kernel, flags, matches, count) / keys);
    const started = now();
    naiveDetect(flags[0]!, textbookKey);
    noble.push(now() - started);
    if (peer) native.push(await peer.time(n, Math.ceil(TURN_NS / (60_000 * n))));
  }
  kernel.wipe();
  const nsPerPair = median(own);
  const plan = choosePlan(kind === 'linear' ? 2 * Math.ceil(keys / 4) : Math.ceil((keys * n) / 4));
  return {
    kind,
    n,
    keys,
    table: `${plan.windowBits} bits / ${plan.stride}`,
    nsPerPair,
    pairsPerSecond: 1e9 / nsPerPair,
    twoWorkers: keys === 1000 ? await timeTwoWorkers(kind, n, keys) : undefined,
    timesNoble: median(noble.map((time, turn) => time / own[turn]!)),
    timesPolyfuzzy: peer ? median(native.map((time, turn) => time / own[turn]!)) : undefined,
  };
}

function print(lines: readonly Line[]): void {
  console.table(
    lines.map((line) => ({
      kind: line.kind,
      n: line.n,
      keys: line.keys,
      'window / stride': line.table,
      'us a pair': (line.nsPerPair / 1000).toPrecision(4),
      'pairs a second': Math.round(line.pairsPerSecond),
      'x noble': Math.round(line.timesNoble),
      ...(line.timesPolyfuzzy === undefined ? {} : { 'x polyfuzzy': line.timesPolyfuzzy.toFixed(1) }),
      ...(line.twoWorkers === undefined ? {} : { 'two workers x': line.twoWorkers.toFixed(2) }),
    })),
  );
}

export async function benchFmdKernel(options: { quick: boolean; json: string | undefined }): Promise<void> {
  const module = new WebAssembly.Module(readFileSync(new URL('../src/fmd/kernel/kernel.wasm', import.meta.url)));
  const peer = await startPolyfuzzy();
  if (!peer) console.log('cargo or the crate is not there: no comparison with polyfuzzy');
  const lines: Line[] = [];
  for (const n of options.quick ? [10] : SUBKEYS) {
    for (const keys of options.quick ? [10, 1000] : KEY_COUNTS) {
      for (const kind of ['arbitrary', 'linear'] as const) lines.push(await measure(module, peer, kind, n, keys));
    }
  }
  await peer?.stop();
  console.log(`\nFMD kernel, Node ${process.version}, ${cpus()[0]?.model.trim()}: medians of ${TURNS} turns`);
  print(lines);
  if (options.json) {
    const report = { node: process.version, cpu: cpus()[0]?.model.trim(), turns: TURNS, lines };
    writeFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
  }
}
