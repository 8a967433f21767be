// The indexer: one watcher for each upstream's status, and one loop that fetches, checks and writes what is new.
// It goes on through outages for as long as it must; it stops, and keeps what it has, when going on would mean to
// believe a chain that contradicts what is stored.

import { equalBytes } from '../core/bytes.ts';
import { abortError, sleep, throwIfAborted } from '../core/deadline.ts';
import { isKithError, KithError, messageOf } from '../core/errors.ts';
import type { Clock, Random } from '../core/ports.ts';
import { indexerError, isStop } from './errors.ts';
import { fetchInOrder } from './fetcher.ts';
import {
  BATCH_BLOCKS_MAX,
  CHAIN_ID_CHARS_MAX,
  STALE_TIP_MS,
  UPSTREAMS_MAX,
  WRITE_RETRY_MS_MAX,
  WRITE_RETRY_MS_MIN,
} from './limits.ts';
import type { NoteStore } from './note-store.ts';
import type { ChainBlock, ChainSource, HeightRange, IndexerEvent, SourceBlock } from './ports.ts';
import { type Upstream, type UpstreamReport, Upstreams } from './upstreams.ts';

export interface IndexerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly notes: NoteStore;
  /** In order of preference. */
  readonly sources: readonly ChainSource[];
  readonly report?: ((event: IndexerEvent) => void) | undefined;
}

export interface IndexerOptions {
  readonly chainId: string;
  /** First height to index on an empty store; left out: the lowest an upstream has. */
  readonly startHeight?: number | undefined;
  /** How often each upstream is asked for its tip. */
  readonly pollMs?: number | undefined;
}

/** Namada makes a block in about seven seconds. */
const POLL_MS_DEFAULT = 1_000;

/** Counted since this process began. */
export interface IndexerCounts {
  readonly blocks: number;
  readonly transactions: number;
  readonly flags: number;
  /** Transactions that are everybody's, for want of flags. */
  readonly unflagged: number;
  /** Those of them that announced flags which could not be read. */
  readonly undecodable: number;
}

export interface IndexerStatus {
  /** `unreachable`: no upstream answers, which says nothing about new blocks. */
  readonly phase: 'starting' | 'syncing' | 'following' | 'unreachable' | 'stopped';
  readonly cursor: number | undefined;
  readonly tip: number | undefined;
  /** The next heights, when no upstream has them any more: nothing goes on before one has. */
  readonly missing: HeightRange | undefined;
  /** No new block for two minutes, although upstreams answer. */
  readonly stale: boolean;
  /** What a write failed for that is tried again. */
  readonly delay: KithError | undefined;
  readonly error: KithError | undefined;
  readonly counts: IndexerCounts;
  readonly upstreams: readonly UpstreamReport[];
}

export interface Indexer {
  readonly name: string;
  /** Resolves once the work has begun; it does not wait for an upstream. */
  start(options?: { signal?: AbortSignal }): Promise<void>;
  stop(): Promise<void>;
  status(): IndexerStatus;
  /**
   * Every block from `from` on, then each new one as soon as it is on the disk. The reader sets the pace.
   * @throws KithError what the indexer stopped for, after the last block it has; `aborted` when it is stopped.
   */
  blocks(from: number, options: { signal: AbortSignal }): AsyncGenerator<ChainBlock, void, undefined>;
}

export function createIndexer(deps: IndexerDeps, options: IndexerOptions): Indexer {
  if (deps.sources.length === 0 || deps.sources.length > UPSTREAMS_MAX) {
    throw indexerError('bad-options', `expected 1 to ${UPSTREAMS_MAX} upstreams, got ${deps.sources.length}`);
  }
  if (options.chainId.length === 0 || options.chainId.length > CHAIN_ID_CHARS_MAX) {
    throw indexerError('bad-options', `expected a chain id of 1 to ${CHAIN_ID_CHARS_MAX} characters`);
  }
  const pinned = deps.notes.checkpoint?.chainId;
  if (pinned !== undefined && pinned !== options.chainId) {
    throw indexerError('wrong-chain', `the store holds the chain ${pinned}, not ${options.chainId}`);
  }
  return new ChainIndexer(deps, options);
}

class ChainIndexer implements Indexer {
  readonly name = 'indexer';
  readonly #deps: IndexerDeps;
  readonly #options: IndexerOptions;
  readonly #pollMs: number;
  readonly #upstreams: Upstreams;
  readonly #report: (event: IndexerEvent) => void;
  readonly #controller = new AbortController();
  readonly #tasks: Promise<void>[] = [];
  #error: KithError | undefined;
  #delay: KithError | undefined;
  #counts: IndexerCounts = { blocks: 0, transactions: 0, flags: 0, unflagged: 0, undecodable: 0 };
  #tipChangedAt = 0;
  #missingFrom: number | undefined;
  #wake: () => void = () => undefined;

  constructor(deps: IndexerDeps, options: IndexerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#pollMs = options.pollMs ?? POLL_MS_DEFAULT;
    this.#report = deps.report ?? (() => undefined);
    this.#upstreams = new Upstreams(deps.sources, options.chainId, this.#report);
  }

  async start(options: { signal?: AbortSignal } = {}): Promise<void> {
    throwIfAborted(options.signal);
    if (this.#tasks.length > 0 || this.#controller.signal.aborted) return;
    this.#tipChangedAt = this.#deps.clock.monotonic();
    const tasks = [...this.#upstreams.all.map((upstream) => this.#watch(upstream)), this.#follow()];
    this.#tasks.push(...tasks.map((task) => task.catch((error: unknown) => this.#fail(error))));
  }

  async stop(): Promise<void> {
    this.#controller.abort(new KithError('aborted', 'the indexer was stopped'));
    this.#wake();
    await Promise.all(this.#tasks);
  }

  /** Ends all work. Stops for a reason are kept and told; an abort is the end that was asked for. */
  #fail(error: unknown): void {
    if (this.#controller.signal.aborted) return;
    this.#error = isKithError(error) ? error : new KithError('internal', messageOf(error), { cause: error });
    this.#report({ kind: 'stopped', error: this.#error });
    this.#controller.abort(this.#error);
    this.#wake();
  }

  /** Asks one upstream for its tip, again and again. */
  async #watch(upstream: Upstream): Promise<void> {
    const { clock, notes } = this.#deps;
    const { signal } = this.#controller;
    // One that cannot prove its blocks by hashes must at least not forget those it gave us.
    if (!upstream.source.flags) upstream.highest = notes.checkpoint?.cursor ?? 0;
    while (!upstream.dropped) {
      const began = clock.monotonic();
      try {
        const status = await upstream.source.status({ signal });
        const before = this.#upstreams.tip ?? 0;
        if (this.#upstreams.observe(upstream, status)) {
          await this.#compareTip(upstream);
          this.#upstreams.succeeded(upstream);
          if ((this.#upstreams.tip ?? 0) > before) this.#tipChangedAt = clock.monotonic();
        }
      } catch (error) {
        throwIfAborted(signal);
        if (isStop(error) || !isKithError(error)) throw error;
        this.#upstreams.failed(upstream, error);
      }
      this.#wake();
      await sleep(clock, Math.max(1, this.#pollMs - (clock.monotonic() - began)), { signal });
    }
    if (this.#upstreams.exhausted) throw this.#upstreams.exhausted;
  }

  /** An upstream whose tip is among the stored heights must name the block that is stored there. */
  async #compareTip({ source, status }: Upstream): Promise<void> {
    const { checkpoint } = this.#deps.notes;
    if (!checkpoint || !status?.latestHash) return;
    const { latest, latestHash } = status;
    if (latest < checkpoint.start || latest > checkpoint.cursor) return;
    for await (const { hash } of this.#deps.notes.read(latest, latest)) {
      if (hash && !equalBytes(hash, latestHash)) {
        throw indexerError('chain-disagreement', `${source.name} names another block of height ${latest} than stored`);
      }
    }
  }

  async #follow(): Promise<void> {
    const { notes } = this.#deps;
    const { signal } = this.#controller;
    for (;;) {
      throwIfAborted(signal);
      const changed = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      if (!notes.checkpoint) await this.#pin();
      const cursor = notes.checkpoint?.cursor;
      const target = cursor === undefined ? undefined : this.#upstreams.target(cursor);
      if (cursor !== undefined && target !== undefined && target > cursor) {
        if (await this.#sync(cursor + 1, target)) continue;
        // An upstream lacked what it had offered: then as far as it really goes, before anything is waited for.
        const less = this.#upstreams.target(notes.checkpoint?.cursor ?? cursor);
        if (less > (notes.checkpoint?.cursor ?? cursor) && less < target) continue;
      }
      this.#reportMissing();
      await changed;
    }
  }

  /** Once for each hole that nobody can fill. */
  #reportMissing(): void {
    const cursor = this.#deps.notes.checkpoint?.cursor;
    const missing = cursor === undefined ? undefined : this.#upstreams.missing(cursor);
    if (missing && missing.from !== this.#missingFrom) this.#report({ kind: 'heights-missing', ...missing });
    this.#missingFrom = missing?.from;
  }

  async #pin(): Promise<void> {
    const start = this.#options.startHeight ?? (await this.#firstHeight());
    if (start === undefined) return;
    await this.#untilWritten(() => this.#deps.notes.pin(this.#options.chainId, Math.max(1, start)));
  }

  /** The lowest height of an upstream with flags; where none is configured, the first transaction there is. */
  async #firstHeight(): Promise<number | undefined> {
    const usable = this.#upstreams.all.filter(({ dropped }) => !dropped);
    const withFlags = usable.filter(({ source }) => source.flags);
    const known = (withFlags.length > 0 ? withFlags : usable).find(({ status }) => status);
    if (!known?.status) return undefined;
    if (!known.source.firstTransaction) return known.status.earliest;
    try {
      return await known.source.firstTransaction({ signal: this.#controller.signal });
    } catch (error) {
      throwIfAborted(this.#controller.signal);
      if (!isKithError(error)) throw error;
      this.#upstreams.failed(known, error);
      return undefined;
    }
  }

  /** Writes [from, to]; false when the upstreams no longer offer all of it. */
  async #sync(from: number, to: number): Promise<boolean> {
    const { clock, random } = this.#deps;
    const deps = { clock, random, upstreams: this.#upstreams };
    let batch: SourceBlock[] = [];
    try {
      for await (const range of fetchInOrder(deps, from, to, { signal: this.#controller.signal })) {
        batch.push(...range.blocks);
        if (range.moreAtOnce && batch.length < BATCH_BLOCKS_MAX) continue;
        await this.#write(batch);
        batch = [];
      }
      return true;
    } catch (error) {
      if (isKithError(error, 'height-unavailable')) return false;
      throw error;
    }
  }

  /** A full disk passes; everything else that a write fails for ends the indexer. */
  async #untilWritten(write: () => Promise<void>): Promise<void> {
    const { signal } = this.#controller;
    for (let waitMs = WRITE_RETRY_MS_MIN; ; waitMs = Math.min(2 * waitMs, WRITE_RETRY_MS_MAX)) {
      try {
        await write();
        break;
      } catch (error) {
        throwIfAborted(signal);
        if (!isKithError(error, 'store-full', 'store-unavailable')) throw error;
        if (!this.#delay) this.#report({ kind: 'write-failed', error });
        this.#delay = error;
        await sleep(this.#deps.clock, waitMs, { signal });
      }
    }
    if (this.#delay) this.#report({ kind: 'write-recovered' });
    this.#delay = undefined;
  }

  async #write(blocks: readonly SourceBlock[]): Promise<void> {
    await this.#untilWritten(() => this.#deps.notes.append(blocks));
    let { blocks: count, transactions, flags, unflagged, undecodable } = this.#counts;
    for (const block of blocks) {
      count += 1;
      transactions += block.transactions.length;
      for (const transaction of block.transactions) {
        if (transaction.flags) flags += transaction.flags.length;
        else unflagged += 1;
      }
      undecodable += block.undecodable.length;
      for (const blockIndex of block.undecodable) {
        this.#report({ kind: 'undecodable-flags', height: block.height, blockIndex });
      }
    }
    this.#counts = { blocks: count, transactions, flags, unflagged, undecodable };
  }

  status(): IndexerStatus {
    const cursor = this.#deps.notes.checkpoint?.cursor;
    const { tip } = this.#upstreams;
    const stale = tip !== undefined && this.#deps.clock.monotonic() - this.#tipChangedAt > STALE_TIP_MS;
    return {
      phase: this.#phase(cursor, tip),
      cursor,
      tip,
      missing: cursor === undefined ? undefined : this.#upstreams.missing(cursor),
      stale,
      delay: this.#delay,
      error: this.#error,
      counts: this.#counts,
      upstreams: this.#upstreams.reports(),
    };
  }

  #phase(cursor: number | undefined, tip: number | undefined): IndexerStatus['phase'] {
    if (this.#controller.signal.aborted) return 'stopped';
    const answering = this.#upstreams.all.some(({ failures, dropped, status }) => status && failures === 0 && !dropped);
    if (!answering) return this.#upstreams.all.some(({ failures }) => failures > 0) ? 'unreachable' : 'starting';
    return cursor !== undefined && tip !== undefined && cursor >= tip ? 'following' : 'syncing';
  }

  async *blocks(from: number, { signal }: { signal: AbortSignal }): AsyncGenerator<ChainBlock, void, undefined> {
    const { notes } = this.#deps;
    const ended = new AbortController();
    const onEnd = () => ended.abort(signal.aborted ? abortError(signal) : abortError(this.#controller.signal));
    for (const part of [signal, this.#controller.signal]) part.addEventListener('abort', onEnd, { once: true });
    if (signal.aborted || this.#controller.signal.aborted) onEnd();
    try {
      for (let next = from; ; ) {
        const cursor = notes.checkpoint?.cursor ?? 0;
        if (cursor < next) {
          await notes.reached(next, { signal: ended.signal });
          continue;
        }
        throwIfAborted(signal);
        const to = Math.min(cursor, next + BATCH_BLOCKS_MAX - 1);
        for await (const block of notes.read(next, to)) yield block;
        next = to + 1;
      }
    } finally {
      for (const part of [signal, this.#controller.signal]) part.removeEventListener('abort', onEnd);
    }
  }
}
