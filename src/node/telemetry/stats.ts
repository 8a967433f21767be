// What the metrics and the console show of a node, read at each scrape. Numbers only, and none that depends on what
// matched: how much work there was, never what it found.

import type { EngineStats } from '../../fmd/index.ts';
import type { IndexerStatus } from '../../indexer/index.ts';
import type { CustodyState } from '../../keyserver/index.ts';
import type { Phase } from '../service.ts';
import type { CustodyCounts } from './custody-counts.ts';
import type { LineCounts } from './line-counts.ts';
import type { MeshCounts } from './mesh-counts.ts';
import type { OperationCounts } from './operation-counts.ts';
import type { ReplicationStats } from './replication-counts.ts';
import type { RosterAlarms } from './roster-counts.ts';

/** Counters count since the process began; everything else is as of now. */
export interface NodeStats {
  /** Of the software. */
  readonly version: string;
  readonly phase: Phase;
  readonly ready: boolean;
  /** How many reasons the readiness gives. */
  readonly reasons: number;
  readonly simulated: boolean;
  readonly heights: {
    /** Newest height known of the chain; 0 before the first. */
    readonly chain: number;
    readonly indexed: number;
    readonly detected: number;
    readonly anchored: number;
    /** The median over operators. */
    readonly cluster: number;
    /** Lowest height that is indexed. */
    readonly first: number;
  };
  readonly registrations: {
    /** With keys: detected for. */
    readonly held: number;
    /** Revoked and expired ones that are remembered. */
    readonly tombstones: number;
    /** `registrationsMax` of the cluster configuration. */
    readonly max: number;
  };
  readonly indexSets: {
    readonly groups: number;
    /** Look-ups that wait for the next height. */
    readonly waiting: number;
  };
  readonly backfill: {
    /** Blocks that new registrations still have to be tested against, from the lowest that any of them lacks. */
    readonly blocksBehind: number;
  };
  readonly detection: EngineStats & {
    readonly workersReplaced: number;
    /** For good: only an operator and another start help. */
    readonly stopped: boolean;
    /** It goes on by itself once the disk takes its records, or members have this node's blocks. */
    readonly waiting: boolean;
  };
  readonly indexer: Pick<IndexerStatus, 'phase' | 'counts' | 'missing' | 'stale' | 'upstreams'>;
  readonly store: {
    readonly records: number;
    /** Synced batches, failed ones not among them. */
    readonly batches: number;
    readonly failures: number;
    readonly bytesWritten: number;
  };
  readonly quotes: {
    readonly made: number;
    readonly failed: number;
    readonly waiting: number;
    /** Seconds since 1970 at which the first document of the collateral that is kept ends; 0 while there is none. */
    readonly collateralUntil: number;
  };
  readonly operations: OperationCounts;
  /** Other members: connected and under their own ids; connected at all. */
  readonly members: { readonly attested: number; readonly connected: number };
  /** Members on the roster, this node included. */
  readonly roster: number;
  readonly rosterAlarms: RosterAlarms;
  readonly configVersion: number;
  readonly incarnation: number;
  /** Whether its disk is older than what members remember. */
  readonly rolledBack: boolean;
  readonly mesh: MeshCounts;
  readonly custody: CustodyStats;
  /** Closed stores on this disk: those that wait for their key, and those that were refused. */
  readonly closedStores: { readonly waiting: number; readonly refused: number };
  readonly replication: ReplicationStats;
  readonly quorum: { readonly needed: number; readonly reachable: number };
}

/** The own sealing key, and those that are kept for others. */
export interface CustodyStats {
  /** `none`: no store is open, or its key is not with members. */
  readonly phase: CustodyState['phase'] | 'none';
  readonly keyEpoch: number;
  readonly threshold: number;
  readonly shares: number;
  /** Key servers that are known to hold their share. */
  readonly confirmed: number;
  /** Deals put in force by this boot. */
  readonly deals: number;
  /** From asking for the key at the start to having it; 0 if it was not asked for. */
  readonly keyReleaseSeconds: number;
  /** Nodes whose shares this one keeps. */
  readonly owners: number;
  /** What is less good than it could be. */
  readonly warnings: CustodyState['warnings'];
  readonly requests: CustodyCounts;
}

/** The process a node runs in. */
export interface ProcessStats {
  readonly residentBytes: number;
  /** Of the JavaScript heap in use. */
  readonly heapBytes: number;
  /** Outside of the heap: keys and buffers. */
  readonly externalBytes: number;
  readonly cpuSeconds: number;
  /** What the clock of this machine says, and said when the process began: seconds since 1970. */
  readonly clockSeconds: number;
  readonly startSeconds: number;
  readonly logLines: LineCounts;
  /** How late the event loop was, since these were read last. */
  readonly loopDelaySeconds: { readonly median: number; readonly p99: number; readonly max: number };
}
