// Anchors: what a node that was away learns from the chain alone. Part of replication; docs/REPLICATION.md, Anchors.

export { anchorPrefix } from './anchor.ts';
export { type AnchorReason, type AnchorStatus, type Anchors, createAnchors } from './anchors.ts';
export type {
  AnchorChain,
  AnchorChainBlock,
  AnchorDeps,
  AnchorPeer,
  AnchorPeers,
  AnchorReplica,
  AnchorReport,
  AnchorRosters,
  AnchorStore,
  AnchorWrite,
} from './ports.ts';
