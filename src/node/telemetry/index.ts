// What operators see of a node: logs and metrics. Neither tells who is registered or what matched.

export { type CustodyCounts, type CustodyEvent, createCustodyCounter, custodyOutcome } from './custody-counts.ts';
export { type CountedLog, countLines, type LineCounts } from './line-counts.ts';
export { createMeshCounter, type MeshCounts, meshCode } from './mesh-counts.ts';
export { createMetrics, type Metrics, type MetricsDeps } from './metrics.ts';
export { createOperationCounter, type OperationCounter, type OperationCounts } from './operation-counts.ts';
export { createPinoLog, type LogLevel, type PinoLogOptions } from './pino-log.ts';
export { createProcessWatch, type ProcessWatch } from './process-stats.ts';
export { createPseudonyms, type Pseudonyms } from './pseudonyms.ts';
export {
  createReplicationCounter,
  NO_REPLICATION,
  type ReplicationCounter,
  type ReplicationStats,
} from './replication-counts.ts';
export { createRosterCounter, type RosterAlarms, type RosterCounter } from './roster-counts.ts';
export type { NodeStats, ProcessStats } from './stats.ts';
