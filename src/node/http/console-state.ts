// What the console shows, as one JSON document.

import type { MemberInfo, NodeService, Readiness } from '../service.ts';
import type { NodeStats } from '../telemetry/stats.ts';

export interface ConsoleState extends Readiness {
  readonly simulated: boolean;
  readonly version: string;
  readonly nodeId: string;
  readonly clusterId: string;
  readonly configVersion: number;
  readonly incarnation: number;
  readonly heights: NodeStats['heights'];
  readonly quorum: NodeStats['quorum'];
  readonly members: readonly MemberInfo[];
  readonly registrations: NodeStats['registrations'];
  readonly detection: { readonly keys: number; readonly pending: number; readonly blocksBehind: number };
  readonly replication: {
    readonly entriesMissing: number;
    readonly logs: number;
    /** Operations that no anchor names yet, and those that are looked for because one does. */
    readonly unanchored: number;
    readonly wanted: number;
    /** All kinds together: zero, or the log says what. */
    readonly alarms: number;
  };
  readonly memory: { readonly residentBytes: number; readonly keyBytes: number };
}

/** A page lists so many members and reasons; a cluster has fewer, and the browser of an operator is not a dump. */
const ROWS_MAX = 256;

/** The state as of now. @param residentBytes of the process. */
export function consoleState(service: NodeService, stats: NodeStats, residentBytes: number): ConsoleState {
  const { ready, phase, reasons } = service.readiness();
  const { nodeId, clusterId, configVersion, incarnation, version, simulated } = service.node();
  const { detection, heights, quorum, registrations, backfill } = stats;
  const { sync, anchors, counts } = stats.replication;
  const { head, backfill: waiting } = detection.pendingPairs;
  return {
    ready,
    phase,
    reasons: reasons.slice(0, ROWS_MAX),
    simulated,
    version,
    nodeId,
    clusterId,
    configVersion,
    incarnation,
    heights,
    quorum,
    members: service.members().slice(0, ROWS_MAX),
    registrations,
    detection: { keys: detection.keys, pending: head + waiting, blocksBehind: backfill.blocksBehind },
    replication: {
      entriesMissing: sync.entriesMissing,
      logs: sync.logs,
      unanchored: anchors.pending,
      wanted: anchors.wanted,
      alarms: Object.values(counts.alarms).reduce((sum, count) => sum + count, 0),
    },
    memory: { residentBytes, keyBytes: detection.keyMemoryBytes },
  };
}
