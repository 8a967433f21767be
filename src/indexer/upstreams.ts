// What is known of each upstream, and which may serve a range. An upstream that contradicts itself is dropped; failing
// ones come last and are tried again, for a chain has no other door.

import { equalBytes } from '../core/bytes.ts';
import type { KithError } from '../core/errors.ts';
import { type IndexerErrorCode, indexerError } from './errors.ts';
import { REGRESSION_BLOCKS_MAX } from './limits.ts';
import type { ChainSource, HeightRange, IndexerEvent, SourceStatus } from './ports.ts';

export interface Upstream {
  readonly source: ChainSource;
  status: SourceStatus | undefined;
  /** The highest height it has ever named. */
  highest: number;
  /** Failures since its last good answer. */
  failures: number;
  /** It lacked a block it had offered; until it delivers one, others are believed first. */
  doubted: boolean;
  dropped: KithError<IndexerErrorCode> | undefined;
}

export interface UpstreamReport {
  readonly name: string;
  readonly latest: number | undefined;
  readonly failures: number;
  readonly dropped: string | undefined;
}

export class Upstreams {
  readonly all: readonly Upstream[];
  readonly #chainId: string;
  readonly #report: (event: IndexerEvent) => void;

  constructor(sources: readonly ChainSource[], chainId: string, report: (event: IndexerEvent) => void) {
    this.all = sources.map((source) => ({
      source,
      status: undefined,
      highest: 0,
      failures: 0,
      doubted: false,
      dropped: undefined,
    }));
    this.#chainId = chainId;
    this.#report = report;
  }

  /** Why nothing can go on: every upstream has been dropped. The last one's reason. */
  get exhausted(): KithError<IndexerErrorCode> | undefined {
    return this.all.every(({ dropped }) => dropped) ? this.all.at(-1)?.dropped : undefined;
  }

  /**
   * Takes in what an upstream says of itself.
   * @returns false when that got it dropped.
   */
  observe(upstream: Upstream, status: SourceStatus): boolean {
    const { name } = upstream.source;
    if (!this.checkChain(upstream, status.chainId)) return false;
    if (status.latest < upstream.highest - REGRESSION_BLOCKS_MAX) {
      const message = `${name} went back from height ${upstream.highest} to ${status.latest}: its chain was reset`;
      this.drop(upstream, indexerError('went-backwards', message));
      return false;
    }
    const known = upstream.status;
    const contradicts =
      known?.latest === status.latest && known.latestHash && status.latestHash
        ? !equalBytes(known.latestHash, status.latestHash)
        : false;
    if (contradicts) {
      const message = `${name} names two blocks of height ${status.latest}`;
      this.drop(upstream, indexerError('chain-disagreement', message));
      return false;
    }
    upstream.status = status;
    upstream.highest = Math.max(upstream.highest, status.latest);
    return true;
  }

  /** Drops an upstream that serves another chain. */
  checkChain(upstream: Upstream, chainId: string | undefined): boolean {
    if (chainId === undefined || chainId === this.#chainId) return true;
    const message = `${upstream.source.name} serves the chain ${JSON.stringify(chainId)}, not ${this.#chainId}`;
    this.drop(upstream, indexerError('wrong-chain', message));
    return false;
  }

  drop(upstream: Upstream, error: KithError<IndexerErrorCode>): void {
    if (upstream.dropped) return;
    upstream.dropped = error;
    this.#report({ kind: 'upstream-dropped', upstream: upstream.source.name, error });
  }

  failed(upstream: Upstream, error: Error): void {
    upstream.failures += 1;
    if (upstream.failures === 1) this.#report({ kind: 'upstream-failed', upstream: upstream.source.name, error });
  }

  succeeded(upstream: Upstream): void {
    if (upstream.failures > 0) this.#report({ kind: 'upstream-recovered', upstream: upstream.source.name });
    upstream.failures = 0;
  }

  /**
   * Those who may serve [from, to], the best first: sources with flags as long as one could have the range (a row
   * without flags is everybody's for good), then the healthy ones, then the order of the configuration.
   */
  candidates(from: number, to: number): Upstream[] {
    const alive = this.all.filter(({ dropped }) => !dropped);
    const flagged = alive.filter(({ source, status }) => source.flags && !(status && status.earliest > from));
    return (flagged.length > 0 ? flagged : alive)
      .filter(({ status }) => status && status.earliest <= from && status.latest >= to)
      .sort((a, b) => Number(isShaky(a)) - Number(isShaky(b)));
  }

  /** Where a range that starts at `from` should end: one call, and not past the height where flags begin. */
  rangeEnd(from: number, to: number): number {
    const [best] = this.candidates(from, from);
    if (!best) return from;
    const flagsFrom = this.all
      .filter(({ source, status, dropped }) => source.flags && !dropped && status && status.earliest > from)
      .map(({ status }) => (status?.earliest ?? to) - 1);
    return Math.min(to, from + best.source.rangeMax - 1, ...(best.source.flags ? [] : flagsFrom));
  }

  /** The highest height after `cursor` that somebody offers; those in good standing are believed first. */
  target(cursor: number): number {
    const offers = this.candidates(cursor + 1, cursor + 1);
    const steady = offers.filter((upstream) => !isShaky(upstream));
    const latest = (steady.length > 0 ? steady : offers).map(({ status }) => status?.latest ?? 0);
    return Math.max(cursor, ...latest);
  }

  /** Heights after `cursor` that every upstream still in use has pruned; undefined while one is silent or has them. */
  missing(cursor: number): HeightRange | undefined {
    const alive = this.all.filter(({ dropped }) => !dropped);
    const earliest = Math.min(...alive.map(({ status }) => status?.earliest ?? 0));
    return alive.length > 0 && earliest > cursor + 1 ? { from: cursor + 1, to: earliest - 1 } : undefined;
  }

  /** The highest tip any upstream in good standing names. */
  get tip(): number | undefined {
    const tips = this.all.flatMap(({ dropped, status }) => (status && !dropped ? [status.latest] : []));
    return tips.length > 0 ? Math.max(...tips) : undefined;
  }

  reports(): UpstreamReport[] {
    return this.all.map(({ source, status, failures, dropped }) => ({
      name: source.name,
      latest: status?.latest,
      failures,
      dropped: dropped?.message,
    }));
  }
}

const isShaky = ({ failures, doubted }: Upstream): boolean => failures > 0 || doubted;
