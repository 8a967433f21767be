// Every metric that is read from the stats of a node, as a table. Labels have few values, all of them words of ours:
// an upstream is called by its position, because URLs may hold passwords.

import {
  counted,
  counter,
  define,
  each,
  gauge,
  gaugeBy,
  type MetricDefinition,
  noted,
  oneOf,
  type Sample,
} from './define.ts';
import { REPLICATION } from './replication-definitions.ts';
import type { NodeStats } from './stats.ts';

const PHASES: readonly NodeStats['phase'][] = [
  'starting',
  'attesting',
  'recovering',
  'catching-up',
  'ready',
  'draining',
  'fenced',
];
const INDEXER_PHASES: readonly NodeStats['indexer']['phase'][] = [
  'starting',
  'syncing',
  'following',
  'unreachable',
  'stopped',
];

type UpstreamStats = NodeStats['indexer']['upstreams'][number];
const upstreams = (node: NodeStats, value: (upstream: UpstreamStats) => number): Sample[] =>
  node.indexer.upstreams.map((upstream, position) => [value(upstream), { upstream: String(position) }]);

const NODE: readonly MetricDefinition[] = [
  gaugeBy('version')('kith_node_info', 'always 1; the version of the software', ({ node }) => [
    [1, { version: node.version }],
  ]),
  gaugeBy('phase')('kith_node_phase', '1 for the phase the node is in', ({ node }) =>
    oneOf('phase', PHASES, node.phase),
  ),
  gauge('kith_node_ready', 'whether it serves', ({ node }) => node.ready),
  gauge('kith_node_reasons', 'reasons the readiness gives', ({ node }) => node.reasons),
  gauge('kith_node_simulated', 'whether the cluster is simulated and protects nobody', ({ node }) => node.simulated),
  gaugeBy('kind')('kith_node_height_blocks', 'chain, indexed, detected, anchored, cluster, first indexed', ({ node }) =>
    each('kind', node.heights),
  ),
  gaugeBy('state')('kith_node_members', 'other members, attested and connected', ({ node }) =>
    each('state', node.members),
  ),
  gaugeBy('kind')('kith_node_quorum_members', 'members needed for a quorum, and reachable ones', ({ node }) =>
    each('kind', node.quorum),
  ),
];

const CUSTODY_PHASES: readonly NodeStats['custody']['phase'][] = ['none', 'waiting', 'dealing', 'backed'];

const MESH: readonly MetricDefinition[] = [
  gauge('kith_node_roster_members', 'members on the roster, this node included', ({ node }) => node.roster),
  gauge('kith_node_configuration_version', 'cluster configuration in force', ({ node }) => node.configVersion),
  gauge('kith_node_incarnation', 'which boot of the node this is', ({ node }) => node.incarnation),
  gauge('kith_node_fenced', 'whether a newer boot has its key', ({ node }) => node.phase === 'fenced'),
  define('counter', ['alarm'])('kith_roster_alarms_total', 'rosters that do not agree: look into the log', ({ node }) =>
    each('alarm', node.rosterAlarms),
  ),
  gauge('kith_node_rollback', 'whether its disk is older than members remember', ({ node }) => node.rolledBack),
  define('counter', ['kind'])('kith_mesh_handshakes_accepted_total', 'peers believed: first, renewal', ({ node }) =>
    each('kind', node.mesh.accepted),
  ),
  define('counter', ['by', 'code'])(
    'kith_mesh_handshakes_refused_total',
    'handshakes refused, by this node or the peer',
    ({ node }) => counted(node.mesh.refused),
  ),
  define('counter', ['code'])(
    'kith_mesh_strangers_cut_total',
    'connections that ended before a handshake did',
    ({ node }) => counted(node.mesh.strangersCut),
  ),
  define('counter', ['code'])('kith_mesh_peers_cut_total', 'connections of attested peers that ended', ({ node }) =>
    counted(node.mesh.cut),
  ),
  define('counter', ['code'])('kith_mesh_streams_refused_total', 'streams of peers that were not taken', ({ node }) =>
    counted(node.mesh.streamsRefused),
  ),
  counter(
    'kith_mesh_handlers_failed_total',
    'requests that failed unexpectedly',
    ({ node }) => node.mesh.handlersFailed,
  ),
];

const CUSTODY_WARNINGS: Readonly<Record<NodeStats['custody']['warnings'][number], true>> = {
  'few-operators': true,
  'own-platform': true,
  unreachable: true,
  'few-holders': true,
};

const CUSTODY: readonly MetricDefinition[] = [
  gaugeBy('phase')('kith_custody_phase', '1 for how the own sealing key stands', ({ node }) =>
    oneOf('phase', CUSTODY_PHASES, node.custody.phase),
  ),
  gauge('kith_custody_key_epoch', 'key epoch in force', ({ node }) => node.custody.keyEpoch),
  gauge('kith_custody_threshold', 'shares that open the store', ({ node }) => node.custody.threshold),
  gauge('kith_custody_shares', 'shares dealt', ({ node }) => node.custody.shares),
  gauge('kith_custody_confirmed', 'key servers known to hold theirs', ({ node }) => node.custody.confirmed),
  gaugeBy('warning')('kith_custody_warning', '1 for what is less good than it could be', ({ node }) =>
    noted('warning', CUSTODY_WARNINGS, node.custody.warnings),
  ),
  gaugeBy('state')(
    'kith_custody_closed_stores',
    'earlier stores on the disk: waiting for their key, refused',
    ({ node }) => each('state', node.closedStores),
  ),
  counter('kith_custody_deals_total', 'deals put in force', ({ node }) => node.custody.deals),
  gauge(
    'kith_custody_key_release_seconds',
    'from asking for the sealing key to having it',
    ({ node }) => node.custody.keyReleaseSeconds,
  ),
  gauge('kith_custody_owners', 'nodes whose shares are kept here', ({ node }) => node.custody.owners),
  define('counter', ['side', 'kind', 'outcome'])(
    'kith_custody_requests_total',
    'requests answered as key server and asked as owner; outcome ok or the reason',
    ({ node }) => counted(node.custody.requests),
  ),
];

const REGISTRATIONS: readonly MetricDefinition[] = [
  gauge('kith_registrations_held', 'with keys: detected for', ({ node }) => node.registrations.held),
  gauge('kith_registrations_tombstones', 'ended ones that are remembered', ({ node }) => node.registrations.tombstones),
  gauge('kith_registrations_max', 'what the cluster configuration allows', ({ node }) => node.registrations.max),
  define('counter', ['kind'])('kith_operations_accepted_total', 'operations taken', ({ node }) =>
    node.operations.accepted.map(({ kind, count }) => [count, { kind }]),
  ),
  define('counter', ['kind', 'reason'])('kith_operations_refused_total', 'operations refused', ({ node }) =>
    node.operations.refused.map(({ kind, reason, count }) => [count, { kind, reason }]),
  ),
  gauge('kith_index_sets_groups', 'groups of registrations that share records', ({ node }) => node.indexSets.groups),
  gauge('kith_index_sets_waiting', 'look-ups that wait for the next height', ({ node }) => node.indexSets.waiting),
];

const DETECTION: readonly MetricDefinition[] = [
  gauge('kith_detection_stopped', 'whether it ended for good', ({ node }) => node.detection.stopped),
  gauge(
    'kith_detection_waiting',
    'whether it waits for the disk, or until members have the same blocks',
    ({ node }) => node.detection.waiting,
  ),
  gauge(
    'kith_backfill_behind_blocks',
    'old blocks still to test for new keys',
    ({ node }) => node.backfill.blocksBehind,
  ),
  gauge('kith_detection_keys', 'keys in the table', ({ node }) => node.detection.keys),
  gauge('kith_detection_key_memory_bytes', 'memory of the table', ({ node }) => node.detection.keyMemoryBytes),
  counter('kith_detection_pairs_total', 'pairs of flag and key tested', ({ node }) => node.detection.pairs),
  gaugeBy('lane')('kith_detection_pending_pairs', 'pairs that wait or are in work', ({ node }) =>
    each('lane', node.detection.pendingPairs),
  ),
  counter(
    'kith_detection_workers_replaced_total',
    'workers that died and were replaced',
    ({ node }) => node.detection.workersReplaced,
  ),
];

const INDEXER: readonly MetricDefinition[] = [
  gaugeBy('phase')('kith_indexer_phase', '1 for the phase the indexer is in', ({ node }) =>
    oneOf('phase', INDEXER_PHASES, node.indexer.phase),
  ),
  counter('kith_indexer_blocks_total', 'blocks written', ({ node }) => node.indexer.counts.blocks),
  counter('kith_indexer_transactions_total', 'MASP transactions', ({ node }) => node.indexer.counts.transactions),
  counter('kith_indexer_flags_total', 'flags of them', ({ node }) => node.indexer.counts.flags),
  counter('kith_indexer_unflagged_total', 'transactions without flags', ({ node }) => node.indexer.counts.unflagged),
  counter('kith_indexer_undecodable_total', 'of them: flags unreadable', ({ node }) => node.indexer.counts.undecodable),
  gauge(
    'kith_indexer_missing',
    'whether no upstream has the next height',
    ({ node }) => node.indexer.missing !== undefined,
  ),
  gauge('kith_indexer_stale', 'whether the tip stands still', ({ node }) => node.indexer.stale),
  gaugeBy('upstream')('kith_indexer_upstream_failures', 'failures since its last good answer', ({ node }) =>
    upstreams(node, ({ failures }) => failures),
  ),
  gaugeBy('upstream')('kith_indexer_upstream_height_blocks', 'newest height it names', ({ node }) =>
    upstreams(node, ({ latest }) => latest ?? 0),
  ),
  gaugeBy('upstream')('kith_indexer_upstream_dropped', 'whether it contradicted itself', ({ node }) =>
    upstreams(node, ({ dropped }) => Number(dropped !== undefined)),
  ),
];

const STORE_AND_QUOTES: readonly MetricDefinition[] = [
  gauge('kith_store_records', 'sealed records', ({ node }) => node.store.records),
  counter('kith_store_batches_total', 'batches synced', ({ node }) => node.store.batches),
  counter('kith_store_failures_total', 'batches that failed', ({ node }) => node.store.failures),
  counter('kith_store_written_bytes_total', 'bytes of synced batches', ({ node }) => node.store.bytesWritten),
  counter('kith_quotes_made_total', 'quotes made', ({ node }) => node.quotes.made),
  counter('kith_quotes_failed_total', 'quotes that failed', ({ node }) => node.quotes.failed),
  gauge('kith_quotes_waiting', 'requests in line for one', ({ node }) => node.quotes.waiting),
  gauge(
    'kith_collateral_expiry_timestamp_seconds',
    'when the first document of the collateral ends; 0 while there is none',
    ({ node }) => node.quotes.collateralUntil,
  ),
];

const PROCESS: readonly MetricDefinition[] = [
  gauge('kith_process_resident_memory_bytes', 'resident memory', ({ runtime }) => runtime.residentBytes),
  gauge('kith_process_heap_bytes', 'JavaScript heap in use', ({ runtime }) => runtime.heapBytes),
  gauge('kith_process_external_bytes', 'memory outside of the heap', ({ runtime }) => runtime.externalBytes),
  counter('kith_process_cpu_seconds_total', 'processor time', ({ runtime }) => runtime.cpuSeconds),
  gauge(
    'kith_process_clock_timestamp_seconds',
    'what the clock of the machine says',
    ({ runtime }) => runtime.clockSeconds,
  ),
  gauge('kith_process_start_timestamp_seconds', 'when the process began', ({ runtime }) => runtime.startSeconds),
  define('counter', ['level'])(
    'kith_log_lines_total',
    'lines for the log, also those --log-level leaves out',
    ({ runtime }) => each('level', runtime.logLines),
  ),
  gaugeBy('quantile')(
    'kith_process_loop_delay_seconds',
    'lateness of the event loop since the last scrape',
    (snapshot) => {
      const { median, p99, max } = snapshot.runtime.loopDelaySeconds;
      return each('quantile', { '0.5': median, '0.99': p99, '1': max });
    },
  ),
];

export const DEFINITIONS: readonly MetricDefinition[] = [
  ...NODE,
  ...MESH,
  ...CUSTODY,
  ...REPLICATION,
  ...REGISTRATIONS,
  ...DETECTION,
  ...INDEXER,
  ...STORE_AND_QUOTES,
  ...PROCESS,
];
