// Sync: brings operations from member to member. Pushes the own log, compares frontiers, pulls what is missing, takes
// and gives snapshots, audits. Everything goes over the ports Replica and SyncPeers; nothing is kept on disk here.

import { abortError } from '../../core/deadline.ts';
import { KithError } from '../../core/errors.ts';
import type { ClusterId, NodeId, RegId } from '../../core/ids.ts';
import type { Part } from '../../core/life-cycle.ts';
import type { Clock, Random } from '../../core/ports.ts';
import { type BatchReceipt, checkBatchReceipt } from '../../core/receipt.ts';
import type { RosterEntry } from '../../core/roster.ts';
import { type OperationRef, type Writer, type WriterId, writerIdOf } from '../log-entry.ts';
import type { LogPosition, Replica, SyncPeers } from '../replica.ts';
import { type AuditOutcome, createAudit, type Divergence } from './audit.ts';
import { type Coverage, createCatchUp } from './catch-up.ts';
import { createExchange } from './exchange.ts';
import { createAnnouncedFrontiers, NO_FRONTIER } from './frontier.ts';
import { CERTIFY_PER_MESSAGE, RETRY_MS_MIN, SNAPSHOTS_MAX } from './limits.ts';
import { createLogs } from './logs.ts';
import { ask, createBackoff, createScope, lied, shuffled } from './loop.ts';
import {
  checkSnapshotRequest,
  decodeSyncRequest,
  encodeSyncAnswer,
  NO_REQUESTS,
  type SyncRequest,
} from './messages.ts';
import { createPull } from './pull.ts';
import { createPush } from './push.ts';
import { createResponder } from './responder.ts';
import { snapshotOf, takeSnapshot } from './snapshot.ts';
import { createTaker } from './taker.ts';
import { createWanted } from './wanted.ts';
import { refToWire, type SyncHead } from './wire.ts';

export interface SyncDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly replica: Replica;
  /** Requests and bulk requests carry this module's messages as they are; an envelope is the caller's. */
  readonly peers: SyncPeers;
  /** Members as they stand, this node included. */
  readonly roster: () => readonly RosterEntry[];
  /** The lower of own and cluster height: logs that ended below it are of no use to anybody. */
  readonly height: () => number;
  readonly heads: {
    /** Of this node's own store. */
    own(): SyncHead | undefined;
    /** The newest that is remembered of a member. */
    of(nodeId: NodeId): SyncHead | undefined;
    /** A member said this of itself. */
    note(nodeId: NodeId, head: SyncHead): void;
  };
  /** Verified: the member's receipt for exactly these operations, in the order of its batch. */
  readonly onReceipts?: (nodeId: NodeId, refs: readonly OperationRef[], receipt: BatchReceipt) => void;
  /** An alarm: members that should agree do not, or records do not say what memory says. */
  readonly onDivergence?: (divergence: Divergence) => void;
  readonly report?: (event: SyncReport) => void;
}

export interface SyncOptions {
  readonly clusterId: ClusterId;
  /** The log of this boot. */
  readonly writer: Writer;
  /** false: neither pulls nor takes snapshots. For tests that must show that something else brings an operation. */
  readonly pull?: boolean;
}

export type SyncReport =
  /** A member failed, lied or was silent; it is passed over for a while. */
  | { readonly kind: 'peer-failed'; readonly nodeId: NodeId | undefined; readonly error: unknown }
  | { readonly kind: 'snapshot'; readonly nodeId: NodeId; readonly outcome: 'whole' | 'early'; readonly taken: number }
  /** A log has two entries at one place; the replica keeps the evidence. */
  | { readonly kind: 'forked'; readonly writer: WriterId }
  /** A loop ended by an error that none should; it goes on. */
  | { readonly kind: 'failed'; readonly error: unknown };

export interface SyncStatus {
  /** Entries that connected members announced and this node lacks. */
  readonly entriesMissing: number;
  readonly logs: number;
  readonly forkedLogs: number;
  /** Encoded entries of the own log in memory, in bytes. */
  readonly pushBytesHeld: number;
  /** Operations that came in entries of other members, pushed or pulled, since the start; again if they came again. */
  readonly operationsArrived: number;
  /** Requests of members that were answered, by kind. */
  readonly answered: Readonly<Record<SyncRequest['kind'], number>>;
  /** Snapshots that were begun for members. */
  readonly snapshotsGiven: number;
}

export interface Sync extends Part {
  /** The answer to a request of a member. @throws KithError for what no honest member sends. */
  handle(nodeId: NodeId, body: Uint8Array, options: { signal: AbortSignal }): Promise<Uint8Array>;
  /** The items of a snapshot. @throws KithError for a malformed request, `snapshots-busy`. */
  handleSnapshot(nodeId: NodeId, body: Uint8Array, options: { signal: AbortSignal }): AsyncIterable<Uint8Array>;
  /** How far a member said it is; undefined if it never did. */
  announced(nodeId: NodeId): readonly LogPosition[] | undefined;
  /** Members that said they hold this log up to `seq` or further. This node is not among them. */
  holdersOf(writer: WriterId, seq: number): NodeId[];
  /** Calls back when what a member announced changed. Returns what ends that. */
  onFrontier(listener: (nodeId: NodeId) => void): () => void;
  /** Why this node has not caught up with what the members announced at its start; empty once it has. */
  missing(): string[];
  /** Whose frontiers of the start are covered: ends a rollback. */
  coverage(): Coverage;
  /** Audits now, with a member or a random one. @throws what asking throws. */
  audit(options: { nodeId?: NodeId; signal: AbortSignal }): Promise<AuditOutcome>;
  /**
   * Asks a member again for receipts over operations; `onReceipts` is told.
   * @returns those it holds and has signed for; none while it may give no receipts.
   */
  certify(nodeId: NodeId, refs: readonly OperationRef[], options: { signal: AbortSignal }): Promise<OperationRef[]>;
  /** Looks for a registration that is not known here at these members first; false if too many are looked for. */
  want(regId: RegId, holders: readonly NodeId[]): boolean;
  /** What members remember of this node, of those that answer, in no order; without a head if it is nothing. */
  askHeads(options: {
    signal: AbortSignal;
  }): Promise<{ readonly nodeId: NodeId; readonly head: SyncHead | undefined }[]>;
  status(): SyncStatus;
}

/** Nothing is sent before `start`. */
export function createSync(deps: SyncDeps, options: SyncOptions): Sync {
  const { clock, random, replica, peers } = deps;
  const { clusterId, writer } = options;
  const writerId = writerIdOf(writer);
  const stopping = new AbortController();
  const scope = createScope(stopping.signal);
  let running: Promise<unknown> | undefined;
  let snapshots = 0;
  let snapshotsGiven = 0;
  const answered = { ...NO_REQUESTS };
  /** Operations taken in entries. */
  let arrived = 0;

  const failed = (nodeId: NodeId | undefined, error: unknown) => deps.report?.({ kind: 'peer-failed', nodeId, error });
  const connected = (nodeId: NodeId) => peers.list().some((peer) => peer.nodeId === nodeId);
  const announced = createAnnouncedFrontiers({ connected });
  const logs = createLogs({ replica, announced, writerId, height: deps.height });
  const backoff = createBackoff({ clock, random });
  const wanted = createWanted({ clock, random, replica, peers, failed });
  const taker = createTaker({
    replica,
    onTaken(item) {
      arrived += item.entry.operations.length;
      wanted.note(item);
    },
    onFork(entry) {
      const forked = logs.forked(entry);
      if (forked) deps.report?.({ kind: 'forked', writer: forked });
    },
  });
  const exchange = createExchange({ clock, random, peers, announced, own: logs.own, writer: writerId, failed });
  const catchUp = createCatchUp({ ...deps, announced, logs, backoff, nodeId: writer.nodeId });
  const push = createPush({
    ...{ clock, random, replica, peers, announced, clusterId, writer, writerId, failed },
    onReceipts: (nodeId, refs, receipt) => deps.onReceipts?.(nodeId, refs, receipt),
    noteHead: (nodeId, head) => deps.heads.note(nodeId, head),
    ownHead: () => deps.heads.own(),
  });
  const pull = createPull({ clock, random, replica, peers, announced, logs, taker, backoff, snapshot, failed });
  const audit = createAudit({
    ...{ clock, random, replica, peers, announced, logs, exchange, failed },
    onDivergence: (divergence) => deps.onDivergence?.(divergence),
  });
  const responder = createResponder({ clock, replica, logs, taker, exchange, heads: deps.heads });

  /** Takes a snapshot if that is the way to catch up, from one member after another until one is whole. */
  async function snapshot(signal: AbortSignal): Promise<void> {
    for (const peer of shuffled(random, catchUp.snapshotSources())) {
      const { nodeId } = peer;
      try {
        const promised = announced.of(nodeId) ?? NO_FRONTIER;
        const { kind, taken } = await takeSnapshot({ clock, replica, arrived: () => arrived }, peer, { signal });
        deps.report?.({ kind: 'snapshot', nodeId, outcome: kind, taken });
        wanted.ring();
        if (kind === 'whole' && logs.missingOf(promised).length > 0) throw lied('a snapshot of less than it announced');
        if (kind === 'whole') return backoff.worked(nodeId);
        // What is for later is so at every member.
        return backoff.failed(nodeId);
      } catch (error) {
        if (signal.aborted) throw abortError(signal);
        backoff.failed(nodeId, error);
        failed(nodeId, error);
      }
    }
  }

  /** A loop that an unexpected error does not end. */
  async function keep(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await scope.run(run);
      } catch (error) {
        if (stopping.signal.aborted) return;
        deps.report?.({ kind: 'failed', error });
        await new Promise<void>((resolve) => clock.schedule(RETRY_MS_MIN, resolve));
      }
    }
  }

  function begin(): void {
    catchUp.start();
    const loops = [exchange.run, push.run, wanted.run, audit.run];
    if (options.pull !== false) loops.push(pull.run);
    running = Promise.all(loops.map(keep));
  }

  return {
    name: 'sync',
    async start() {
      if (!running && !stopping.signal.aborted) begin();
    },
    async stop() {
      stopping.abort(new KithError('stopped', 'sync has stopped'));
      await running;
    },
    async handle(nodeId, body, { signal }) {
      const request = decodeSyncRequest(body);
      const answer = encodeSyncAnswer(await responder.answer(nodeId, request, { signal }));
      answered[request.kind] += 1;
      return answer;
    },
    async *handleSnapshot(_nodeId, body, { signal }) {
      checkSnapshotRequest(body);
      if (snapshots >= SNAPSHOTS_MAX) throw new KithError('snapshots-busy', `${snapshots} snapshots are being made`);
      snapshots += 1;
      snapshotsGiven += 1;
      try {
        yield* snapshotOf(replica, { signal });
      } finally {
        snapshots -= 1;
      }
    },
    announced(nodeId) {
      const frontier = announced.of(nodeId);
      return frontier && [...frontier.values()];
    },
    holdersOf: (id, seq) => announced.holdersOf(id, seq),
    onFrontier: (listener) => announced.onChange(listener),
    missing: () => catchUp.missing(),
    coverage: () => catchUp.coverage(),
    audit: (wish) => audit.once(wish),
    async certify(nodeId, refs, { signal }) {
      const peer = peers.list().find((candidate) => candidate.nodeId === nodeId);
      const certified: OperationRef[] = [];
      for (let at = 0; peer && at < refs.length; at += CERTIFY_PER_MESSAGE) {
        const asked = refs.slice(at, at + CERTIFY_PER_MESSAGE);
        const request = { kind: 'certify' as const, operations: asked.map(refToWire) };
        const { held, receipt } = await ask(peer, request, ['certified'], { signal });
        if (held.length !== asked.length) throw lied('a word for other operations than asked for');
        const covered = asked.filter((_, i) => held[i] === 1);
        if (!receipt || covered.length === 0) continue;
        const opIds = covered.map(({ opId }) => opId);
        if (!checkBatchReceipt(receipt, { clusterId, nodeId, opIds })) throw lied('a wrong receipt');
        deps.onReceipts?.(nodeId, covered, receipt);
        certified.push(...covered);
      }
      return certified;
    },
    want: wanted.want,
    async askHeads({ signal }) {
      using asking = createScope(signal);
      const answers = peers.list().map(async (peer) => {
        try {
          const { head } = await asking.run((child) => ask(peer, { kind: 'head' }, ['head'], { signal: child }));
          return [{ nodeId: peer.nodeId, head }];
        } catch (error) {
          failed(peer.nodeId, error);
          return [];
        }
      });
      return (await Promise.all(answers)).flat();
    },
    status() {
      const missing = new Map<WriterId, number>();
      for (const { nodeId } of peers.list()) {
        for (const { writer: id, position, held } of logs.missingFrom(nodeId)) {
          missing.set(id, Math.max(missing.get(id) ?? 0, position.seq - held));
        }
      }
      return {
        entriesMissing: [...missing.values()].reduce((sum, count) => sum + count, 0),
        logs: replica.positions().length,
        forkedLogs: logs.forks,
        pushBytesHeld: push.bytesHeld,
        operationsArrived: arrived,
        answered: { ...answered },
        snapshotsGiven,
      };
    },
  };
}
