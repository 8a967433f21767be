// `kith fmd detect`: offline detection of a recorded chain for the keys of a file.

import type { Command } from 'commander';
import { KithError } from '../core/errors.ts';
import { systemClock } from '../core/system.ts';
import {
  createDefaultExecutor,
  createDetectionEngine,
  createRecordedChainReader,
  type DetectionEngine,
  GAMMA,
  KEYS_FILE_BYTES_MAX,
  type KeySlot,
  type KeysFile,
  parseKeysFile,
  RECORDED_LINE_BYTES_MAX,
  type RecordedTransaction,
} from '../fmd/index.ts';
import { addCommand, type CommandContext, integerOption, type Outcome } from './command.ts';
import { fileSize, readLines, readTextFile } from './files.ts';
import { createProgressBar } from './progress.ts';
import { formatTable } from './table.ts';

export interface DetectionStats {
  readonly flags: number;
  readonly keys: number;
  readonly pairs: number;
  readonly seconds: number;
  readonly pairsPerSecond: number;
  readonly kernel: string;
}

export interface Detection {
  readonly receivers: { readonly id: number | string; readonly indexSet: readonly (readonly [number, number])[] }[];
  readonly transactions: number;
  /** Transactions without flags: in everybody's set. */
  readonly unflagged: number;
  /** Transactions with a flag that does not decode: in everybody's set. */
  readonly undecodable: number;
  readonly stats: DetectionStats;
}

/** Transactions per job: enough to fill units on all workers, few enough for a lively progress bar. */
const TRANSACTIONS_PER_JOB = 128;
/** Jobs in flight: one in work, others ready. */
const JOBS_IN_FLIGHT = 4;

/** Detects a recorded chain for all receivers of a keys file, whose gamma must be that of the chain. */
export async function detectRecordedChain(
  keys: KeysFile,
  chainPath: string,
  context: Pick<CommandContext, 'terminal'>,
  options: { workers?: number | undefined } = {},
): Promise<Detection> {
  const bytes = await fileSize(chainPath, Number.POSITIVE_INFINITY);
  const progress = createProgressBar(context.terminal, 'detecting');
  const say = (what: string) => context.terminal.stderr.write(`kith: ${what}\n`);
  const onReplaced = (reason: string) => say(`a detection worker died (${reason}) and was replaced`);
  const executor = createDefaultExecutor({ clock: systemClock, onFallback: say, onReplaced }, options);
  const engine = createDetectionEngine({ executor });
  try {
    const slots = keys.receivers.map(({ key }) => engine.add(key));
    const collected = createCollector(slots);
    const run = await runJobs(engine, chainPath, context.terminal.signal, (batch, result, endOffset) => {
      collected.add(batch, result);
      progress.update(endOffset / Math.max(1, bytes), `height ${batch.at(-1)!.height}`);
    });
    return {
      receivers: keys.receivers.map(({ id }, i) => ({ id, indexSet: collected.indexSets[i]! })),
      transactions: run.transactions,
      unflagged: run.unflagged,
      undecodable: collected.undecodable(),
      stats: {
        flags: run.flags,
        keys: slots.length,
        pairs: run.flags * slots.length,
        seconds: run.seconds,
        pairsPerSecond: run.seconds > 0 ? Math.round((run.flags * slots.length) / run.seconds) : 0,
        kernel: engine.kernel,
      },
    };
  } finally {
    progress.end();
    await engine.stop();
  }
}

type Result = Awaited<ReturnType<DetectionEngine['detect']>>;

function createCollector(slots: readonly KeySlot[]) {
  const receiverOf = new Map(slots.map((slot, i) => [slot, i]));
  const indexSets = slots.map((): [number, number][] => []);
  let undecodable = 0;
  return {
    indexSets,
    undecodable: () => undecodable,
    add(batch: readonly RecordedTransaction[], result: Result): void {
      undecodable += result.undecodable.length;
      result.slots.forEach((slot, position) => {
        const set = indexSets[receiverOf.get(slot)!]!;
        batch.forEach(({ height, blockIndex }, index) => {
          if (result.matches(index, position)) set.push([height, blockIndex]);
        });
      });
    },
  };
}

interface Run {
  transactions: number;
  unflagged: number;
  flags: number;
  /** Wall time from handing in the first job to the answer to the last. */
  seconds: number;
}

async function runJobs(
  engine: DetectionEngine,
  chainPath: string,
  signal: AbortSignal,
  onBatch: (batch: readonly RecordedTransaction[], result: Result, endOffset: number) => void,
): Promise<Run> {
  const reader = createRecordedChainReader(chainPath);
  const run: Run = { transactions: 0, unflagged: 0, flags: 0, seconds: 0 };
  let begun: number | undefined;
  const inFlight: Promise<void>[] = [];
  const submit = async (batch: RecordedTransaction[], endOffset: number): Promise<void> => {
    if (begun === undefined) {
      // Not before there is work: a file that is refused at once needs no workers.
      await engine.start();
      begun = performance.now();
    }
    const job = engine.detect({ lane: 'head', transactions: batch }, { signal }).then((result) => {
      onBatch(batch, result, endOffset);
    });
    // Its failure is seen when it is awaited below; until then it must not count as unhandled.
    job.catch(() => undefined);
    inFlight.push(job);
    if (inFlight.length >= JOBS_IN_FLIGHT) await inFlight.shift();
  };
  let batch: RecordedTransaction[] = [];
  let end = 0;
  for await (const { text, endOffset } of readLines(chainPath, RECORDED_LINE_BYTES_MAX)) {
    const transaction = reader.line(text);
    run.transactions++;
    run.flags += transaction.flags?.length ?? 0;
    if (!transaction.flags?.length) run.unflagged++;
    batch.push(transaction);
    end = endOffset;
    if (batch.length === TRANSACTIONS_PER_JOB) {
      await submit(batch, end);
      batch = [];
    }
  }
  if (batch.length > 0) await submit(batch, end);
  for (const job of inFlight) await job;
  run.seconds = begun === undefined ? 0 : (performance.now() - begun) / 1000;
  return run;
}

function outcome(detection: Detection): Outcome {
  const { receivers, stats, transactions, unflagged, undecodable } = detection;
  const rows = receivers.map(({ id, indexSet }) => [String(id), String(indexSet.length)]);
  return {
    json: {
      receivers: receivers.map(({ id, indexSet }) => ({ id, index_set: indexSet })),
      transactions,
      unflagged,
      undecodable,
      stats,
    },
    text:
      formatTable(['receiver', 'transactions'], rows) +
      `\n${transactions} transactions, ${unflagged} without flags, ${undecodable} undecodable; ${stats.flags} flags x ` +
      `${stats.keys} keys in ${stats.seconds.toFixed(1)} s (${stats.pairsPerSecond} pairs/s, ${stats.kernel})\n`,
  };
}

async function readKeys(path: string): Promise<KeysFile> {
  const keys = parseKeysFile(await readTextFile(path, KEYS_FILE_BYTES_MAX), path);
  if (keys.gamma !== GAMMA) {
    const expected = `${GAMMA} (the bits of a flag in a recorded chain)`;
    throw new KithError('bad-parameter', `${path}: field gamma must be ${expected}, got ${keys.gamma}`);
  }
  return keys;
}

export function addFmdDetect(parent: Command): void {
  addCommand<{ keys: string; chain: string; workers?: number }>(
    parent,
    'detect',
    'find the transactions of a recorded chain that may concern the receivers of a keys file',
    (command) =>
      command
        .requiredOption('--keys <file>', 'keys: {gamma, receivers:[{id, detection_key:{indices, subkeys}}]}')
        .requiredOption('--chain <file>', 'chain: one transaction a line, {height, block_index, flags}')
        .option('--workers <n>', 'worker threads (default: one per core)', integerOption(1, 256)),
    async ({ keys, chain, workers }, context) => {
      return outcome(await detectRecordedChain(await readKeys(keys), chain, context, { workers }));
    },
  );
}
