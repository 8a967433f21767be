// Who has confirmed which operation: gathers the receipts of members until they fill the quorum, for as long as the
// user waits and somewhat longer. Bounded: what is dropped goes on to the members all the same, and their receipts can
// be asked for again.

import { type Deadline, deadline, throwIfAborted } from '../core/deadline.ts';
import type { NodeId, OpId } from '../core/ids.ts';
import type { Clock, Timer } from '../core/ports.ts';
import { fillsQuorum } from '../core/quorum.ts';
import { type BatchReceipt, type Receipt, receiptsOf } from '../core/receipt.ts';
import type { RosterEntry } from '../core/roster.ts';
import type { OperationRef } from './log-entry.ts';
import { placement } from './placement.ts';

/** A user who waits is answered after this with what there is: members answer within milliseconds or are away. */
export const CONFIRM_MS = 5_000;
/** Two thousand operations a second that all wait for their whole time, and those answered lately; some 10 MB. */
const TRACKED_MAX = 16_384;
/** Names in one question for receipts; an answer has one receipt for all of them. */
const ASKED_MAX = 128;
/** Members that were pushed to have answered by then, unless they are busy. */
const ASK_AFTER_MS = 1_000;
/** Questions gather for so long: who asks again for one operation often asks for several. */
const ASK_MS = 20;

export interface ConfirmationsDeps {
  readonly clock: Clock;
  readonly roster: () => readonly RosterEntry[];
  /** Asks the other members for receipts of operations they may hold; answers come by `noteReceipts`. */
  readonly ask?: ((refs: readonly OperationRef[]) => void) | undefined;
}

export interface ConfirmationsOptions {
  /** This node. */
  readonly nodeId: NodeId;
  /** Platforms that must confirm, if that is more than a majority. */
  readonly platformsMin: number;
  readonly trackedMax?: number;
}

/** Receipts are those of holders, one for each platform, this node's first. */
export type ConfirmationOutcome =
  /** They fill the quorum: a certificate. */
  | { readonly kind: 'confirmed'; readonly receipts: readonly Receipt[] }
  | { readonly kind: 'pending'; readonly receipts: readonly Receipt[] };

export interface Confirmations {
  /**
   * Waits until receipts fill the quorum of the roster, which may change meanwhile.
   * @param own this node's receipt, first of all; undefined if it may give none.
   * @param options.again the operation was held before: the others may have given their receipts long ago.
   * @returns `pending` when the time is over, or when more operations wait than are tracked.
   * @throws KithError the signal's reason.
   */
  wait(
    ref: OperationRef,
    own: Receipt | undefined,
    options: { readonly ms?: number; readonly again?: boolean; readonly signal: AbortSignal },
  ): Promise<ConfirmationOutcome>;
  /** A verified receipt of a member for these operations, in their order; also before anybody waits for them. */
  noteReceipts(nodeId: NodeId, refs: readonly OperationRef[], receipt: BatchReceipt): void;
  /** The roster is another: what waits is looked at again. */
  rosterChanged(): void;
  /** Answers whoever waits with what there is. */
  end(): void;
  /** Operations tracked. */
  readonly tracked: number;
}

/** Makes the receipt when somebody wants it: most are never looked at. */
type Given = () => Receipt;

interface Tracked {
  readonly ref: OperationRef;
  /** By who gave them, in the order they came. */
  readonly given: Map<NodeId, Given>;
  readonly waiting: Set<() => void>;
}

export function createConfirmations(deps: ConfirmationsDeps, options: ConfirmationsOptions): Confirmations {
  const { clock } = deps;
  const { nodeId: own, platformsMin, trackedMax = TRACKED_MAX } = options;
  /** In the order they came or were last waited for: the first is dropped first. */
  const tracked = new Map<OpId, Tracked>();
  let asking: OperationRef[] = [];
  let askTimer: Timer | undefined;
  let ended = false;

  const holdersOf = ({ regId }: OperationRef): readonly RosterEntry[] => placement(regId, deps.roster()).holders;

  const isFilled = ({ ref, given }: Tracked): boolean => fillsQuorum(holdersOf(ref), given.keys(), platformsMin);

  function outcomeOf(one: Tracked): ConfirmationOutcome {
    const byId = new Map(holdersOf(one.ref).map((entry) => [entry.nodeId, entry]));
    const platforms = new Set<string>();
    const receipts: Receipt[] = [];
    for (const [nodeId, give] of one.given) {
      const platform = byId.get(nodeId)?.platform;
      if (platform === undefined || platforms.has(platform)) continue;
      platforms.add(platform);
      receipts.push(give());
    }
    return { kind: isFilled(one) ? 'confirmed' : 'pending', receipts };
  }

  function release(one: Tracked): void {
    for (const wake of [...one.waiting]) wake();
  }

  function track(ref: OperationRef): Tracked {
    const one = tracked.get(ref.opId) ?? { ref, given: new Map(), waiting: new Set() };
    tracked.delete(ref.opId);
    tracked.set(ref.opId, one);
    const oldest = tracked.values().next().value;
    if (oldest && tracked.size > trackedMax) {
      tracked.delete(oldest.ref.opId);
      release(oldest);
    }
    return one;
  }

  function askFor(ref: OperationRef): void {
    if (!deps.ask || ended) return;
    asking.push(ref);
    if (asking.length >= ASKED_MAX) flush();
    else askTimer ??= clock.schedule(ASK_MS, flush);
  }

  function flush(): void {
    askTimer?.cancel();
    askTimer = undefined;
    const refs = asking;
    asking = [];
    if (refs.length > 0 && !ended) deps.ask?.(refs);
  }

  /** Until woken, or the time is over: both end alike, the caller looks at what there is. */
  function pause(one: Tracked, limit: Deadline): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        one.waiting.delete(wake);
        limit.signal.removeEventListener('abort', wake);
        resolve();
      };
      one.waiting.add(wake);
      limit.signal.addEventListener('abort', wake, { once: true });
    });
  }

  return {
    get tracked() {
      return tracked.size;
    },
    async wait(ref, receipt, { ms = CONFIRM_MS, again = false, signal }) {
      const one = track(ref);
      if (receipt) {
        const others = [...one.given].filter(([nodeId]) => nodeId !== own);
        one.given.clear();
        one.given.set(own, () => receipt);
        for (const [nodeId, give] of others) one.given.set(nodeId, give);
      }
      if (ended || ms <= 0 || isFilled(one)) return outcomeOf(one);
      if (again) askFor(ref);
      // A member that has pulled it before it was pushed there gave no receipt.
      const reminder = clock.schedule(ASK_AFTER_MS, () => askFor(ref));
      using limit = deadline(clock, ms, signal);
      try {
        if (!limit.signal.aborted) await pause(one, limit);
      } finally {
        reminder.cancel();
      }
      throwIfAborted(signal);
      return outcomeOf(one);
    },
    noteReceipts(nodeId, refs, receipt) {
      const opIds = refs.map(({ opId }) => opId);
      const receiptAt = receiptsOf(receipt, opIds);
      for (const [index, ref] of refs.entries()) {
        // A member may be faster than this node's own way from its disk to `wait`: nothing is left because nobody waits.
        const one = tracked.get(ref.opId) ?? track(ref);
        one.given.set(nodeId, () => receiptAt(index));
        if (one.waiting.size > 0 && isFilled(one)) release(one);
      }
    },
    rosterChanged() {
      for (const one of tracked.values()) if (one.waiting.size > 0 && isFilled(one)) release(one);
    },
    end() {
      ended = true;
      askTimer?.cancel();
      for (const one of tracked.values()) release(one);
    },
  };
}
