// Ranges of blocks fetched in parallel and handed on in order, through a window of few ranges: who reads slowly slows
// the fetching down. Each range is tried until it succeeds, at other upstreams first, with growing pauses.

import { sleep, throwIfAborted } from '../core/deadline.ts';
import { isKithError } from '../core/errors.ts';
import type { Clock, Random } from '../core/ports.ts';
import { indexerError, isStop } from './errors.ts';
import { BACKOFF_MS_MAX, BACKOFF_MS_MIN, RANGES_IN_FLIGHT } from './limits.ts';
import type { SourceBlock } from './ports.ts';
import type { Upstream, Upstreams } from './upstreams.ts';

export interface FetcherDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly upstreams: Upstreams;
}

export interface FetchedRange {
  readonly blocks: readonly SourceBlock[];
  /** Whether the next range has arrived already, so that both can be written together. */
  readonly moreAtOnce: boolean;
}

interface Pending {
  readonly blocks: Promise<SourceBlock[]>;
  arrived: boolean;
}

/**
 * The blocks from `from` to `to`, in order.
 * @throws KithError `height-unavailable` when no upstream offers a range any more (fetch again once one does), or
 * what ends the work for good.
 */
export async function* fetchInOrder(
  deps: FetcherDeps,
  from: number,
  to: number,
  options: { signal: AbortSignal },
): AsyncGenerator<FetchedRange, void, undefined> {
  const controller = new AbortController();
  const onAbort = () => controller.abort(options.signal.reason);
  if (options.signal.aborted) onAbort();
  options.signal.addEventListener('abort', onAbort, { once: true });
  const pending: Pending[] = [];
  let next = from;
  try {
    for (;;) {
      while (pending.length < RANGES_IN_FLIGHT && next <= to) {
        const last = deps.upstreams.rangeEnd(next, to);
        pending.push(track(fetchRange(deps, next, last, controller.signal)));
        next = last + 1;
      }
      const head = pending.shift();
      if (!head) return;
      const blocks = await head.blocks;
      yield { blocks, moreAtOnce: pending[0]?.arrived ?? false };
    }
  } finally {
    options.signal.removeEventListener('abort', onAbort);
    controller.abort();
  }
}

function track(blocks: Promise<SourceBlock[]>): Pending {
  const pending: Pending = { blocks, arrived: false };
  // A failure does not count: what came before it is to be written first. It is thrown when its turn comes.
  blocks.then(
    () => {
      pending.arrived = true;
    },
    () => undefined,
  );
  return pending;
}

async function fetchRange(deps: FetcherDeps, from: number, to: number, signal: AbortSignal): Promise<SourceBlock[]> {
  const { upstreams } = deps;
  for (let attempt = 0; ; attempt++) {
    throwIfAborted(signal);
    if (upstreams.exhausted) throw upstreams.exhausted;
    const candidates = upstreams.candidates(from, to);
    const upstream = candidates[attempt % Math.max(1, candidates.length)];
    if (!upstream) throw indexerError('height-unavailable', `no upstream offers heights ${from} to ${to}`);
    const outcome = await tryRange(deps, upstream, from, to, signal);
    if (outcome.kind === 'blocks') return outcome.blocks;
    // It is no candidate for this range any more: whoever is comes next, or nobody.
    if (outcome.kind === 'unavailable') continue;
    if (outcome.kind === 'too-large' && from < to) {
      const middle = Math.floor((from + to) / 2);
      const first = await fetchRange(deps, from, middle, signal);
      return [...first, ...(await fetchRange(deps, middle + 1, to, signal))];
    }
    // Others are asked at once; a pause only when all have been.
    const round = Math.floor((attempt + 1) / candidates.length);
    if ((attempt + 1) % candidates.length === 0) await sleep(deps.clock, backoffMs(deps.random, round), { signal });
  }
}

type Outcome =
  | { readonly kind: 'blocks'; readonly blocks: SourceBlock[] }
  | { readonly kind: 'too-large' }
  | { readonly kind: 'unavailable' }
  | { readonly kind: 'failed' };

async function tryRange(
  { upstreams }: FetcherDeps,
  upstream: Upstream,
  from: number,
  to: number,
  signal: AbortSignal,
): Promise<Outcome> {
  const { source } = upstream;
  try {
    const blocks = await source.blocks(from, Math.min(to, from + source.rangeMax - 1), { signal });
    if (blocks.length !== to - from + 1) blocks.push(...(await restOf(upstream, from + blocks.length, to, signal)));
    for (const [i, block] of blocks.entries()) {
      if (block.height !== from + i) throw indexerError('bad-answer', `${source.name}: heights out of order`);
      if (!upstreams.checkChain(upstream, block.chainId)) return { kind: 'failed' };
    }
    upstreams.succeeded(upstream);
    upstream.doubted = false;
    return { kind: 'blocks', blocks };
  } catch (error) {
    throwIfAborted(signal);
    if (isStop(error)) throw error;
    if (!isKithError(error)) throw error;
    if (error.code === 'answer-too-large' && from < to) return { kind: 'too-large' };
    if (error.code === 'height-unavailable' && upstream.status) {
      // It had offered the whole range: until its next status it is taken to have all but the end.
      upstream.status = { ...upstream.status, latest: Math.min(upstream.status.latest, to - 1), latestHash: undefined };
      upstream.doubted = true;
      return { kind: 'unavailable' };
    }
    upstreams.failed(upstream, error);
    return { kind: 'failed' };
  }
}

/** When another upstream than the planned one takes a range, it may be longer than that one gives at once. */
async function restOf({ source }: Upstream, from: number, to: number, signal: AbortSignal): Promise<SourceBlock[]> {
  const blocks: SourceBlock[] = [];
  for (let next = from; next <= to; next += source.rangeMax) {
    blocks.push(...(await source.blocks(next, Math.min(to, next + source.rangeMax - 1), { signal })));
  }
  return blocks;
}

/** Doubles with each round; between half and all of it, so that many nodes do not come back at once. */
export function backoffMs(random: Random, round: number): number {
  const full = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(round, 16));
  const [low = 0, high = 0] = random.bytes(2);
  return full / 2 + (full / 2) * ((low + 256 * high) / 65_536);
}
