// The roster as one node keeps it: finds or founds the genesis, joins, compares with the other members, answers them.
// One loop does what this node starts; requests of attested peers are answered beside it. What counts is durable first.

import { fromHex } from '../../core/bytes.ts';
import { abortable, throwIfAborted } from '../../core/deadline.ts';
import { isKithError, KithError } from '../../core/errors.ts';
import type { ClusterId, NodeId } from '../../core/ids.ts';
import type { Part } from '../../core/life-cycle.ts';
import type { Clock, Random } from '../../core/ports.ts';
import type { RosterEntry } from '../../core/roster.ts';
import { placesTaken, sameEntry } from './admission.ts';
import { type AskDeps, compareWith, takeEncoded } from './compare.ts';
import { createFounding } from './founding.ts';
import { createLedger, type HeldRoster, type RosterStore } from './ledger.ts';
import { MEMBERS_MAX, RETRY_MS_MAX, RETRY_MS_MIN, SYNC_INTERVAL_MS } from './limits.ts';
import {
  type AnswerRefusalReason,
  decodeRosterRequest,
  encodeRosterAnswer,
  type RosterAnswer,
  type RosterStatus,
} from './messages.ts';
import { createProposer, type Proposed } from './proposer.ts';
import { answerRequest } from './responder.ts';
import { createSigner } from './signer.ts';
import { endOf, genesisOf, lastPlace, type RosterMember } from './statement-set.ts';
import type { StatementId } from './statements.ts';

export interface RosterKeeperDeps extends AskDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** This node, as its own platform attests it. */
  readonly self: RosterEntry;
  readonly store: RosterStore;
  /** Ed25519 with the node key. */
  sign(message: Uint8Array): Uint8Array;
  /** Attested peers, with platform and operator as attested. */
  connected(): readonly RosterEntry[];
  /** Of this node's chain; 0 before it knows one. */
  height(): number;
  /** Ed25519 keys of an operator in this and all earlier versions of the configuration. */
  operatorKeys(operator: string): readonly Uint8Array[];
  report?(event: RosterReport): void;
}

export interface RosterKeeperOptions {
  readonly clusterId: ClusterId;
  /** Started without bootstrap addresses, or told to found. */
  readonly mayFound: boolean;
  /** Of the configuration: one node is a cluster. */
  readonly allowUnbacked: boolean;
  readonly onChange?: (view: RosterView) => void;
}

export interface RosterView {
  /** 32 bytes; undefined before a genesis is known. */
  readonly genesisId: Uint8Array | undefined;
  /** Ascending by node id. */
  readonly members: readonly RosterMember[];
  readonly rosterHash: Uint8Array;
  /** `waiting`: no genesis yet. `removed`: evicted, or taken off by its operator; it does not ask again. */
  readonly self: 'waiting' | 'joining' | 'member' | 'left' | 'removed';
}

export type RosterReport =
  /** Loud: this cluster id has two geneses; one of them has to be wiped. */
  | { readonly kind: 'other-genesis'; readonly nodeId: NodeId; readonly theirs: Uint8Array }
  /** One of the two does not take what the other holds. */
  | {
      readonly kind: 'apart';
      readonly nodeId: NodeId;
      readonly refused: AnswerRefusalReason | undefined;
      readonly refusedByPeer: AnswerRefusalReason | undefined;
    }
  /** A port or callback threw; the keeper goes on. */
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'not-joined'; readonly outcome: Exclude<Proposed, { kind: 'done' }> };

export interface RosterKeeper extends Part {
  view(): RosterView;
  /** The answer to a request of an attested peer. Never throws for what the request says. */
  handle(peer: RosterEntry, payload: Uint8Array): Promise<Uint8Array>;
  peerUp(nodeId: NodeId): void;
  peerDown(nodeId: NodeId): void;
  /**
   * Agrees to evict a member, for an hour, and evicts it if a majority agrees already.
   * @throws KithError `not-a-member`, or why `signal` aborted.
   */
  evict(nodeId: NodeId, options?: { signal?: AbortSignal | undefined }): Promise<Proposed>;
  /** Agrees, for an hour, that nodes of an evicted platform join again. */
  readmit(platform: string): void;
  /** Leaves for good and tells the others; not for restarts. Resolves when they were told or `signal` aborted. */
  leave(options?: { signal?: AbortSignal | undefined }): Promise<Proposed>;
  /**
   * Leaves for good under an earlier id of this node and tells the others: its last place ends as `replaced`. `done` as
   * well if that had ended; `not-yet` with `not-a-member` while this node knows of no place of that id.
   * @param sign Ed25519 with the key of that id.
   * @throws KithError `own-id`: that is what `leave` is for.
   */
  leaveFor(
    oldNodeId: NodeId,
    sign: (message: Uint8Array) => Uint8Array,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<Proposed>;
  /** Takes a statement made elsewhere, such as an operator's leave; undefined if it is held now. */
  submit(statement: Uint8Array): Promise<AnswerRefusalReason | undefined>;
  history(): readonly HeldRoster[];
  /** A roster by its hash: in force, held lately, or named by a statement. */
  rosterByHash(rosterHash: Uint8Array): readonly RosterMember[] | undefined;
  /** The statement a member's place comes from, for status. */
  placeOf(nodeId: NodeId): StatementId | undefined;
}

/** The kept roster of one node. Nothing is read or sent before `start`. */
export function createRosterKeeper(deps: RosterKeeperDeps, options: RosterKeeperOptions): RosterKeeper {
  const { clock } = deps;
  const me = deps.self;
  const stopping = new AbortController();
  const { signal } = stopping;
  /** Peers to compare with now. */
  const due = new Set<NodeId>();
  const heights = new Map<NodeId, number>();
  let leaving = false;
  let wake: (() => void) | undefined;
  let starting: Promise<void> | undefined;
  let running: Promise<void> | undefined;
  let syncAt = 0;
  let retryAt = 0;
  let failures = 0;

  const wakeUp = () => wake?.();
  const ledger = createLedger(deps, { ...options, onGrown });
  const connectedEntry = (nodeId: NodeId) => deps.connected().find((peer) => peer.nodeId === nodeId);

  function onGrown(): void {
    for (const { nodeId } of deps.connected()) due.add(nodeId);
    failures = 0;
    retryAt = 0;
    options.onChange?.(view());
    wakeUp();
  }

  const status = (): RosterStatus => {
    const genesis = genesisOf(ledger.set);
    return {
      kind: 'status',
      ...(genesis ? { genesis: fromHex(genesis.id) } : {}),
      digest: ledger.digest,
      mayFound: options.mayFound,
      height: deps.height(),
    };
  };

  /** The middle of what connected members say: one liar does not move it far. */
  function membersHeight(): number {
    const told = ledger.members.map(({ nodeId }) => (nodeId === me.nodeId ? deps.height() : heights.get(nodeId)));
    const sorted = told.filter((height) => height !== undefined).sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? deps.height();
  }

  const founding = createFounding({ ...deps, ledger }, options);
  const signer = createSigner({ ...deps, ledger });
  const proposer = createProposer({ ...deps, ledger, signer, membersHeight });

  function heard(peer: RosterEntry, said: RosterStatus): void {
    founding.heard(peer.nodeId, said);
    if (connectedEntry(peer.nodeId)) heights.set(peer.nodeId, said.height);
  }

  function standing(): RosterView['self'] {
    if (ledger.members.some((member) => sameEntry(member, me))) return leaving ? 'left' : 'member';
    if (leaving) return 'left';
    if (!genesisOf(ledger.set)) return 'waiting';
    const last = lastPlace(ledger.set, ({ nodeId }) => nodeId === me.nodeId);
    const end = last && endOf(ledger.set, last.joinId, last.nodeId);
    return end === 'evicted' || end === 'operator' ? 'removed' : 'joining';
  }

  const view = (): RosterView => ({
    genesisId: genesisOf(ledger.set)?.body.genesisId,
    members: ledger.members,
    rosterHash: ledger.rosterHash,
    self: standing(),
  });

  async function compare(nodeId: NodeId): Promise<void> {
    const peer = connectedEntry(nodeId);
    if (!peer) return;
    const found = await compareWith({ ...deps, ledger, status }, nodeId, { signal });
    if (found.kind === 'silent') return;
    heard(peer, found.status);
    if (found.kind === 'unfounded') await founding.meet(peer, found.status, { signal });
    else if (found.kind === 'other-genesis') {
      deps.report?.({ kind: 'other-genesis', nodeId, theirs: found.status.genesis! });
    } else if (found.refused ?? found.refusedByPeer) {
      const { refused, refusedByPeer } = found;
      deps.report?.({ kind: 'apart', nodeId, refused, refusedByPeer });
    }
  }

  function fail(): void {
    const pause = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(failures, 10));
    failures += 1;
    retryAt = clock.monotonic() + pause + (pause * randomBelow(1_024)) / 1_024;
  }

  const randomBelow = (n: number) => {
    const [a, b] = deps.random.bytes(2);
    return (a! * 256 + b!) % n;
  };

  /** A step towards being a member. */
  async function settle(): Promise<void> {
    const now = standing();
    if (now !== 'waiting' && now !== 'joining') return;
    if (clock.monotonic() < retryAt) return;
    fail();
    if (now === 'waiting') {
      if (options.mayFound && options.allowUnbacked) await founding.alone();
      else for (const { nodeId } of deps.connected()) due.add(nodeId);
      return;
    }
    const taken = placesTaken(ledger.members, me);
    const own = taken.find(({ nodeId }) => nodeId === me.nodeId);
    // It moved to a platform whose node is another member: its own old place ends first.
    if (taken.length > 1 && own) await proposer.leave(own, 'left');
    const outcome = await proposer.join({ signal });
    if (outcome.kind === 'done') return;
    for (const { nodeId, word } of outcome.words) if (word === 'other-frontier') due.add(nodeId);
    deps.report?.({ kind: 'not-joined', outcome });
  }

  async function round(): Promise<void> {
    for (const nodeId of [...due].slice(0, MEMBERS_MAX)) {
      due.delete(nodeId);
      await compare(nodeId);
    }
    if (clock.monotonic() >= syncAt) {
      syncAt = clock.monotonic() + SYNC_INTERVAL_MS;
      const peers = deps.connected();
      const peer = peers[randomBelow(Math.max(1, peers.length))];
      if (peer) await compare(peer.nodeId);
    }
    await settle();
  }

  function pause(): Promise<void> {
    if (due.size > 0) return Promise.resolve();
    const unsettled = ['waiting', 'joining'].includes(standing());
    const until = unsettled ? Math.min(syncAt, retryAt) : syncAt;
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel();
        wake = undefined;
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = clock.schedule(Math.max(1, until - clock.monotonic()), done);
      wake = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      try {
        await round();
      } catch (error) {
        if (!signal.aborted) deps.report?.({ kind: 'failed', error });
      }
      if (!signal.aborted) await pause();
    }
  }

  async function begin(parent: AbortSignal | undefined): Promise<void> {
    await ledger.load({ signal: parent });
    throwIfAborted(parent);
    throwIfAborted(signal);
    options.onChange?.(view());
    for (const { nodeId } of deps.connected()) due.add(nodeId);
    running = run();
  }

  /** Compares with everybody connected, for as long as the caller waits. */
  async function tellAll(parent: AbortSignal | undefined): Promise<void> {
    const all = deps.connected().map(({ nodeId }) => compareWith({ ...deps, ledger, status }, nodeId, { signal }));
    await abortable(Promise.all(all), parent).catch(() => undefined);
  }

  return {
    name: 'roster',
    view,
    start({ signal: parent } = {}) {
      starting ??= begin(parent);
      return starting;
    },
    async stop() {
      stopping.abort(new KithError('stopped', 'the roster keeper has stopped'));
      await running;
    },
    async handle(peer, payload) {
      let answer: RosterAnswer;
      try {
        const request = decodeRosterRequest(payload);
        await starting;
        if (!running) return encodeRosterAnswer({ kind: 'refused', reason: 'not-started' });
        answer = await answerRequest({ ledger, founding, signer, status, heard }, peer, request);
      } catch (error) {
        if (!isKithError(error)) throw error;
        answer = { kind: 'refused', reason: 'malformed' };
      }
      return encodeRosterAnswer(answer);
    },
    peerUp(nodeId) {
      due.add(nodeId);
      wakeUp();
    },
    peerDown(nodeId) {
      due.delete(nodeId);
      heights.delete(nodeId);
      founding.gone(nodeId);
    },
    async evict(nodeId, { signal: parent } = {}) {
      const place = ledger.members.find((member) => member.nodeId === nodeId);
      if (!place) throw new KithError('not-a-member', 'only a member of the roster can be evicted');
      signer.approve('eviction', nodeId);
      return abortable(proposer.evict(place, { signal }), parent);
    },
    readmit: (platform) => signer.approve('return', platform),
    async leave({ signal: parent } = {}) {
      const place = ledger.members.find(({ nodeId }) => nodeId === me.nodeId);
      leaving = true;
      if (!place) return { kind: 'done' };
      const outcome = await proposer.leave(place, 'left');
      await tellAll(parent);
      return outcome;
    },
    async leaveFor(oldNodeId, sign, { signal: parent } = {}) {
      if (oldNodeId === me.nodeId) throw new KithError('own-id', 'this is the id the node has now');
      const place = lastPlace(ledger.set, ({ nodeId }) => nodeId === oldNodeId);
      if (!place) return { kind: 'not-yet', signed: 0, words: [], reason: 'not-a-member' };
      if (endOf(ledger.set, place.joinId, oldNodeId)) return { kind: 'done' };
      const outcome = await proposer.leave(place, 'replaced', sign);
      await tellAll(parent);
      return outcome;
    },
    submit: (statement) => takeEncoded(ledger, [statement]),
    history: () => ledger.history(),
    rosterByHash: (rosterHash) => ledger.rosterByHash(rosterHash),
    placeOf: (nodeId) => ledger.members.find((member) => member.nodeId === nodeId)?.joinId,
  };
}
