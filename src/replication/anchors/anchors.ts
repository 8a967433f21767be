// Anchors as one node keeps them: reads and proposes, asks members for what it lacks, answers them. One loop does what
// this node starts, another reads the chain; nothing of it is in the way of registrations.

import { sleep, throwIfAborted } from '../../core/deadline.ts';
import { isKithError, KithError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Part } from '../../core/life-cycle.ts';
import type { RosterEntry } from '../../core/roster.ts';
import type { OperationRef } from '../log-entry.ts';
import { epochOf } from './anchor.ts';
import { createAsk } from './ask.ts';
import { createAnchorCrawler } from './crawler.ts';
import { createAnchorLedger } from './ledger.ts';
import { EPOCH_BLOCKS, LAG_BLOCKS, NOTICED_MAX, RETRY_MS_MAX, RETRY_MS_MIN, SILENT_EPOCHS, TICK_MS } from './limits.ts';
import { type AnchorAnswer, decodeRequest, encodeAnswer } from './messages.ts';
import type { AnchorDeps } from './ports.ts';
import { createAnchorProposer } from './proposer.ts';
import { answerRequest } from './responder.ts';
import { createAnchorSeeker } from './seeker.ts';
import { createAnchorSigner } from './signer.ts';

export type AnchorReason =
  /** No log key yet: not a member, or no member that has it can be reached. */
  | 'no-log-key'
  /** No anchor was accepted for three epochs, though blocks come. */
  | 'no-anchors'
  /** The last proposal of this node was not signed by a quorum, or not taken by the chain. */
  | 'no-quorum'
  | 'send-failed'
  /** The chain cannot be read, is read far behind its tip, or does not show what members accepted. */
  | 'chain-stopped'
  | 'chain-lags'
  | 'chain-lacks'
  /** Anchors of a roster that is not known here. */
  | 'unknown-roster'
  /** Anchors are missing between those that are known. */
  | 'gap';

export interface AnchorStatus {
  /** First height of the epoch of the newest anchor that counts; undefined before the first. */
  readonly anchored: number | undefined;
  readonly epoch: number | undefined;
  readonly seq: number | undefined;
  /** Up to where anchors were read. */
  readonly cursor: number;
  /** Operations held that no anchor names yet. */
  readonly pending: number;
  /** Tags whose operations are looked for. */
  readonly wanted: number;
  /** Nothing of it keeps a node from serving. */
  readonly reasons: readonly AnchorReason[];
}

export interface Anchors extends Part {
  /** The answer to a member's request. Never throws for what the request says. */
  handle(peer: RosterEntry, payload: Uint8Array): Promise<Uint8Array>;
  status(): AnchorStatus;
  /** Tags, 16 bytes each, of operations that anchors name and this node does not hold. */
  wantedTags(): readonly Uint8Array[];
  /** Something has changed that may give it work: the height, say. */
  wake(): void;
}

/** Nothing is read, asked or sent before `start`. */
export function createAnchors(deps: AnchorDeps): Anchors {
  const { clock } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  const ledger = createAnchorLedger(deps);
  const ask = createAsk(deps, signal);
  const crawler = createAnchorCrawler({ ...deps, ledger });
  const seeker = createAnchorSeeker({
    ...deps,
    ledger,
    ask,
    onAnchor: (anchor, verdict) => crawler.heard(anchor, verdict),
  });
  const proposer = createAnchorProposer({ ...deps, ledger, ask, differs });
  const signer = createAnchorSigner({ ...deps, ledger, ask, differs });
  /** Members to compare with, because something differed. */
  const otherKeys = new Set<NodeId>();
  const otherHeads = new Set<NodeId>();
  const noticed: OperationRef[] = [];
  const subscriptions: (() => void)[] = [];
  let exchangedEpoch = -1;
  let startEpoch = 0;
  let keyAtMs = 0;
  let chainFailed = false;
  let wake: (() => void) | undefined;
  let starting: Promise<void> | undefined;
  let running: Promise<unknown> | undefined;

  const wakeUp = () => wake?.();

  function differs(from: NodeId, what: 'log-key' | 'head'): void {
    (what === 'log-key' ? otherKeys : otherHeads).add(from);
    wakeUp();
  }

  const randomPeer = (): NodeId | undefined => {
    const listed = new Set(deps.rosters.now().members.map(({ nodeId }) => nodeId));
    const peers = deps.peers.list().filter(({ nodeId }) => listed.has(nodeId));
    return peers[deps.random.bytes(1)[0]! % Math.max(1, peers.length)]?.nodeId;
  };

  /** With one member an epoch, and with whoever was found to know something else. */
  async function exchange(): Promise<void> {
    for (const nodeId of [...otherHeads]) {
      otherHeads.delete(nodeId);
      await seeker.exchange(nodeId);
    }
    const epoch = epochOf(deps.height());
    if (exchangedEpoch === epoch) return;
    const nodeId = randomPeer();
    if (nodeId) {
      if (await seeker.exchange(nodeId)) exchangedEpoch = epoch;
    } else if (!deps.chain && deps.rosters.now().members.length === 1) {
      await ledger.moveTo(deps.height());
      exchangedEpoch = epoch;
    }
  }

  async function round(): Promise<void> {
    if (!ledger.keyring.lineage) {
      if (clock.monotonic() < keyAtMs) return;
      keyAtMs = clock.monotonic() + RETRY_MS_MIN;
      if (!(await seeker.ensureKey())) return;
      startEpoch = epochOf(deps.height());
    }
    for (const nodeId of [...otherKeys]) {
      otherKeys.delete(nodeId);
      await seeker.compareKey(nodeId);
    }
    await crawler.retryAside();
    await exchange();
    await seeker.fillGaps();
    await seeker.noticed(noticed.splice(0));
    await proposer.propose({ signal });
    await seeker.seekWanted();
  }

  function pause(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel();
        wake = undefined;
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = clock.schedule(TICK_MS, done);
      wake = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }

  async function work(): Promise<void> {
    while (!signal.aborted) {
      try {
        await round();
      } catch (error) {
        if (!signal.aborted) deps.report?.({ kind: 'failed', error });
      }
      if (!signal.aborted) await pause();
    }
  }

  /** Without a log key nothing of an anchor can be read: blocks wait for it. */
  async function keyed(): Promise<void> {
    while (!ledger.keyring.lineage) await sleep(clock, TICK_MS, { signal });
  }

  async function crawl(): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      try {
        await keyed();
        for await (const block of deps.chain!.blocks(ledger.cursor + 1, { signal })) {
          [failures, chainFailed] = [0, false];
          await crawler.read(block);
          wakeUp();
        }
        chainFailed = true;
      } catch (error) {
        if (signal.aborted) return;
        chainFailed = true;
        deps.report?.({ kind: 'failed', error });
      }
      const pauseMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(failures++, 8));
      await sleep(clock, pauseMs, { signal }).catch(() => undefined);
    }
  }

  function onTaken(refs: readonly OperationRef[]): void {
    ledger.taken(refs);
    if (ledger.wanted.size > 0) noticed.push(...refs.slice(0, NOTICED_MAX - noticed.length));
  }

  async function begin(parent: AbortSignal | undefined): Promise<void> {
    subscriptions.push(deps.replica.onTaken(onTaken), deps.peers.onChange(wakeUp));
    await ledger.load();
    throwIfAborted(parent);
    throwIfAborted(signal);
    startEpoch = epochOf(deps.height());
    running = Promise.all([work(), deps.chain ? crawl() : undefined]);
  }

  function reasons(): AnchorReason[] {
    const height = deps.height();
    const found: AnchorReason[] = [];
    if (!ledger.keyring.lineage) found.push('no-log-key');
    const since = Math.max(ledger.head()?.epoch ?? 0, startEpoch);
    if (epochOf(height) - since > SILENT_EPOCHS) found.push('no-anchors');
    if (proposer.trouble) found.push(proposer.trouble);
    if (chainFailed) found.push('chain-stopped');
    if (deps.chain && ledger.keyring.lineage && height - ledger.cursor > LAG_BLOCKS) found.push('chain-lags');
    if (crawler.lacking > 0) found.push('chain-lacks');
    if (crawler.aside > 0) found.push('unknown-roster');
    if (ledger.line.missing(ledger.base)) found.push('gap');
    return found;
  }

  return {
    name: 'anchors',
    wake: wakeUp,
    start({ signal: parent } = {}) {
      starting ??= begin(parent);
      return starting;
    },
    async stop() {
      stopping.abort(new KithError('stopped', 'anchors have stopped'));
      for (const end of subscriptions.splice(0)) end();
      await starting?.catch(() => undefined);
      await running;
      if (ledger.keyring.lineage) await ledger.moveTo(ledger.cursor, { now: true });
      ledger.wipe();
    },
    async handle(peer, payload) {
      let answer: AnchorAnswer;
      try {
        const request = decodeRequest(payload);
        answer = running
          ? await answerRequest({ ...deps, ledger, signer }, peer.nodeId, request)
          : { kind: 'refused', reason: 'not-started' };
      } catch (error) {
        if (!isKithError(error)) throw error;
        answer = { kind: 'refused', reason: 'malformed' };
      }
      return encodeAnswer(answer);
    },
    status() {
      const head = ledger.head();
      return {
        anchored: head && head.epoch * EPOCH_BLOCKS,
        epoch: head?.epoch,
        seq: head?.seq,
        cursor: ledger.cursor,
        pending: ledger.pending.size,
        wanted: ledger.wanted.size,
        reasons: reasons(),
      };
    },
    wantedTags: () => [...ledger.wanted.all()].flatMap(({ tags }) => [...tags.values()]),
  };
}
