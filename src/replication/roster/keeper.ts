// The roster as one node keeps it: finds or founds the genesis, joins, compares with the other members, answers them.
// One loop does what this node starts; requests of attested peers are answered beside it. What counts is durable first.

import { equalBytes, fromHex } from '../../core/bytes.ts';
import { abortable, throwIfAborted } from '../../core/deadline.ts';
import { isKithError, KithError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import type { RosterEntry } from '../../core/roster.ts';
import { placesTaken } from './admission.ts';
import { compareWith, takeEncoded } from './compare.ts';
import { createFounding } from './founding.ts';
import { createLedger } from './ledger.ts';
import { ALONE_MS, MEMBERS_MAX, RETRY_MS_MAX, RETRY_MS_MIN, SYNC_INTERVAL_MS, TELL_ATTEMPTS_MAX } from './limits.ts';
import { createLoop } from './loop.ts';
import { decodeRosterRequest, encodeRosterAnswer, type RosterAnswer, type RosterStatus } from './messages.ts';
import type { RosterKeeper, RosterKeeperDeps, RosterKeeperOptions, RosterView } from './ports.ts';
import { createProposer, type Proposed } from './proposer.ts';
import { answerRequest } from './responder.ts';
import { createRestorer } from './restorer.ts';
import { createSigner } from './signer.ts';
import { endOf, genesisOf, lastPlace, sameEntry } from './statement-set.ts';

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
  let isMember = false;
  let starting: Promise<void> | undefined;
  let running: Promise<void> | undefined;
  let syncAt = 0;
  let retryAt = 0;
  let failures = 0;
  /** When a member of the roster was last seen to be connected, or there was another roster. */
  let companyMs = clock.monotonic();

  const ledger = createLedger(deps, { ...options, onGrown });
  const connectedEntry = (nodeId: NodeId) => deps.connected().find((peer) => peer.nodeId === nodeId);

  function onGrown(): void {
    for (const { nodeId } of deps.connected()) due.add(nodeId);
    failures = 0;
    retryAt = 0;
    tellReplaced();
    options.onChange?.(view());
    loop.wake();
  }

  /** Once, when the place of this node has gone to another on its platform. */
  function tellReplaced(): void {
    const was = isMember;
    isMember = standing() === 'member';
    const by = was && !isMember && ledger.members.find(({ platform }) => platform === me.platform);
    if (by) deps.report?.({ kind: 'replaced', by: by.nodeId });
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

  const beganMs = clock.monotonic();
  const isEarly = () => clock.monotonic() - beganMs < (options.foundAfterMs ?? 0);
  const founding = createFounding({ ...deps, ledger }, { ...options, isEarly });
  const signer = createSigner({ ...deps, ledger });
  const proposer = createProposer({ ...deps, ledger, signer, membersHeight });
  const restorer = createRestorer({ ...deps, ledger, signer, membersHeight });

  const comparing = { ...deps, ledger, status, isMember: () => standing() === 'member' };

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
    missing: restorer.plan()?.absent ?? [],
  });

  async function compare(nodeId: NodeId): Promise<void> {
    const peer = connectedEntry(nodeId);
    if (!peer) return;
    const found = await compareWith(comparing, nodeId, { signal });
    if (found.kind === 'silent') return;
    heard(peer, found.status);
    if (found.kind === 'hearsay') return;
    if (found.kind === 'unfounded') await founding.meet(peer, found.status, { signal });
    else if (found.kind === 'other-genesis') await meetOther(nodeId, found.status.genesis!);
    else if (found.refused ?? found.refusedByPeer) {
      const { refused, refusedByPeer } = found;
      deps.report?.({ kind: 'apart', nodeId, refused, refusedByPeer });
    }
  }

  /** Of a genesis nobody keeps a joiner with whom there is nobody else; everybody else stays with its own, loudly. */
  async function meetOther(nodeId: NodeId, theirs: Uint8Array): Promise<void> {
    const joinedNever = standing() === 'joining' && !lastPlace(ledger.set, (place) => place.nodeId === me.nodeId);
    if (!joinedNever || clock.monotonic() - companyMs < ALONE_MS) {
      deps.report?.({ kind: 'other-genesis', nodeId, theirs });
      return;
    }
    companyMs = clock.monotonic();
    await ledger.letGo();
    due.add(nodeId);
    deps.report?.({ kind: 'let-go', nodeId, theirs });
  }

  function noteCompany(): void {
    const isMet = deps.connected().some((peer) => ledger.members.some((member) => sameEntry(member, peer)));
    if (isMet || ledger.members.length === 0) companyMs = clock.monotonic();
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

  /** When there is something to settle, on the monotonic clock. */
  function settleAt(): number | undefined {
    const now = standing();
    if (now === 'waiting' || now === 'joining') return retryAt;
    const turn = now === 'member' ? restorer.turnMs() : undefined;
    return turn && Math.max(turn, retryAt);
  }

  /** A step towards being a member, or towards a roster of which a majority is there. */
  async function settle(): Promise<void> {
    const at = settleAt();
    if (at === undefined || clock.monotonic() < at) return;
    const now = standing();
    fail();
    if (now === 'member') {
      unsettled('not-restored', await restorer.propose({ signal }));
      return;
    }
    if (now === 'waiting') {
      if (options.mayFound && options.allowUnbacked) await founding.alone();
      else for (const { nodeId } of deps.connected()) due.add(nodeId);
      return;
    }
    const taken = placesTaken(ledger.members, me);
    const own = taken.find(({ nodeId }) => nodeId === me.nodeId);
    // It moved to a platform whose node is another member: its own old place ends first.
    if (taken.length > 1 && own) await proposer.leave(own, 'left');
    unsettled('not-joined', await proposer.join({ signal }));
  }

  function unsettled(kind: 'not-joined' | 'not-restored', outcome: Proposed): void {
    if (outcome.kind === 'done') return;
    for (const { nodeId, word } of outcome.words)
      if (word === 'other-frontier' || word === 'no-genesis') due.add(nodeId);
    deps.report?.({ kind, outcome });
  }

  async function round(): Promise<void> {
    noteCompany();
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

  const loop = createLoop({
    clock,
    signal,
    round,
    /** At once while somebody is due. */
    nextMs() {
      if (due.size > 0) return undefined;
      return Math.min(syncAt, settleAt() ?? syncAt);
    },
    failed: (error) => deps.report?.({ kind: 'failed', error }),
  });

  async function begin(parent: AbortSignal | undefined): Promise<void> {
    await ledger.load({ signal: parent });
    throwIfAborted(parent);
    throwIfAborted(signal);
    isMember = standing() === 'member';
    options.onChange?.(view());
    for (const { nodeId } of deps.connected()) due.add(nodeId);
    running = loop.run();
  }

  /**
   * Compares with everybody connected, for as long as the caller waits. @returns whether a member holds the same
   * statements now, or there is none.
   */
  async function tellAll(parent: AbortSignal | undefined): Promise<boolean> {
    if (ledger.members.length === 0) return true;
    let told = false;
    const all = deps.connected().map(async ({ nodeId }) => {
      const found = await compareWith(comparing, nodeId, { signal });
      const isHeld = found.kind === 'compared' && found.refusedByPeer === undefined;
      if (isHeld && ledger.members.some((member) => member.nodeId === nodeId)) told = true;
    });
    await abortable(Promise.all(all), parent).catch(() => undefined);
    return told;
  }

  /** Whether a member that stays is connected, or none stays. */
  function isHeard(): boolean {
    const connected = new Set(deps.connected().map(({ nodeId }) => nodeId));
    const staying = ledger.members.filter(({ nodeId }) => nodeId !== me.nodeId);
    return staying.length === 0 || staying.some(({ nodeId }) => connected.has(nodeId));
  }

  /** As often as it takes until one member has heard it: the others hear it from that one. */
  async function tellOne(parent: AbortSignal | undefined): Promise<Proposed> {
    for (let attempt = 0; attempt < TELL_ATTEMPTS_MAX; attempt++) {
      if (await tellAll(parent)) return { kind: 'done' };
      if (parent?.aborted || signal.aborted) break;
    }
    return { kind: 'not-yet', signed: 0, words: [], reason: 'nobody-heard' };
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
      loop.wake();
    },
    peerDown(nodeId) {
      due.delete(nodeId);
      heights.delete(nodeId);
      founding.gone(nodeId);
      // Nobody is replaced while it is connected.
      loop.wake();
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
      // Signed before no member, the word would be held by nobody who counts, and this may be the last that remembers.
      if (place && !isHeard()) return { kind: 'not-yet', signed: 0, words: [], reason: 'nobody-connected' };
      leaving = true;
      const outcome = place && (await proposer.leave(place, 'left'));
      // Without a place it may have left before, and nobody heard of it.
      return outcome?.kind === 'not-yet' ? outcome : tellOne(parent);
    },
    async leaveFor(oldNodeId, sign, { signal: parent } = {}) {
      if (oldNodeId === me.nodeId) throw new KithError('own-id', 'this is the id the node has now');
      const place = lastPlace(ledger.set, ({ nodeId }) => nodeId === oldNodeId);
      if (!place) return { kind: 'not-yet', signed: 0, words: [], reason: 'not-a-member' };
      if (endOf(ledger.set, place.joinId, oldNodeId)) return { kind: 'done' };
      const outcome = await proposer.leave(place, 'replaced', sign);
      return outcome.kind === 'not-yet' ? outcome : tellOne(parent);
    },
    submit: (statement) => takeEncoded(ledger, [statement]),
    history: () => ledger.history(),
    byHash(wanted) {
      const members = ledger.rosterByHash(wanted);
      const held = ledger.history().findLast(({ rosterHash }) => equalBytes(rosterHash, wanted));
      return members && { members, untilHeight: held?.untilHeight };
    },
    placeOf: (nodeId) => ledger.members.find((member) => member.nodeId === nodeId)?.joinId,
  };
}
