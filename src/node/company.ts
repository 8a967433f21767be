// The others, from the side of one node: the mesh it meets them in, the roster it is on, and the sealing key they keep
// for it. A node whose key is injected has none of this.

import type { Attestor, Cluster, CollateralKeeper, Quoter } from '../attestation/index.ts';
import type { HpkeKeyPair } from '../core/hpke.ts';
import type { NodeId } from '../core/ids.ts';
import type { Part } from '../core/life-cycle.ts';
import type { Clock, Random } from '../core/ports.ts';
import type { RosterEntry } from '../core/roster.ts';
import type { Secret } from '../core/secret.ts';
import type { Transport } from '../p2p/index.ts';
import { FOUND_AGAIN_MS } from '../replication/index.ts';
import type { ClusterInForce } from './cluster-in-force.ts';
import { type Condition, heightOf } from './condition.ts';
import type { Disk } from './disk.ts';
import { drain } from './drain.ts';
import type { Launched } from './launched.ts';
import type { Log } from './log.ts';
import { createMembership, type Membership } from './membership.ts';
import { createPeerKeys, type PeerKeys } from './peer-keys.ts';
import { createPeering, type Peering } from './peering.ts';

export interface CompanyDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly cluster: Cluster;
  readonly inForce: ClusterInForce;
  readonly disk: Disk;
  readonly attestor: Attestor;
  readonly quoter: Pick<Quoter, 'quote'>;
  readonly collateral: Pick<CollateralKeeper, 'get' | 'newest'>;
  readonly transport: Transport;
  readonly hpkeKeyPair: HpkeKeyPair;
  readonly condition: Condition;
  /** Another boot of this node is newer: everything has to end. */
  readonly onFenced: (why: string) => void;
}

export interface CompanyOptions {
  /** Multiaddrs of members to begin with. */
  readonly bootstrap?: readonly string[] | undefined;
  /** Found a cluster although there are bootstrap addresses. */
  readonly found?: boolean | undefined;
}

export interface Company {
  readonly mesh: Part;
  readonly peering: Peering;
  readonly sealingKeys: PeerKeys;
  /** What operators should know of the roster; undefined if there is nothing to say. */
  rosterWarning(): string | undefined;
  /** The roster; undefined before this node has an identity. */
  entries(): readonly RosterEntry[] | undefined;
  /** Once this node has an identity. */
  membership(): Membership | undefined;
  /** Takes an earlier id of this node, whose key it has, off the roster. */
  retire(nodeId: NodeId, nodeSecret: Secret): Promise<void>;
  /** Takes this node off the roster, if a member is there to hear it. @returns why it was not done. */
  leave(options: { signal: AbortSignal }): Promise<string | undefined>;
  /** Members that have proven who they are, and have not entrusted this node with a share since it started. */
  notEntrusted(): number;
  /** Waits, within bounds, for owners that could not restart without the shares this node keeps. */
  drain(): Promise<void>;
  /** Leaves the roster's protocol and forgets the shares of others. Idempotent. */
  stop(): Promise<void>;
}

/** Nothing is sent before the mesh is started. */
export function createCompany(deps: CompanyDeps, options: CompanyOptions): Company {
  const { clock, random, log, cluster, inForce, condition } = deps;
  const { bootstrap = [], found = false } = options;
  const height = () => heightOf(condition);
  const whereabouts = () => ({ platform: condition.attested!.quote.platform, operator: condition.attested!.operator });
  const peering = createPeering({ ...deps, phase: () => condition.phase, height }, { bootstrap });
  let membership: Membership | undefined;
  /** Members that said they stop, until they are back. */
  const left = new Set<NodeId>();
  const forgetLeft = peering.mesh.onChange((change) => {
    if (change.kind === 'down') return;
    const { phase, attested } = change.peer;
    if (phase === 'draining') left.add(attested.nodeId);
    else if (change.kind === 'up') left.delete(attested.nodeId);
  });

  async function join(launched: Launched, signal: AbortSignal): Promise<Membership> {
    const own = { nodeId: launched.identity.nodeId, ...whereabouts() };
    const joining = { clock, random, log, cluster, peering, own, height };
    // Who is left of its cluster may be met a moment later.
    const wasMember = (await deps.disk.setAsideStores()).length > 0;
    membership = createMembership(joining, launched, {
      mayFound: found || bootstrap.length === 0,
      foundAfterMs: wasMember ? FOUND_AGAIN_MS : 0,
    });
    await membership.start({ signal });
    return membership;
  }

  const sealingKeys = createPeerKeys(
    { clock, random, log, disk: deps.disk, peering, inForce, membership: join, whereabouts, onFenced: deps.onFenced },
    { allowUnbacked: () => cluster.configuration.allowUnbacked },
  );
  return {
    mesh: peering.mesh,
    peering,
    sealingKeys,
    rosterWarning: () => membership?.warning(),
    entries: () => membership?.entries(),
    membership: () => membership,
    async retire(nodeId, nodeSecret) {
      const why = await membership?.retire(nodeId, nodeSecret);
      if (why) log.warn('not-retired', { nodeId, reason: why });
      else log.info('retired', { nodeId });
    },
    async leave(options) {
      if (!membership) return 'not-a-member';
      // A statement that nobody else has ends with this process, and the others would wait for this node.
      return peering.proven().length === 0 ? 'nobody-connected' : membership.leave(options);
    },
    notEntrusted() {
      const owners = new Set(peering.custodian.owners().map(({ nodeId }) => nodeId));
      return peering.proven().filter(({ nodeId }) => !owners.has(nodeId)).length;
    },
    drain: () =>
      drain({
        clock,
        log,
        ownId: () => peering.self.nodeId,
        owners: () => peering.custodian.owners(),
        connected: () =>
          peering.proven().map(({ nodeId }) => ({ nodeId, leaving: peering.mesh.peer(nodeId)?.phase === 'draining' })),
        left: (nodeId) => left.has(nodeId),
        announce: peering.mesh.announce,
      }),
    async stop() {
      forgetLeft();
      await membership?.stop();
      peering.custodian.wipe();
    },
  };
}
