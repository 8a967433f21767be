// What happened in replication, by words of ours. All of them are there from the beginning: an alarm that counts from
// zero to one is seen by whoever watches how counters grow.

import type {
  AnchorReport,
  AnchorStatus,
  ConfirmationOutcome,
  Divergence,
  HeightEvent,
  SyncReport,
  SyncStatus,
} from '../../replication/index.ts';
import { NO_REQUESTS } from '../../replication/index.ts';

const NO_ALARMS = {
  /** Two members differed in what both should have. */
  divergence: 0,
  /** Records of the own store did not say what memory says. */
  records: 0,
  /** A member signed two entries at one place of its log. */
  fork: 0,
  /** A member signed two heights under one number. */
  equivocation: 0,
  'chain-disagreement': 0,
  /** A quorum anchored what is not so. */
  'wrong-root': 0,
} as const;

/** Seconds within which an operation was confirmed, in steps that do not overlap; or it was answered as pending. */
const NO_CONFIRMATIONS = { '0.1': 0, '1': 0, '5': 0, pending: 0 } as const;

const NO_RECEIPTS = {
  given: 0,
  /** Asked for while this node may give none, or not yet synced. */
  withheld: 0,
  received: 0,
} as const;

const NO_ANCHOR_EVENTS = {
  accepted: 0,
  abandoned: 0,
  'chain-lacks': 0,
  proposed: 0,
  'no-quorum': 0,
  'send-failed': 0,
  'given-up': 0,
} as const;

const NO_FAILURES = { peer: 0, sync: 0, anchors: 0, heights: 0 } as const;
const NO_SNAPSHOTS = { whole: 0, early: 0 } as const;

type Counts<Zeros> = Readonly<Record<keyof Zeros, number>>;

/** Since the store was opened. */
export interface ReplicationCounts {
  readonly alarms: Counts<typeof NO_ALARMS>;
  /** Operations of users that were answered. */
  readonly confirmations: Counts<typeof NO_CONFIRMATIONS>;
  /** Operations that receipts were for. */
  readonly receipts: Counts<typeof NO_RECEIPTS>;
  readonly anchors: Counts<typeof NO_ANCHOR_EVENTS>;
  /** Operations that were missed and named by anchors. */
  readonly fetchedByAnchors: number;
  readonly failures: Counts<typeof NO_FAILURES>;
  readonly snapshotsTaken: Counts<typeof NO_SNAPSHOTS>;
}

/** How replication stands, and what happened in it. */
export interface ReplicationStats {
  readonly sync: SyncStatus;
  /** Operations whose receipts are gathered. */
  readonly confirming: number;
  readonly anchors: Pick<AnchorStatus, 'cursor' | 'pending' | 'wanted' | 'reasons'>;
  readonly heights: {
    /** The height that nothing is destroyed above. */
    readonly settled: number;
    readonly operators: { readonly heard: number; readonly needed: number; readonly all: number };
    /** Most operators have another block. */
    readonly disagreement: boolean;
    /** Somebody has another block. */
    readonly disputed: boolean;
  };
  readonly counts: ReplicationCounts;
}

export interface ReplicationCounter {
  sync(event: SyncReport): void;
  divergence(divergence: Divergence): void;
  heights(event: HeightEvent): void;
  anchors(event: AnchorReport): void;
  /** @param operations covered by one receipt, or by one that was not given. */
  receipts(kind: keyof typeof NO_RECEIPTS, operations: number): void;
  answered(outcome: ConfirmationOutcome['kind'], afterMs: number): void;
  read(): ReplicationCounts;
}

const withinOf = (afterMs: number): keyof typeof NO_CONFIRMATIONS =>
  afterMs <= 100 ? '0.1' : afterMs <= 1_000 ? '1' : '5';

/** Counters that begin at zero. */
export function createReplicationCounter(): ReplicationCounter {
  const alarms: Record<keyof typeof NO_ALARMS, number> = { ...NO_ALARMS };
  const confirmations: Record<keyof typeof NO_CONFIRMATIONS, number> = { ...NO_CONFIRMATIONS };
  const receipts: Record<keyof typeof NO_RECEIPTS, number> = { ...NO_RECEIPTS };
  const anchors: Record<keyof typeof NO_ANCHOR_EVENTS, number> = { ...NO_ANCHOR_EVENTS };
  const failures: Record<keyof typeof NO_FAILURES, number> = { ...NO_FAILURES };
  const snapshotsTaken: Record<keyof typeof NO_SNAPSHOTS, number> = { ...NO_SNAPSHOTS };
  let fetchedByAnchors = 0;
  return {
    sync(event) {
      if (event.kind === 'snapshot') snapshotsTaken[event.outcome] += 1;
      else if (event.kind === 'forked') alarms.fork += 1;
      else failures[event.kind === 'peer-failed' ? 'peer' : 'sync'] += 1;
    },
    divergence: ({ kind }) => {
      alarms[kind === 'records' ? 'records' : 'divergence'] += 1;
    },
    heights(event) {
      if (event.kind === 'equivocation') alarms.equivocation += 1;
      else if (event.kind === 'failed') failures.heights += 1;
      else if (event.height !== undefined) alarms['chain-disagreement'] += 1;
    },
    anchors(event) {
      if (event.kind === 'wrong-root') alarms['wrong-root'] += 1;
      else if (event.kind === 'failed') failures.anchors += 1;
      else if (event.kind === 'found') fetchedByAnchors += event.operations;
      else if (isAnchorEvent(event.kind)) anchors[event.kind] += 1;
    },
    receipts(kind, operations) {
      receipts[kind] += operations;
    },
    answered(outcome, afterMs) {
      confirmations[outcome === 'pending' ? 'pending' : withinOf(afterMs)] += 1;
    },
    read: () => ({
      alarms: { ...alarms },
      confirmations: { ...confirmations },
      receipts: { ...receipts },
      anchors: { ...anchors },
      fetchedByAnchors,
      failures: { ...failures },
      snapshotsTaken: { ...snapshotsTaken },
    }),
  };
}

const isAnchorEvent = (kind: string): kind is keyof typeof NO_ANCHOR_EVENTS => Object.hasOwn(NO_ANCHOR_EVENTS, kind);

/** Of a node whose store is closed, or that has no company. */
export const NO_REPLICATION: Omit<ReplicationStats, 'counts' | 'confirming'> = {
  sync: {
    entriesMissing: 0,
    logs: 0,
    forkedLogs: 0,
    pushBytesHeld: 0,
    operationsArrived: 0,
    answered: NO_REQUESTS,
    snapshotsGiven: 0,
  },
  anchors: { cursor: 0, pending: 0, wanted: 0, reasons: [] },
  heights: { settled: 0, operators: { heard: 0, needed: 0, all: 0 }, disagreement: false, disputed: false },
};
