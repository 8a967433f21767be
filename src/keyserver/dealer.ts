// The life of a node's own sealing key: dealt to key servers, dealt anew whenever one of them loses its share or the
// choice changes. Order of each deal: deposit everywhere, write the header, commit everywhere; so a crash at any point
// leaves one deal that opens the store (docs/CUSTODY.md). One loop does all the work; events only wake it.

import { throwIfAborted } from '../core/deadline.ts';
import { KithError, messageOf } from '../core/errors.ts';
import type { NodeId } from '../core/ids.ts';
import type { Part } from '../core/life-cycle.ts';
import type { Clock, Random } from '../core/ports.ts';
import type { RosterEntry } from '../core/roster.ts';
import { ask, backoffMs, jittered, type Silence } from './ask.ts';
import {
  type CustodyState,
  type DealFailure,
  type DealReason,
  depositsWanted,
  describeCustody,
  WAITING,
} from './custody-state.ts';
import { createSilenceWatch, type Holder, holdersOf, holds, lostIt, type MemberView, noteProbe } from './holders.ts';
import { AVOID_MS, FORMER_SERVERS_MAX, KEY_EPOCH_STEP_MAX, PROBE_INTERVAL_MS, RETRY_MS_MIN } from './limits.ts';
import type { CustodyAnswer, CustodyRequest, RefusalReason } from './messages.ts';
import { createPause } from './pause.ts';
import { type Placement, placeShares } from './placement.ts';
import type { CustodyPeer } from './ports.ts';
import { type KnownDeal, type OwnStore, type PreparedDeal, prepareDeal } from './prepare-deal.ts';

export interface DealerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: OwnStore;
  /** The way to a member, undefined while it is not connected. */
  peer(nodeId: NodeId): CustodyPeer | undefined;
}

export interface DealerOptions {
  readonly owner: RosterEntry;
  readonly storeId: Uint8Array;
  /** This boot; read at each deal, because a contested incarnation is given up for a higher one. */
  boot(): { readonly incarnation: number; readonly bootKey: Uint8Array };
  /** What recovery found; its header must be on the disk. Undefined for a new store. */
  readonly recovered?: { readonly deal: KnownDeal; readonly keyEpochMax: number } | undefined;
  /** Also from within `update` and `redeal`. */
  readonly onChange?: (state: CustodyState) => void;
  /** A key server says that this boot is not the newest. What follows from one server's word is the caller's rule. */
  readonly onFenced?: (word: { by: NodeId; reason: 'fenced' | 'contested'; last: number }) => void;
}

export interface MembersView {
  /** 32 bytes. */
  readonly rosterHash: Uint8Array;
  readonly members: readonly MemberView[];
}

export interface Dealer extends Part {
  /** The roster and its connections, at every change: new boot keys, members that came or left. In `state` at once. */
  update(view: MembersView): void;
  /** A new key for all the same, as before an update. */
  redeal(): void;
  state(): CustodyState;
}

export function createDealer(deps: DealerDeps, options: DealerOptions): Dealer {
  const { clock, store } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  const watch = createSilenceWatch();
  const pause = createPause(deps);
  const holders = new Map<NodeId, Holder>();
  /** Earlier key servers, and the key epoch below which they are to drop. */
  const former = new Map<NodeId, number>();
  let view: MembersView | undefined;
  let current = options.recovered?.deal;
  let keyEpochMax = Math.max(options.recovered?.keyEpochMax ?? 0, current?.keyEpoch ?? 0);
  let forced: DealReason | undefined = current && 'recovered';
  let failures = 0;
  let failure: DealFailure | undefined;
  let dealAt = 0;
  let commitFailures = 0;
  let probeAt = 0;
  let state = WAITING;
  let running: Promise<void> | undefined;

  for (const nodeId of current?.keyServers ?? []) {
    holders.set(nodeId, { state: 'deposited', answering: false, bootKey: undefined });
  }

  const now = () => clock.monotonic();
  const memberOf = (nodeId: NodeId) => view?.members.find((member) => member.nodeId === nodeId);
  const holding = (among: ReadonlyMap<NodeId, Holder>) =>
    [...among].filter(([nodeId, holder]) => holds(holder, memberOf(nodeId))).map(([nodeId]) => nodeId);
  const place = () => view && placeShares({ ...view, owner: options.owner, unreachable: passedOver(view) });
  const passedOver = ({ members }: MembersView): ReadonlySet<NodeId> =>
    new Set([...watch.unreachable(now()), ...members.flatMap(({ nodeId, leaving }) => (leaving ? [nodeId] : []))]);

  /** Asks one member and takes note of what everybody should know of its answer. */
  async function tell(nodeId: NodeId, message: CustodyRequest): Promise<CustodyAnswer | Silence> {
    const answer = await ask(deps, deps.peer(nodeId), message, { signal });
    throwIfAborted(signal);
    watch.heard(nodeId, answer.kind !== 'silent', now());
    if (answer.kind === 'refused' && (answer.reason === 'fenced' || answer.reason === 'contested')) {
      options.onFenced?.({ by: nodeId, reason: answer.reason, last: answer.last ?? 0 });
    }
    return answer;
  }

  function whyDeal(placement: Placement): DealReason | undefined {
    if (!current) return 'first';
    if (forced) return forced;
    const same =
      current.threshold === placement.threshold &&
      current.keyServers.length === placement.shares &&
      placement.keyServers.every(({ nodeId }) => holders.has(nodeId));
    if (!same) return 'placement';
    return [...holders].some(([nodeId, holder]) => lostIt(holder, memberOf(nodeId))) ? 'share-lost' : undefined;
  }

  async function deal(placement: Placement): Promise<void> {
    const asked = forced;
    dealAt = now() + RETRY_MS_MIN;
    keyEpochMax += 1;
    const boots = new Map(view?.members.map(({ nodeId, bootKey }) => [nodeId, bootKey]));
    const made = prepare(placement);
    if (!made) return;
    using prepared = made;
    const answers = await Promise.all(prepared.deposits.map((deposit, i) => tell(prepared.keyServers[i]!, deposit)));
    const words = prepared.keyServers.map((nodeId, i) => ({ nodeId, word: wordOf(answers[i]!) }));
    const dealt = holdersOf(prepared.keyServers, answers, boots);
    for (const [i, answer] of answers.entries()) noteRefusal(prepared.keyServers[i]!, answer);
    if (!enoughHold(dealt, placement)) return failWith({ kind: 'deposits', words });
    try {
      await store.writeHeader(prepared.header, { signal });
    } catch (error) {
      throwIfAborted(signal);
      return failWith({ kind: 'header', message: messageOf(error) });
    }
    // Who restarted meanwhile has lost it; until the first commit, the deal in force is whole.
    if (!enoughHold(dealt, placement)) return failWith({ kind: 'deposits', words });
    if (forced === asked) forced = undefined;
    putInForce(prepared, dealt);
    failures = holding(dealt).length < placement.shares ? failures + 1 : 0;
    dealAt = now() + (failures > 0 ? jittered(deps, backoffMs(failures)) : RETRY_MS_MIN);
    await lookAfter();
  }

  /** Whether a deal may take the place of the one in force, as its holders are now. */
  function enoughHold(dealt: ReadonlyMap<NodeId, Holder>, placement: Placement): boolean {
    const count = holding(dealt).length;
    // With members down there may never be enough; a deal that more hold than the one in force is better than that.
    const better = count >= placement.threshold && count > holding(holders).length;
    return count >= depositsWanted(placement) || better;
  }

  /** The next deal, or undefined if the store would not sign its header. */
  function prepare({ threshold, keyServers }: Placement): PreparedDeal | undefined {
    try {
      return prepareDeal(deps, {
        ...options.boot(),
        owner: options.owner.nodeId,
        storeId: options.storeId,
        keyEpoch: keyEpochMax,
        threshold,
        keyServers: keyServers.map(({ nodeId }) => ({ nodeId, addresses: memberOf(nodeId)?.addresses ?? [] })),
        base: current?.dealId,
      });
    } catch (error) {
      failWith({ kind: 'header', message: messageOf(error) });
      return undefined;
    }
  }

  function putInForce(
    { dealId, keyEpoch, threshold, keyServers }: PreparedDeal,
    dealt: ReadonlyMap<NodeId, Holder>,
  ): void {
    for (const nodeId of holders.keys()) if (!dealt.has(nodeId)) former.set(nodeId, keyEpoch);
    for (const nodeId of keyServers) former.delete(nodeId);
    while (former.size > FORMER_SERVERS_MAX) former.delete([...former.keys()][0]!);
    current = { dealId, keyEpoch, threshold, keyServers };
    holders.clear();
    for (const [nodeId, holder] of dealt) holders.set(nodeId, holder);
    failure = undefined;
    look();
  }

  function noteRefusal(nodeId: NodeId, answer: CustodyAnswer | Silence): void {
    if (answer.kind !== 'refused') return;
    if (answer.reason === 'epoch-not-newer') {
      const above = answer.keyEpoch ?? 0;
      // What lies further off is a lie, and would use up the numbers.
      if (above <= keyEpochMax + KEY_EPOCH_STEP_MAX) keyEpochMax = Math.max(keyEpochMax, above);
    }
    // A refusal that is about the server, not about this boot or deal.
    else if (answer.reason === 'too-many-owners' || answer.reason === 'stopped') watch.avoid(nodeId, now() + AVOID_MS);
  }

  function failWith(what: DealFailure): void {
    failures += 1;
    failure = what;
    dealAt = now() + jittered(deps, backoffMs(failures));
  }

  /** Commits what is not committed, probes the rest, tells former key servers to drop. */
  async function lookAfter(): Promise<void> {
    const inForce = current;
    if (inForce) {
      await Promise.all([...holders].map(([nodeId, holder]) => lookAfterHolder(inForce, nodeId, holder)));
      await Promise.all(
        [...former].map(async ([nodeId, keyEpoch]) => {
          if (!memberOf(nodeId)) former.delete(nodeId);
          else if ((await tell(nodeId, { kind: 'drop', keyEpoch })).kind === 'dropped') former.delete(nodeId);
        }),
      );
    }
    const uncommitted = [...holders.values()].some(({ state }) => state === 'deposited');
    commitFailures = uncommitted ? commitFailures + 1 : 0;
    const pauseMs = uncommitted ? Math.min(PROBE_INTERVAL_MS, backoffMs(commitFailures)) : PROBE_INTERVAL_MS;
    probeAt = now() + jittered(deps, pauseMs);
  }

  async function lookAfterHolder({ dealId }: KnownDeal, nodeId: NodeId, holder: Holder): Promise<void> {
    if (holder.state === 'deposited') {
      const answer = await tell(nodeId, { kind: 'commit', dealId });
      holder.answering = answer.kind !== 'silent';
      if (answer.kind === 'committed') holder.state = 'committed';
      else if (answer.kind === 'refused' && answer.reason === 'unknown-deal') holder.state = 'missing';
    }
    // Of the boot that is asked; when the answer is here, there may be another one.
    const bootKey = memberOf(nodeId)?.bootKey;
    const answer = await tell(nodeId, { kind: 'probe', head: store.head() });
    noteProbe(holder, answer, { dealId, bootKey });
    look();
  }

  /** What is due as things are known now; `state` says the same from here on. */
  function look(): { readonly placement: Placement | undefined; readonly due: DealReason | undefined } {
    const placement = place();
    const due = placement && placement.shares > 0 ? whyDeal(placement) : undefined;
    const next = describeCustody({ placement, due, current, confirmed: holding(holders), failure, sinceMs: now() });
    if (JSON.stringify({ ...next, sinceMs: 0 }) !== JSON.stringify({ ...state, sinceMs: 0 })) {
      state = next;
      options.onChange?.(state);
    }
    return { placement, due };
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      const { placement, due } = look();
      if (due && placement && now() >= dealAt) await deal(placement);
      else if (current && now() >= probeAt) await lookAfter();
      else {
        const until = Math.min(due ? dealAt : Infinity, current ? probeAt : Infinity, now() + PROBE_INTERVAL_MS);
        await pause.wait(Math.max(0, until - now()));
      }
    }
  }

  return {
    name: 'dealer',
    async start({ signal: given }) {
      throwIfAborted(given);
      running ??= run().catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
    },
    async stop() {
      stopping.abort(new KithError('stopped', 'the node stops'));
      pause.wake();
      await running;
    },
    update(next) {
      if (signal.aborted) return;
      watch.look(next.members, now());
      view = next;
      // Requests under way may take seconds more; what they were sent for may be gone already.
      look();
      // News may be what the last failure waited for.
      failures = 0;
      dealAt = Math.min(dealAt, now() + RETRY_MS_MIN);
      pause.wake();
    },
    redeal() {
      if (signal.aborted) return;
      forced ??= 'asked';
      look();
      pause.wake();
    },
    state: () => state,
  };
}

const wordOf = (answer: CustodyAnswer | Silence): 'silent' | RefusalReason =>
  answer.kind === 'refused' ? answer.reason : 'silent';
