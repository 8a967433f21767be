// The detection of a node: one loop follows the head of the chain, another scans for registrations what they lack.
// What is scanned counts once its record is synced: a look-up never knows more than the disk.

import { sleep, throwIfAborted } from '../../core/deadline.ts';
import { isKithError, KithError, messageOf } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import type { DetectionEngine, IndexSets, KeySlot, Lane } from '../../fmd/index.ts';
import type { ChainBlock, Indexer, NoteStore } from '../../indexer/index.ts';
import type { Heights } from '../../replication/index.ts';
import type { Log } from '../log.ts';
import type { Registrations } from '../registrations/registrations.ts';
import type { SealedStore } from '../store/index.ts';
import {
  BACKFILL_BLOCKS_MAX,
  BATCH_FLAGS_MAX,
  BATCH_MATCHES_MAX,
  HEAD_BLOCKS_MAX,
  HOLD_MS,
  RETRY_MS_MAX,
  RETRY_MS_MIN,
} from './limits.ts';
import type { MatchLog, ScanCounts } from './match-log.ts';
import type { ProgressRecord } from './progress.ts';

export interface DetectorDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: SealedStore;
  readonly engine: DetectionEngine;
  readonly indexSets: IndexSets;
  readonly indexer: Indexer;
  readonly notes: NoteStore;
  readonly registrations: Registrations;
  readonly matches: MatchLog;
  readonly progress: ProgressRecord;
  /** The heights that destruction goes by. */
  readonly settled: () => Heights;
  /** Why nothing may be scanned at the moment. */
  readonly hold: () => KithError | undefined;
  /** Something new is synced. */
  readonly onSynced: () => void;
}

export interface Detector {
  readonly name: string;
  /** The last height of the head lane; undefined before the first is known. */
  readonly detected: number | undefined;
  /** Why nothing is scanned any more: the indexer stopped, or the disk is not what was written. */
  readonly failure: KithError | undefined;
  /** Why the last batch waits to be written. */
  readonly delay: KithError | undefined;
  /** Heights that some registration lacks, counted from the lowest; 0 when none does. */
  readonly backfillBlocks: number;
  /** A registration was added. */
  wake(): void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export function createDetector(deps: DetectorDeps): Detector {
  const { clock, log, engine, indexSets, indexer, notes, progress } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  let detected = progress.detected;
  let failure: KithError | undefined;
  let delay: KithError | undefined;
  let wakeBackfill: () => void = () => undefined;
  let tasks: Promise<void>[] = [];

  /** Tests blocks and hands the record to `persist`, again and again until it is written. */
  async function scan(
    lane: Lane,
    blocks: readonly ChainBlock[],
    range: { readonly from: number; readonly to: number },
    slots: readonly KeySlot[] | undefined,
    persist: (commit: Scanned) => Promise<void>,
  ): Promise<void> {
    await untilAllowed();
    const located = blocks.flatMap(({ height, transactions }) =>
      transactions.map(({ blockIndex, flags }) => ({ height, blockIndex, flags })),
    );
    const result = await engine.detect({ lane, transactions: located, ...(slots ? { slots } : {}) }, { signal });
    const transactions = located.map(({ height, blockIndex, flags }) => ({
      height,
      blockIndex,
      flags: flags?.length ?? 0,
    }));
    const flags = transactions.reduce((sum, transaction) => sum + transaction.flags, 0);
    const counts = () => ({ transactions: transactions.length, flags, expectedPerFlag: indexSets.expectedPerFlag });
    const record = () => indexSets.record({ ...range, transactions, result, serialOf: deps.registrations.serialIn });
    await untilWritten(() => persist({ record, counts }));
    deps.onSynced();
  }

  /** A full disk passes; everything else ends the detection. */
  async function untilWritten(write: () => Promise<void>): Promise<void> {
    for (let waitMs = RETRY_MS_MIN; ; waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)) {
      try {
        await write();
        if (delay) log.info('detection-resumed');
        delay = undefined;
        return;
      } catch (error) {
        throwIfAborted(signal);
        if (!isKithError(error, 'store-full', 'store-busy', 'store-unavailable')) throw error;
        if (!delay) log.warn('detection-waits', { code: error.code, reason: error.message });
        delay = error;
        await sleep(clock, waitMs, { signal });
      }
    }
  }

  /** Detection stands still while members see another chain: what was scanned stays, nothing is added to it. */
  async function untilAllowed(): Promise<void> {
    let told = false;
    for (let why = deps.hold(); why; why = deps.hold()) {
      if (!told) log.error('detection-held', { code: why.code, reason: why.message });
      told = true;
      delay = why;
      await sleep(clock, HOLD_MS, { signal });
    }
    if (!told) return;
    delay = undefined;
    log.info('detection-resumed');
  }

  async function writeHead({ record, counts }: Scanned, previousTo: number, to: number): Promise<void> {
    const { own, cluster } = deps.settled();
    const heights = { own: Math.max(own, to), cluster: Math.min(cluster, to) };
    await deps.registrations.passHeights(heights, async (endings) => {
      const scanned = record();
      const { write, wrote } = deps.matches.append(scanned.bytes, counts());
      const { versionFloor } = deps.registrations;
      await deps.store.commit([write, progress.write({ detected: to, versionFloor }), ...endings]);
      wrote();
      indexSets.apply(scanned.record);
      detected = to;
    });
    await deps.matches.compact(previousTo, to, indexSets.has).catch((error: unknown) => {
      // Nothing is lost: it is tried again at the next occasion.
      log.warn('compaction-failed', { reason: messageOf(error) });
    });
  }

  async function writeBackfill({ record, counts }: Scanned): Promise<void> {
    const scanned = record();
    const { write, wrote } = deps.matches.append(scanned.bytes, counts());
    await deps.store.commit([write]);
    wrote();
    indexSets.apply(scanned.record);
  }

  async function followHead(): Promise<void> {
    await notes.reached(0, { signal });
    const { start } = notes.checkpoint!;
    indexSets.begin(start);
    detected ??= start - 1;
    deps.onSynced();
    wakeBackfill();
    let batch: ChainBlock[] = [];
    for await (const block of indexer.blocks(detected + 1, { signal })) {
      batch.push(block);
      const more = block.height < (notes.checkpoint?.cursor ?? 0);
      if (more && batch.length < HEAD_BLOCKS_MAX && !isFull(batch)) continue;
      const [previousTo, to] = [detected, block.height];
      await scan('head', batch, { from: batch[0]!.height, to }, undefined, (scanned) =>
        writeHead(scanned, previousTo, to),
      );
      batch = [];
      wakeBackfill();
    }
  }

  function isFull(batch: readonly ChainBlock[]): boolean {
    const flags = batch.reduce(
      (sum, block) => sum + block.transactions.reduce((n, t) => n + (t.flags?.length ?? 0), 0),
      0,
    );
    return flags >= BATCH_FLAGS_MAX || flags * indexSets.expectedPerFlag >= BATCH_MATCHES_MAX;
  }

  async function backfill(): Promise<void> {
    for (;;) {
      throwIfAborted(signal);
      const woken = new Promise<void>((resolve) => {
        wakeBackfill = resolve;
      });
      const task = detected === undefined ? undefined : indexSets.nextBackfill(detected, BACKFILL_BLOCKS_MAX);
      if (!task) {
        await woken;
        continue;
      }
      const batch: ChainBlock[] = [];
      for await (const block of notes.read(task.from, task.to)) {
        batch.push(block);
        if (isFull(batch)) break;
      }
      const to = batch.at(-1)!.height;
      const slots = deps.registrations.slotsOf(task.serials);
      await scan('backfill', batch, { from: task.from, to }, slots, writeBackfill);
    }
  }

  function ended(error: unknown): void {
    if (signal.aborted) return;
    failure ??= isKithError(error) ? error : new KithError('internal', messageOf(error), { cause: error });
    log.error('detection-stopped', { code: failure.code, reason: failure.message });
  }

  return {
    name: 'detection',
    get detected() {
      return detected;
    },
    get failure() {
      return failure;
    },
    get delay() {
      return delay;
    },
    get backfillBlocks() {
      const lowest = detected === undefined ? undefined : indexSets.nextBackfill(detected, 1);
      return lowest && detected !== undefined ? detected - lowest.from + 1 : 0;
    },
    wake: () => wakeBackfill(),
    async start() {
      if (tasks.length > 0 || signal.aborted) return;
      if (notes.checkpoint) indexSets.begin(notes.checkpoint.start);
      tasks = [followHead(), backfill()].map((task) => task.catch(ended));
    },
    async stop() {
      stopping.abort(new KithError('stopped', 'the node stops'));
      wakeBackfill();
      await Promise.all(tasks);
    },
  };
}

/** A tested batch: its record is made at the moment of writing, when nobody else changes registrations. */
interface Scanned {
  readonly record: () => ReturnType<IndexSets['record']>;
  readonly counts: () => ScanCounts;
}
