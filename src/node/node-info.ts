// What a node tells everybody of itself and of the members it is connected with.

import type { Cluster } from '../attestation/index.ts';
import type { Clock } from '../core/ports.ts';
import type { ClusterHeight } from '../replication/index.ts';
import type { Company } from './company.ts';
import type { Condition } from './condition.ts';
import { isProven } from './proven.ts';
import type { Running } from './running.ts';
import { type MemberInfo, type NodeInfo, readPhase } from './service.ts';
import { custodyInfo, quorumInfo, rosterInfo } from './standing.ts';

export interface NodeInfoDeps {
  readonly clock: Clock;
  readonly cluster: Cluster;
  readonly condition: Condition;
  readonly company: Company | undefined;
  /** What members say of heights; undefined before the store is open, or without company. */
  readonly clusterHeight: () => Pick<ClusterHeight, 'height' | 'report'> | undefined;
}

/** @param options.version of the software. */
export function nodeInfo(
  { cluster, condition, company, clusterHeight, anchored }: NodeInfoDeps & { readonly anchored: number },
  options: { version: string },
): NodeInfo {
  const { phase, running, incarnation } = condition;
  const checkpoint = running?.notes.checkpoint;
  const entries = company?.entries() ?? [];
  const around = {
    entries,
    self: running?.identity.nodeId,
    serving: phase === 'ready',
    connected: (company?.peering.proven() ?? []).map(({ nodeId }) => nodeId),
  };
  return {
    nodeId: running?.identity.nodeId ?? '',
    clusterId: cluster.id,
    configVersion: cluster.configuration.version,
    version: options.version,
    phase,
    simulated: cluster.simulated,
    heights: {
      chain: running?.tip() ?? 0,
      indexed: checkpoint?.cursor ?? 0,
      detected: running?.detector.detected ?? 0,
      anchored,
      cluster: clusterHeight()?.height() ?? checkpoint?.cursor ?? 0,
      first: checkpoint?.start ?? 0,
    },
    members: entries.length || Number(around.serving),
    quorum: quorumInfo(around),
    incarnation,
    roster: rosterInfo(around),
    custody: custodyInfo(company?.sealingKeys.custody),
  };
}

/** This node first; nobody before its store is open. */
export function memberInfos(deps: NodeInfoDeps): MemberInfo[] {
  const { phase, running, attested } = deps.condition;
  if (!attested || !running) return [];
  return [
    {
      nodeId: running.identity.nodeId,
      operator: attested.operator,
      tcbStatus: attested.quote.tcbStatus,
      phase,
      lag: Math.max(0, running.tip() - (running.detector.detected ?? 0)),
      lastSeenSeconds: 0,
    },
    ...peerInfos(deps, running),
  ];
}

function peerInfos({ clock, company, clusterHeight }: NodeInfoDeps, running: Running): MemberInfo[] {
  const now = clock.monotonic();
  // What a member signed it has indexed says more than the tip it knows, which comes with each heartbeat.
  const stated = new Map(
    clusterHeight()
      ?.report()
      .members.map(({ nodeId, height }) => [nodeId, height]),
  );
  return (company?.peering.mesh.peers() ?? [])
    .filter(({ attested }) => isProven(attested))
    .map(({ attested, phase, height, lastSeenMs }) => ({
      nodeId: attested.nodeId,
      operator: attested.operator,
      tcbStatus: attested.tcbStatus,
      phase: readPhase(phase),
      lag: Math.max(0, running.tip() - (stated.get(attested.nodeId) ?? height ?? 0)),
      lastSeenSeconds: Math.round((now - lastSeenMs) / 1000),
    }));
}
