// A node among others: the mesh, who this node is in it, the shares it keeps for others, and what it hears about newer
// boots of itself.

import type { Attestor, CollateralKeeper, Quoter } from '../attestation/index.ts';
import { NO_COLLATERAL_SEEN, verificationTime } from '../attestation/index.ts';
import { fromBase64Url } from '../core/bytes.ts';
import type { HpkeKeyPair } from '../core/hpke.ts';
import { type NodeId, nodeIdFromBytes } from '../core/ids.ts';
import type { Clock, Random } from '../core/ports.ts';
import { type Custodian, type CustodyPeer, createCustodian, createIncarnations } from '../keyserver/index.ts';
import { type AttestedPeer, createMesh, type Mesh, type Refusal, type Transport } from '../p2p/index.ts';
import { createBoundedLog } from './bounded-log.ts';
import type { ClusterInForce } from './cluster-in-force.ts';
import { custodyPeer, type LinkDeps, serveCustody } from './custody/link.ts';
import { headerReader } from './custody/read-header.ts';
import type { Log } from './log.ts';
import { logMeshReport } from './mesh-log.ts';
import { isProven, NO_INCARNATION } from './proven.ts';
import type { Phase } from './service.ts';
import {
  type CustodyCounts,
  createCustodyCounter,
  createMeshCounter,
  custodyOutcome,
  type MeshCounts,
} from './telemetry/index.ts';

/** Refusals after which this boot is not to go on: another is newer, or claims the same number. */
const ENDING: readonly string[] = ['fenced', 'contested'];
/** Nodes known to ask for their keys: some times a large cluster, so that made-up ones take long to push these out. */
const RESTARTED_MAX = 256;

export interface PeeringDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly inForce: ClusterInForce;
  readonly attestor: Attestor;
  readonly quoter: Pick<Quoter, 'quote'>;
  readonly collateral: Pick<CollateralKeeper, 'get' | 'newest'>;
  readonly transport: Transport;
  readonly hpkeKeyPair: HpkeKeyPair;
  readonly phase: () => Phase;
  /** Newest height known, undefined before the first. */
  readonly height: () => number | undefined;
  /** Another boot of this node is newer: everything has to end. */
  readonly onFenced: (why: string) => void;
}

export interface Self {
  readonly nodeId: NodeId;
  /** 0 while the store is not open: then `nodeId` is a name of this boot. */
  readonly incarnation: number;
}

export interface Peering {
  readonly mesh: Mesh;
  readonly custodian: Custodian;
  readonly bootKey: Uint8Array;
  readonly hpkePublicKey: Uint8Array;
  readonly self: Self;
  /** From now on this node is known by its own id: everybody is met again under it. */
  become(self: Self): void;
  /** Members that have shown who they are. */
  proven(): AttestedPeer[];
  custodyOf(nodeId: NodeId): CustodyPeer | undefined;
  counts(): { readonly mesh: MeshCounts; readonly custody: CustodyCounts };
  /** Whether a boot of this node was met that asked for its key: no earlier one has anything in memory any more. */
  hasRestarted(nodeId: NodeId): boolean;
}

/** @param options.bootstrap multiaddrs without peer ids. */
export function createPeering(deps: PeeringDeps, options: { readonly bootstrap: readonly string[] }): Peering {
  const { clock, random, log, inForce, transport, hpkeKeyPair, attestor, quoter, collateral } = deps;
  const incarnations = createIncarnations();
  const bounded = createBoundedLog({ clock, log });
  const meshCounter = createMeshCounter();
  const custodyCounter = createCustodyCounter();
  const restarted = new Set<NodeId>();
  let own: Self = { nodeId: nodeIdFromBytes(random.bytes(32)), incarnation: NO_INCARNATION };

  const mesh = createMesh(
    {
      clock,
      random,
      transport,
      attestor,
      quoter,
      collateral,
      cluster: inForce.now,
      adopt: inForce.adopt,
      identity: () => ({ ...own, phase: deps.phase(), hpkeKeyPair }),
      chain() {
        const height = deps.height();
        // Rows carry no block times: what counts is the local clock.
        return height === undefined ? undefined : { height, timeMs: 0 };
      },
      admit,
      status: () => ({ phase: deps.phase(), height: deps.height() }),
      report(event) {
        meshCounter.report(event);
        logMeshReport(bounded, event);
        if (event.kind === 'not-attested' && event.by === 'peer') {
          // Anybody can say so at the door: it counts for a node that has an incarnation to be fenced, while no member is
          // connected who could say otherwise.
          const hinted = ENDING.includes(event.reason.code) && isProven(own);
          if (hinted && proven().length === 0) deps.onFenced(event.reason.message);
        }
      },
    },
    { bootstrap: options.bootstrap },
  );

  function proven(): AttestedPeer[] {
    return mesh
      .peers()
      .map(({ attested }) => attested)
      .filter(isProven);
  }

  /** The code of other members is attested too: an incarnation in a handshake is one whose store is open. */
  function admit(peer: AttestedPeer): Refusal | undefined {
    const { nodeId, incarnation, bootKey } = peer;
    if (!isProven(peer)) return undefined;
    if (nodeId === own.nodeId) {
      const message = `this node is incarnation ${own.incarnation}`;
      if (incarnation > own.incarnation) deps.onFenced(`incarnation ${incarnation} of this node is running`);
      return { code: 'fenced', message };
    }
    const standing = incarnations.record({ nodeId, incarnation, bootKey });
    // It has its key, and what it was entrusted with since.
    if (standing === 'newer' || standing === 'current') restarted.delete(nodeId);
    switch (standing) {
      case 'newer':
      case 'current':
        return undefined;
      case 'fenced':
        return { code: 'fenced', message: `incarnation ${incarnations.last(nodeId)} of this node was seen` };
      case 'contested':
        // The other of the two may be connected: it is asked again, when this answer is out, and refused as well.
        if (mesh.peer(nodeId)) void Promise.resolve().then(() => mesh.reexamine());
        return { code: 'contested', message: `two boots claim to be incarnation ${incarnation} of this node` };
      case 'full':
        return { code: 'too-many', message: 'too many nodes are known' };
    }
  }

  const link: LinkDeps = {
    clock,
    random,
    attestor,
    quoter,
    collateral,
    cluster: inForce.now,
    context: () => ({
      nowSeconds: verificationTime(clock.now(), undefined),
      height: deps.height(),
      newestCollateral: collateral.newest() ?? NO_COLLATERAL_SEEN,
    }),
    ownBootKey: transport.bootKey,
    ownHpkeKey: hpkeKeyPair.publicKey,
    report(event) {
      custodyCounter.report(event);
      const { side, kind, peer, outcome, detail } = event;
      if (outcome === 'ok') return;
      const by = side === 'answered' ? 'us' : 'peer';
      const fields = { peer, by, kind, reason: outcome, detail };
      bounded.write('info', 'custody-refused', `${by} ${kind} ${custodyOutcome(outcome)}`, fields);
    },
  };

  const peering: Peering = {
    mesh,
    bootKey: transport.bootKey,
    hpkePublicKey: hpkeKeyPair.publicKey,
    get self() {
      return own;
    },
    custodian: createCustodian({
      get self() {
        return own.nodeId;
      },
      readHeader: headerReader(inForce.cluster.id),
      incarnations,
      migration: {
        // A platform that no operator is listed for is an operator of its own, and moves nowhere.
        movesFreely: () => true,
        operatorKey(operator) {
          const listed = inForce.cluster.configuration.operators.find(({ name }) => name === operator);
          return listed && fromBase64Url(listed.publicKey);
        },
        height: deps.height,
      },
    }),
    become(next) {
      own = next;
      log.info('identity', { nodeId: next.nodeId, incarnation: next.incarnation });
      mesh.meetAgain();
    },
    proven,
    counts: () => ({ mesh: meshCounter.read(), custody: custodyCounter.read() }),
    hasRestarted: (nodeId) => restarted.has(nodeId),
    custodyOf(nodeId) {
      const peer = mesh.peer(nodeId);
      return peer && custodyPeer(link, peer);
    },
  };
  inForce.onChange(() => mesh.reexamine());
  serveCustody(mesh, link, peering.custodian, (nodeId) => {
    restarted.delete(nodeId);
    restarted.add(nodeId);
    const [oldest] = restarted;
    if (restarted.size > RESTARTED_MAX && oldest) restarted.delete(oldest);
  });
  return peering;
}
