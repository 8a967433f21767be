// The numbers of a node, gathered from its parts.

import type { Quoter } from '../attestation/index.ts';
import type { Company } from './company.ts';
import type { Disk } from './disk.ts';
import type { Running } from './running.ts';
import type { NodeService } from './service.ts';
import type { SetAside } from './set-aside/set-aside.ts';
import { countWrites, type WriteCounts } from './store/index.ts';
import {
  createReplicationCounter,
  createRosterCounter,
  NO_REPLICATION,
  type NodeStats,
  type OperationCounter,
  type ReplicationStats,
} from './telemetry/index.ts';

export interface QuoteCounts {
  made: number;
  failed: number;
  waiting: number;
}

/** The same quoter; `counts` follows what it does. */
export function countQuotes(quoter: Quoter, counts: QuoteCounts): Quoter {
  return {
    kind: quoter.kind,
    stop: () => quoter.stop(),
    async quote(claim, options) {
      counts.waiting++;
      try {
        const quote = await quoter.quote(claim, options);
        counts.made++;
        return quote;
      } catch (error) {
        counts.failed++;
        throw error;
      } finally {
        counts.waiting--;
      }
    },
  };
}

/** The same disk; `counts` goes up with each batch of sealed records. */
export function countedDisk(disk: Disk, counts: WriteCounts): Disk {
  return {
    header: disk.header,
    openSealed: async () => countWrites(await disk.openSealed(), counts),
    openChain: (how) => disk.openChain(how),
    setAside: () => disk.setAside(),
    setAsideStores: () => disk.setAsideStores(),
  };
}

export interface StatsSource {
  readonly service: NodeService;
  readonly running: Running | undefined;
  readonly registrationsMax: number;
  readonly operations: OperationCounter;
  readonly quotes: QuoteCounts;
  /** Seconds since 1970. */
  readonly collateralUntil: number | undefined;
  readonly writes: WriteCounts;
  readonly workersReplaced: number;
  readonly company: Company | undefined;
  readonly closedStores: SetAside['counts'];
  readonly rolledBack: boolean;
  /** Undefined before the store is open. */
  readonly replication: ReplicationStats | undefined;
}

const NO_DETECTION = { keys: 0, keyMemoryBytes: 0, pairs: 0, pendingPairs: { head: 0, backfill: 0 } };
const NO_INDEXER = {
  phase: 'starting',
  counts: { blocks: 0, transactions: 0, flags: 0, unflagged: 0, undecodable: 0 },
  missing: undefined,
  stale: false,
  upstreams: [],
} as const;

const NO_MESH: NodeStats['mesh'] = {
  accepted: { first: 0, renewal: 0 },
  refused: [],
  strangersCut: [],
  cut: [],
  streamsRefused: [],
  handlersFailed: 0,
};

export function statsOf({ service, running, ...source }: StatsSource): NodeStats {
  const { ready, phase, reasons } = service.readiness();
  const { version, simulated, heights, quorum, configVersion, incarnation } = service.node();
  const { company, rolledBack } = source;
  const peering = company?.peering;
  const { held, known } = running?.registrations.counts ?? { held: 0, known: 0 };
  return {
    version,
    phase,
    ready,
    reasons: reasons.length,
    simulated,
    heights,
    registrations: { held, tombstones: known - held, max: source.registrationsMax },
    indexSets: { groups: running?.indexSets.groups ?? 0, waiting: running?.lookUps.waiting ?? 0 },
    backfill: { blocksBehind: running?.detector.backfillBlocks ?? 0 },
    detection: {
      ...(running?.engine.stats ?? NO_DETECTION),
      workersReplaced: source.workersReplaced,
      stopped: (running?.detector.failure ?? running?.indexer.status().error) !== undefined,
      waiting: running?.detector.delay !== undefined,
    },
    indexer: running?.indexer.status() ?? NO_INDEXER,
    store: { records: running?.store.records ?? 0, ...source.writes },
    quotes: { ...source.quotes, collateralUntil: source.collateralUntil ?? 0 },
    operations: source.operations.read(),
    members: { attested: peering?.proven().length ?? 0, connected: peering?.mesh.peers().length ?? 0 },
    quorum,
    roster: company?.entries()?.length ?? 0,
    rosterAlarms: company?.membership()?.alarms() ?? createRosterCounter().read(),
    configVersion,
    incarnation,
    rolledBack,
    mesh: peering?.counts().mesh ?? NO_MESH,
    custody: custodyStats(company),
    closedStores: source.closedStores,
    replication: source.replication ?? {
      ...NO_REPLICATION,
      confirming: 0,
      counts: createReplicationCounter().read(),
    },
  };
}

function custodyStats(company: Company | undefined): NodeStats['custody'] {
  const peerKeys = company?.sealingKeys;
  const peering = company?.peering;
  const state = peerKeys?.custody;
  return {
    phase: state?.phase ?? 'none',
    keyEpoch: state?.keyEpoch ?? 0,
    threshold: state?.threshold ?? 0,
    shares: state?.shares ?? 0,
    confirmed: state?.confirmed.length ?? 0,
    deals: peerKeys?.deals ?? 0,
    keyReleaseSeconds: (peerKeys?.keyReleaseMs ?? 0) / 1000,
    owners: peering?.custodian.owners().length ?? 0,
    warnings: state?.warnings ?? [],
    requests: peering?.counts().custody ?? [],
  };
}
