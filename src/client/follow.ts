// Following an index set with long polls, from any of several nodes: what passes with time is tried again, politely
// and up to a deadline; what does not ends that node's part, and the others go on.

import { deadline, sleep, throwIfAborted } from '../core/deadline.ts';
import { isKithError, type KithError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import { emptyView, type IndexSetView, mergeViews, viewSyncedTo } from '../fmd/browser.ts';
import type { NodeApi } from './api.ts';
import { clientError, isNodeRefusal, noNode, passesWithTime } from './errors.ts';
import { type IndexSetOwner, readIndexSet, WAIT_SECONDS_MAX } from './index-set.ts';

/** After the first failure; doubled by each that follows. */
const BACKOFF_MIN_MS = 250;
/** A node that comes back is noticed within this. */
const BACKOFF_MAX_MS = 10_000;
/** No longer is obeyed: who asks for more may be anybody. */
const RETRY_AFTER_MAX_MS = 60_000;
/** Between two answers that brought nothing: a node that does not wait must not be asked without end. */
const IDLE_ROUND_MS = 1_000;
/** A registration that was confirmed elsewhere reaches every member well within this. */
const UNKNOWN_GRACE_MS = 15_000;
/** The longest stretch `followIndexSet` waits before it looks whether anybody still answers. */
const FOLLOW_ROUND_MS = 600_000;

export interface WaitOptions {
  /** Enough once the view is synced up to it. */
  readonly height: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Called with each view that is synced further than the one before. */
  readonly onProgress?: (view: IndexSetView) => void;
}

/** How long to leave a node alone after `failures` failures in a row, in milliseconds. */
export function retryDelayMs(error: unknown, failures: number): number {
  const backoff = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(failures - 1, 16));
  const asked = isNodeRefusal(error) ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
  return Math.max(backoff, Math.min(asked, RETRY_AFTER_MAX_MS));
}

/**
 * Reads until the view is synced up to a height; any of the nodes may bring it there.
 * @throws KithError `not-synced` when the time is over; if no node can be used any more, why not.
 */
export async function waitForHeight(
  deps: { apis: readonly NodeApi[]; clock: Clock },
  of: IndexSetOwner,
  view: IndexSetView | undefined,
  { height, timeoutMs, signal, onProgress }: WaitOptions,
): Promise<IndexSetView> {
  const { apis, clock } = deps;
  throwIfAborted(signal);
  using limit = deadline(clock, timeoutMs, signal);
  const until = clock.monotonic() + timeoutMs;
  const reached = new AbortController();
  let known = view ?? emptyView();
  let lastFailure: KithError | undefined;
  const done = () => viewSyncedTo(known) >= height;
  if (done()) return known;

  const ends = apis.map((api) =>
    followNode({ api, clock }, of, {
      until,
      signal: AbortSignal.any([limit.signal, reached.signal]),
      known: () => known,
      onFailure: (error) => {
        lastFailure = error;
      },
      take(read) {
        const before = viewSyncedTo(known);
        known = mergeViews(known, read);
        const further = viewSyncedTo(known) > before;
        if (further) onProgress?.(known);
        if (done()) reached.abort();
        return further;
      },
    }),
  );
  const refusals = await Promise.all(ends).finally(() => reached.abort());
  throwIfAborted(signal);
  if (done()) return known;
  if (!limit.signal.aborted) throw noNode(refusals.filter((refusal) => refusal !== undefined));
  const last = lastFailure ? `; last failure: ${lastFailure.message}` : '';
  const text = `synced to ${viewSyncedTo(known)}, not to ${height}, within ${timeoutMs / 1000} s${last}`;
  // Told apart by whoever can bring a registration back.
  const unknown = refusals.find((refusal) => isNodeRefusal(refusal, 'unknown-registration'));
  throw clientError('not-synced', text, unknown);
}

interface Following {
  /** On the monotonic clock. */
  readonly until: number;
  readonly signal: AbortSignal;
  known(): IndexSetView;
  /** Whether this brought the view further. */
  take(read: IndexSetView): boolean;
  onFailure(error: KithError): void;
}

/** Reads from one node until told to end, or until the node cannot be used: then why not. */
async function followNode(
  { api, clock }: { api: NodeApi; clock: Clock },
  of: IndexSetOwner,
  { until, signal, known, take, onFailure }: Following,
): Promise<KithError | undefined> {
  const started = clock.monotonic();
  const rest = (delayMs: number): Promise<void> =>
    sleep(clock, delayMs, { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  let failures = 0;
  while (!signal.aborted) {
    const asked = clock.monotonic();
    const waitSeconds = Math.max(0, Math.min(WAIT_SECONDS_MAX, Math.floor((until - asked) / 1000)));
    try {
      const further = take(await readIndexSet({ api }, of, known(), { waitSeconds, signal }));
      failures = 0;
      const idleMs = asked + IDLE_ROUND_MS - clock.monotonic();
      if (!further && idleMs > 0) await rest(idleMs);
    } catch (error) {
      if (signal.aborted) break;
      if (!isKithError(error)) throw error;
      const grace = clock.monotonic() - started < UNKNOWN_GRACE_MS && isNodeRefusal(error, 'unknown-registration');
      if (!passesWithTime(error) && !grace) return error;
      onFailure(error);
      await rest(retryDelayMs(error, ++failures));
    }
  }
  return undefined;
}

/**
 * Every view that is synced further than the one before, for as long as the caller asks for more.
 * @throws KithError the signal's reason; if no node can be used any more, why not.
 */
export async function* followIndexSet(
  deps: { apis: readonly NodeApi[]; clock: Clock },
  of: IndexSetOwner,
  view: IndexSetView | undefined,
  { signal }: { signal: AbortSignal },
): AsyncGenerator<IndexSetView, never> {
  let known = view ?? emptyView();
  for (;;) {
    const height = viewSyncedTo(known) + 1;
    const next = await waitForHeight(deps, of, known, { height, timeoutMs: FOLLOW_ROUND_MS, signal }).catch(
      (error: unknown) => {
        if (isKithError(error, 'not-synced')) return undefined;
        throw error;
      },
    );
    if (!next) continue;
    known = next;
    yield known;
  }
}
