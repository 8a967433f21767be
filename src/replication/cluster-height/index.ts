// The height of the cluster (docs/REPLICATION.md, Heights). Part of the replication module.

export {
  type ClusterHeight,
  type ClusterHeightDeps,
  createClusterHeight,
  type HeightEvent,
  type HeightReport,
} from './cluster-height.ts';
export { BLOCK_STEP } from './limits.ts';
export type { OwnChain } from './own-statement.ts';
export { createRecentBlocks, type RecentBlocks } from './recent-blocks.ts';
export type { StatedBlock } from './statement.ts';
