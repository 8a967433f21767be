// Detection on all cores: a pool of worker threads with the compiled kernel. The engine's thread only hands out units
// and collects bits.

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fmdError } from '../errors.ts';
import type { DetectionExecutor, DetectionUnit } from '../executor.ts';
import { kernelPacking } from '../kernel/key-rows.ts';
import { PooledWorker } from './pooled-worker.ts';
import type { RowsInTile } from './protocol.ts';

/** More threads than any machine has cores for this is a typing error. */
export const WORKERS_MAX = 256;

/** One unit in work and one waiting, so that no worker idles between two. */
const UNITS_PER_WORKER = 2;

/** About 60 ms of the kernel: what the head of the chain waits for at most, per unit in flight. */
const PAIRS_PER_UNIT = 4_096;

/** Table and decoding of a flag take about 0.6 ms, as forty pairs. */
const PAIRS_PER_FLAG = 40;

/** The compiled kernel, beside this file's module in src as in dist. */
function loadKernelModule(): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(new URL('../kernel/kernel.wasm', import.meta.url)));
}

export interface WorkerExecutor extends DetectionExecutor {
  /** Ends the thread of one worker as a fault would; for tests. */
  crashWorker(index: number): Promise<void>;
}

/**
 * @param options.workers threads; one per core when left out.
 * @param deps.onReplaced told when a worker died and another took its place.
 */
export function createWorkerExecutor(
  deps: { onReplaced?: (reason: string) => void } = {},
  options: { workers?: number | undefined } = {},
): WorkerExecutor {
  const count = options.workers ?? availableParallelism();
  if (!Number.isInteger(count) || count < 1 || count > WORKERS_MAX) {
    throw fmdError('bad-parameter', `the number of workers must be a whole number from 1 to ${WORKERS_MAX}`);
  }
  let workers: PooledWorker[] = [];

  function leastLoaded(): PooledWorker {
    let best = workers[0];
    for (const worker of workers) if (!best || worker.load < best.load) best = worker;
    if (!best) throw fmdError('engine-stopped', 'the detection workers are not running');
    return best;
  }

  return {
    kernel: `wasm-simd128 (${count} ${count === 1 ? 'worker' : 'workers'})`,
    packing: kernelPacking,
    parallelism: count * UNITS_PER_WORKER,
    pairsPerUnit: PAIRS_PER_UNIT,
    pairsPerFlag: PAIRS_PER_FLAG,
    async start() {
      const module = loadKernelModule();
      workers = Array.from({ length: count }, () => new PooledWorker(module, deps.onReplaced ?? (() => undefined)));
      await Promise.all(workers.map((worker) => worker.start()));
    },
    run: async ({ flags, selections }: DetectionUnit) =>
      leastLoaded().run({ flags, tiles: selections.map(rowsInTile) }),
    forget: () => undefined,
    async stop() {
      await Promise.all(workers.splice(0).map((worker) => worker.stop()));
    },
    async crashWorker(index) {
      await workers[index]?.crash();
    },
  };
}

const rowsInTile = ({ tile, rows }: DetectionUnit['selections'][number]): RowsInTile => ({
  memory: tile.memory,
  rowBytes: tile.rowBytes,
  rows,
});
