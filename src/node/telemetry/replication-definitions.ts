// The metrics of replication: how far this node is, what it confirmed, and the alarms.

import type { AnchorReason } from '../../replication/index.ts';
import { counter, define, each, gauge, gaugeBy, type MetricDefinition, noted } from './define.ts';

const counterBy = (label: string) => define('counter', [label]);

const ANCHOR_REASONS: Readonly<Record<AnchorReason, true>> = {
  'no-log-key': true,
  'no-anchors': true,
  'no-quorum': true,
  'send-failed': true,
  'chain-stopped': true,
  'chain-lags': true,
  'chain-lacks': true,
  'unknown-roster': true,
  gap: true,
};

const SYNC: readonly MetricDefinition[] = [
  counterBy('alarm')('kith_replication_alarms_total', 'what must not happen: look into the log', ({ node }) =>
    each('alarm', node.replication.counts.alarms),
  ),
  counterBy('part')('kith_replication_failures_total', 'requests to peers and loops that failed', ({ node }) =>
    each('part', node.replication.counts.failures),
  ),
  gauge(
    'kith_sync_missing',
    'batches of the logs that connected members announced and this node lacks',
    ({ node }) => node.replication.sync.entriesMissing,
  ),
  gauge('kith_sync_logs', 'logs held', ({ node }) => node.replication.sync.logs),
  gauge('kith_sync_forked_logs', 'logs with two batches at one place', ({ node }) => node.replication.sync.forkedLogs),
  gauge(
    'kith_sync_push_bytes',
    'batches of the own log in memory for members',
    ({ node }) => node.replication.sync.pushBytesHeld,
  ),
  counter(
    'kith_sync_operations_arrived_total',
    'operations in batches of other members, pushed or pulled; those that came twice count twice',
    ({ node }) => node.replication.sync.operationsArrived,
  ),
  counterBy('kind')('kith_sync_requests_answered_total', 'requests of members that were answered', ({ node }) =>
    each('kind', node.replication.sync.answered),
  ),
  counter(
    'kith_sync_snapshots_given_total',
    'snapshots begun for members',
    ({ node }) => node.replication.sync.snapshotsGiven,
  ),
  counterBy('outcome')('kith_sync_snapshots_taken_total', 'snapshots taken: whole, or partly too early', ({ node }) =>
    each('outcome', node.replication.counts.snapshotsTaken),
  ),
];

const CONFIRMING: readonly MetricDefinition[] = [
  gauge(
    'kith_confirmations_tracked',
    'operations whose receipts are gathered',
    ({ node }) => node.replication.confirming,
  ),
  counterBy('within')(
    'kith_confirmations_answered_total',
    'operations confirmed within 0.1, 1, 5 s (each in one of them), or answered as pending',
    ({ node }) => each('within', node.replication.counts.confirmations),
  ),
  counterBy('kind')(
    'kith_receipts_operations_total',
    'operations that receipts of this node (given, withheld) and of others (received) were for',
    ({ node }) => each('kind', node.replication.counts.receipts),
  ),
];

const ANCHORS: readonly MetricDefinition[] = [
  gauge(
    'kith_anchors_cursor_blocks',
    'height up to which anchors were read',
    ({ node }) => node.replication.anchors.cursor,
  ),
  gauge('kith_anchors_pending', 'operations no anchor names yet', ({ node }) => node.replication.anchors.pending),
  gauge('kith_anchors_wanted', 'tags whose operations are looked for', ({ node }) => node.replication.anchors.wanted),
  gaugeBy('reason')('kith_anchors_reason', '1 for each reason why anchors do not go as they should', ({ node }) =>
    noted('reason', ANCHOR_REASONS, node.replication.anchors.reasons),
  ),
  counterBy('event')('kith_anchors_events_total', 'anchors read and proposed, and what became of them', ({ node }) =>
    each('event', node.replication.counts.anchors),
  ),
  counter(
    'kith_anchors_operations_fetched_total',
    'operations this node had missed and anchors named',
    ({ node }) => node.replication.counts.fetchedByAnchors,
  ),
];

const HEIGHTS: readonly MetricDefinition[] = [
  gauge(
    'kith_heights_settled_blocks',
    'height up to which the cluster wipes',
    ({ node }) => node.replication.heights.settled,
  ),
  gaugeBy('kind')('kith_heights_operators', 'operators heard, needed to settle a height, on the roster', ({ node }) =>
    each('kind', node.replication.heights.operators),
  ),
  gauge(
    'kith_heights_disagreement',
    'whether most operators have another block: detection waits',
    ({ node }) => node.replication.heights.disagreement,
  ),
  gauge(
    'kith_heights_disputed',
    'whether some member has another block',
    ({ node }) => node.replication.heights.disputed,
  ),
];

export const REPLICATION: readonly MetricDefinition[] = [...SYNC, ...CONFIRMING, ...ANCHORS, ...HEIGHTS];
