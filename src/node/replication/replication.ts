// Replication as one node runs it: sync, anchors and heights over the mesh, the write path over all of them. A node
// whose key is injected has no company: it confirms alone, and nothing is sent.

import type { Cluster } from '../../attestation/index.ts';
import { deadline } from '../../core/deadline.ts';
import type { HpkeKeyPair } from '../../core/hpke.ts';
import type { NodeId, RegId } from '../../core/ids.ts';
import type { Part } from '../../core/life-cycle.ts';
import type { Clock, Random } from '../../core/ports.ts';
import type { RosterEntry } from '../../core/roster.ts';
import type { ChainClient } from '../../indexer/index.ts';
import {
  type AnchorStatus,
  type Anchors,
  type ClusterHeight,
  createAnchors,
  createClusterHeight,
  createRecentBlocks,
  createSync,
  type OperationRef,
  type Sync,
} from '../../replication/index.ts';
import type { Company } from '../company.ts';
import type { OwnCondition } from '../condition.ts';
import type { Launched } from '../launched.ts';
import type { Log } from '../log.ts';
import type { NodeReplica } from '../replica/replica.ts';
import type { Running } from '../running.ts';
import { createReplicationCounter, NO_REPLICATION, type ReplicationStats } from '../telemetry/index.ts';
import { createWritePath, type WritePath } from '../write-path.ts';
import { anchorChain, anchorStore } from './anchoring.ts';
import { createCatchingUp } from './catching-up.ts';
import { replicationPeers, serveReplication } from './link.ts';
import { countedReceipts } from './receipts.ts';
import { ANCHOR_REASONS, createReports } from './reports.ts';

export interface ReplicationDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly cluster: Cluster;
  readonly company: Company | undefined;
  readonly condition: OwnCondition;
  readonly launched: Launched;
  readonly running: Running;
  readonly hpkeKeyPair: HpkeKeyPair;
  readonly roster: () => readonly RosterEntry[];
  /** Endpoints of the chain that take transactions, in order of preference. */
  readonly chainClients: readonly Pick<ChainClient, 'send'>[];
}

export interface ReplicationOptions {
  /** As of sync: false only for tests that must show that something else brings an operation. */
  readonly pull?: boolean | undefined;
}

export interface Replication extends Part {
  readonly writePath: WritePath;
  /** Undefined without company. */
  readonly sync: Sync | undefined;
  readonly clusterHeight: ClusterHeight | undefined;
  /** What keeps this node from serving; looks again at whether it was rolled back and has caught up. */
  missing(): string[];
  /** Whether this node's word about what it holds counts: not before it knows that its disk is not an old one. */
  mayConfirm(): boolean;
  /** What operators should know although it serves. */
  notes(): string[];
  anchors(): AnchorStatus | undefined;
  /** For metrics and console. */
  stats(): ReplicationStats;
}

/** How long a question for receipts that decides what a state is may take. */
const CERTIFY_MS = 2_000;
/** Blocks read again at a start, so that this node can state the hashes of the last of them. */
const RECENT_BLOCKS = 128;

export function createReplication(deps: ReplicationDeps, options: ReplicationOptions = {}): Replication {
  const { company } = deps;
  return company ? inCompany(deps, company, options) : alone(deps);
}

function alone(deps: ReplicationDeps): Replication {
  const { nodeId } = deps.launched.identity;
  const { replica, registrations } = deps.running;
  const counter = createReplicationCounter();
  const writePath = createWritePath({
    ...deps,
    nodeId,
    registrations,
    receipt: countedReceipts(replica.receipt, counter),
    holding: async () => [nodeId],
    want: () => false,
    onAnswered: counter.answered,
  });
  return {
    name: 'replication',
    start: async () => undefined,
    stop: async () => writePath.confirmations.end(),
    writePath,
    sync: undefined,
    clusterHeight: undefined,
    missing: () => [],
    mayConfirm: () => true,
    notes: () => [],
    anchors: () => undefined,
    stats: () => ({ ...NO_REPLICATION, confirming: writePath.confirmations.tracked, counts: counter.read() }),
  };
}

function inCompany(deps: ReplicationDeps, company: Company, { pull = true }: ReplicationOptions): Replication {
  const { clock, random, log, cluster, running, launched, condition, roster } = deps;
  const { registrations, indexer, notes } = running;
  const counter = createReplicationCounter();
  const reports = createReports({ clock, log, counter });
  // The replica itself, not a copy: what it says of itself is of the moment.
  const counted = { value: countedReceipts(running.replica.receipt, counter) };
  const replica: NodeReplica = Object.create(running.replica, { receipt: counted });
  const { identity, incarnation } = launched;
  const { nodeId } = identity;
  const { mesh, bootKey } = company.peering;
  const membership = company.membership()!;
  const stopping = new AbortController();
  const { signal } = stopping;
  const clusterId = cluster.id;
  const recent = createRecentBlocks();
  const { sign } = running;

  const clusterHeight = createClusterHeight({
    clock,
    clusterId,
    self: { nodeId, incarnation },
    sign,
    roster,
    peers: replicationPeers(mesh),
    own: () => notes.checkpoint && { height: notes.checkpoint.cursor, blocks: recent.blocks },
    report: reports.heights,
  });
  const sync = createSync(
    {
      clock,
      random,
      replica,
      peers: replicationPeers(mesh, 'sync'),
      roster,
      height: () => Math.min(running.tip(), clusterHeight.settledHeight()),
      // A head of this boot takes the place of what members remember of the one before: they are asked first.
      heads: {
        own: () => (catchingUp.mayConfirm() ? replica.head() : undefined),
        of: replica.headOf,
        note: replica.noteHead,
      },
      onReceipts(from, refs, receipt) {
        counter.receipts('received', refs.length);
        writePath.confirmations.noteReceipts(from, refs, receipt);
      },
      onDivergence: reports.divergence,
      report: reports.sync,
    },
    { clusterId, writer: { nodeId, incarnation, bootKey }, pull },
  );
  const anchors: Anchors = createAnchors({
    clock,
    random,
    clusterId,
    nodeId,
    store: anchorStore(launched.store),
    replica,
    peers: replicationPeers(mesh, 'anchors'),
    rosters: membership.rosters,
    chain: anchorChain(indexer, deps.chainClients),
    height: running.tip,
    sign,
    mayAttest: () => catchingUp.mayConfirm(),
    report: reports.anchors,
  });

  /** Whoever announced a log up to the entry that brought it, or has signed for it, holds what is in force. */
  async function holding(regId: RegId): Promise<NodeId[]> {
    const inForce = await replica.inForce(regId);
    const holders = await Promise.all(
      inForce.map(({ opId, origin }) =>
        origin ? sync.holdersOf(origin.writer, origin.seq) : certifiedBy({ opId, regId }),
      ),
    );
    const [first = [], ...others] = holders;
    return [nodeId, ...first.filter((holder) => others.every((list) => list.includes(holder)))];
  }

  /** For what came without its entry, by a snapshot or an audit. */
  async function certifiedBy(ref: OperationRef): Promise<NodeId[]> {
    using limit = deadline(clock, CERTIFY_MS, signal);
    const asked = company.peering.proven().map(async (peer) => {
      const certified = await sync.certify(peer.nodeId, [ref], { signal: limit.signal });
      return certified.length > 0 ? [peer.nodeId] : [];
    });
    return (await Promise.allSettled(asked)).flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
  }

  const writePath = createWritePath({
    ...deps,
    nodeId,
    registrations,
    receipt: replica.receipt,
    holding,
    ask(refs) {
      for (const peer of company.peering.proven()) {
        sync.certify(peer.nodeId, refs, { signal }).catch((error: unknown) => {
          if (!signal.aborted) reports.sync({ kind: 'peer-failed', nodeId: peer.nodeId, error });
        });
      }
    },
    want: (ref, holders) => sync.want(ref.regId, holders),
    onAnswered: counter.answered,
  });
  const catchingUp = createCatchingUp({
    clock,
    log,
    condition,
    nodeId,
    roster,
    sync,
    head: launched.store.head,
    incarnation,
  });
  const ends: (() => void)[] = [];
  let following: Promise<void> | undefined;

  /** Blocks as they are indexed, for the heights that are told. */
  async function follow(): Promise<void> {
    await notes.reached(0, { signal });
    const from = Math.max(notes.checkpoint!.start, notes.checkpoint!.cursor - RECENT_BLOCKS);
    for await (const { height, hash } of indexer.blocks(from, { signal })) {
      recent.note(height, hash);
      clusterHeight.ownChanged();
      anchors.wake();
    }
  }

  serveReplication(mesh, () => ({
    parts: {
      sync: (peer, body, call) => sync.handle(peer.nodeId, body, call),
      anchors: ({ nodeId: from, platform, operator }, body) =>
        anchors.handle({ nodeId: from, platform, operator }, body),
      heights: async (peer, body) => clusterHeight.handle(peer.nodeId, body),
    },
    snapshot: (request, peer, call) => sync.handleSnapshot(peer.nodeId, request, call),
  }));

  return {
    name: 'replication',
    async start(options) {
      ends.push(membership.onChange(writePath.confirmations.rosterChanged));
      clusterHeight.start();
      await sync.start(options);
      await anchors.start(options);
      catchingUp.start();
      following ??= follow().catch((error: unknown) => {
        // The indexer says itself why it has stopped.
        if (!signal.aborted) log.warn('heights-end', { reason: String(error) });
      });
    },
    async stop() {
      stopping.abort();
      for (const end of ends.splice(0)) end();
      writePath.confirmations.end();
      catchingUp.stop();
      clusterHeight.stop();
      await anchors.stop();
      await sync.stop();
      await following;
    },
    writePath,
    sync,
    clusterHeight,
    missing: catchingUp.missing,
    mayConfirm: catchingUp.mayConfirm,
    notes() {
      const { disputed } = clusterHeight.report();
      return [
        ...anchors.status().reasons.map((reason) => `anchors: ${ANCHOR_REASONS[reason]}`),
        ...(disputed === undefined ? [] : [`heights: a member has another block at height ${disputed}`]),
      ];
    },
    anchors: () => anchors.status(),
    stats() {
      const { operators, disputed } = clusterHeight.report();
      return {
        sync: sync.status(),
        confirming: writePath.confirmations.tracked,
        anchors: anchors.status(),
        heights: {
          settled: clusterHeight.settledHeight(),
          operators,
          disagreement: clusterHeight.disagreement() !== undefined,
          disputed: disputed !== undefined,
        },
        counts: counter.read(),
      };
    },
  };
}
