// The engine on worker threads: backfill alone, and the head of the chain kept up with while a backfill runs.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { sleep } from '../src/core/deadline.ts';
import { systemClock, systemRandom } from '../src/core/system.ts';
import { createDetectionEngine, type DetectionEngine } from '../src/fmd/engine.ts';
import { encodeFlagBorsh } from '../src/fmd/flag.ts';
import { type DetectionKey, deriveDetectionKey, firstIndices, generateSecretKey } from '../src/fmd/keys.ts';
import { createWorkerExecutor } from '../src/fmd/worker-pool/executor.ts';
import { randomDetectionKey, randomFlag } from '../test/support/fmd.ts';

const SUBKEYS = 10;
const HEAD_KEYS = 1_000;
const FLAGS_PER_BLOCK = 100;
const BLOCK_MS = 7_000;
const BACKFILL_FLAGS = 100_000;
/** Flags of one backfill job, and how many different ones there are. */
const JOB_FLAGS = 2_000;
const NS_PER_MS = 1e6;

const linearKey = (): DetectionKey =>
  deriveDetectionKey(generateSecretKey({ random: systemRandom }), firstIndices(SUBKEYS));
const arbitraryKey = (): DetectionKey => randomDetectionKey(systemRandom, firstIndices(SUBKEYS));

async function engineOf(workers: number): Promise<DetectionEngine> {
  const engine = createDetectionEngine({ executor: createWorkerExecutor({}, { workers }) });
  await engine.start();
  return engine;
}

export async function benchFmdEngine(options: { quick: boolean }): Promise<void> {
  const flags = Array.from({ length: JOB_FLAGS }, () => ({ flags: [encodeFlagBorsh(randomFlag(systemRandom))] }));
  console.log('\nDetection engine');
  for (const [kind, key] of Object.entries({ linear: linearKey(), arbitrary: arbitraryKey() })) {
    const rate = await backfillRate(key, flags);
    console.log(`backfill alone, 1 ${kind} key of n = ${SUBKEYS}, 1 worker: ${Math.round(rate)} flags/s (median of 5)`);
  }
  await followWhileBackfilling(flags, options.quick ? BACKFILL_FLAGS / 5 : BACKFILL_FLAGS);
}

type Transactions = { readonly flags: readonly Uint8Array[] }[];

async function backfillRate(key: DetectionKey, transactions: Transactions): Promise<number> {
  const engine = await engineOf(1);
  const slot = engine.add(key);
  const rates: number[] = [];
  for (let run = 0; run < 5; run++) {
    const begun = performance.now();
    await engine.detect({ lane: 'backfill', slots: [slot], transactions });
    rates.push((1000 * transactions.length) / (performance.now() - begun));
  }
  await engine.stop();
  return rates.sort((a, b) => a - b)[2]!;
}

async function followWhileBackfilling(transactions: Transactions, backfillFlags: number): Promise<void> {
  const engine = await engineOf(2);
  for (let i = 0; i < HEAD_KEYS - 1; i++) engine.add(i % 2 === 0 ? linearKey() : arbitraryKey());
  const newcomer = engine.add(arbitraryKey());
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  const begun = performance.now();
  let done = false;
  const backfill = (async () => {
    for (let flags = 0; flags < backfillFlags; flags += JOB_FLAGS) {
      await engine.detect({ lane: 'backfill', slots: [newcomer], transactions });
    }
    done = true;
  })();
  const latencies: number[] = [];
  const block = transactions.slice(0, FLAGS_PER_BLOCK);
  for (let height = 0; !done; height++) {
    await sleep(systemClock, Math.max(0, begun + height * BLOCK_MS - performance.now()));
    const came = performance.now();
    await engine.detect({ lane: 'head', transactions: block });
    latencies.push(performance.now() - came);
  }
  await backfill;
  delays.disable();
  await engine.stop();
  const seconds = (performance.now() - begun) / 1000;
  console.log(
    `${HEAD_KEYS} keys following ${FLAGS_PER_BLOCK} flags per ${BLOCK_MS / 1000} s block on 2 workers while one key ` +
      `backfills ${backfillFlags} flags: ${latencies.length} blocks, slowest ${Math.round(Math.max(...latencies))} ms; ` +
      `backfill ${Math.round(backfillFlags / seconds)} flags/s; event-loop delay p99 ` +
      `${(delays.percentile(99) / NS_PER_MS).toFixed(1)} ms`,
  );
}
