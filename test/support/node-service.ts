// A node as its listeners see it, without one behind it.

import type { RegId } from '../../src/core/ids.ts';
import type { Log, LogFields } from '../../src/node/log.ts';
import type { NodeService, OperationAnswer } from '../../src/node/service.ts';
import type { NodeStats, ProcessStats } from '../../src/node/telemetry/index.ts';
import { NO_REQUESTS } from '../../src/replication/index.ts';

export const ID = 'A'.repeat(43);

export const answer: OperationAnswer = {
  id: ID,
  status: 'confirmed',
  expiryHeight: 9,
  receipts: ['r'],
  sealed: { nonce: 'n', ciphertext: 'c' },
};

/** A service that answers what the test says and keeps what it was asked. */
export function fakeService(changes: Partial<NodeService> = {}) {
  const asked: unknown[] = [];
  const service: NodeService = {
    readiness: () => ({ ready: true, phase: 'ready', reasons: [] }),
    node: () => ({
      nodeId: 'n',
      clusterId: 'c',
      configVersion: 1,
      version: '0.1.0',
      phase: 'ready',
      simulated: true,
      heights: { chain: 4, indexed: 3, detected: 2, anchored: 1, cluster: 3, first: 1 },
      members: 1,
      quorum: { needed: 1, reachable: 1 },
      incarnation: 1,
      roster: [],
    }),
    members: () => [],
    roster: () => ({ genesisId: ID, members: [{ nodeId: 'n', operator: 'a', standing: 'away', joinId: ID }] }),
    takeOff: async (encoded) => {
      asked.push(encoded);
      return { nodeId: 'n', left: true };
    },
    attestation: async (nonce) => {
      asked.push(nonce.length);
      return {
        quote: 'q',
        nodeId: 'n',
        hpke: [{ suite: 's', publicKey: 'p' }],
        roster: [],
        configurationHash: 'h',
        noncePath: { root: 'r', index: 0, count: 1, path: [] },
      };
    },
    register: async (box) => {
      asked.push(box);
      return answer;
    },
    renew: async (id, box) => {
      asked.push([id, box]);
      return { ...answer, status: 'pending' };
    },
    revoke: async (id, box) => {
      asked.push([id, box]);
      return answer;
    },
    registration: async (id: RegId) => ({ id, status: 'confirmed', expiryHeight: 9, confirmations: 1 }),
    presentCertificate: (id, encoded) => {
      asked.push([id, encoded]);
      return { id, status: 'wanted' };
    },
    indexSet: async (id, options) => {
      asked.push(options);
      return { id, since: options.since, nonce: 'n', ciphertext: 'c', etag: `"${options.since}"` };
    },
    recovery: () => ({ state: 'none' }),
    enterRecoveryShare: async (box) => {
      asked.push(box);
      return { entered: 1, needed: 2, status: 'waiting', sealed: { nonce: 'n', ciphertext: 'c' } };
    },
    ...changes,
  };
  return { service, asked };
}

/** A log that keeps its lines. */
export function recordingLog() {
  const lines: { event: string; fields: LogFields | undefined }[] = [];
  const write = (event: string, fields?: LogFields) => void lines.push({ event, fields });
  const log: Log = { debug: write, info: write, warn: write, error: write };
  return { log, lines };
}

/** Stats in which every number is another. */
export function fakeStats(changes: Partial<NodeStats> = {}): NodeStats {
  return {
    version: '0.1.0',
    phase: 'ready',
    ready: true,
    reasons: 2,
    simulated: true,
    heights: { chain: 1_005, indexed: 1_004, detected: 1_003, anchored: 1_002, cluster: 1_006, first: 1_001 },
    registrations: { held: 12, tombstones: 13, max: 14 },
    indexSets: { groups: 21, waiting: 22 },
    backfill: { blocksBehind: 31 },
    detection: {
      keys: 41,
      keyMemoryBytes: 42,
      pairs: 43,
      pendingPairs: { head: 44, backfill: 45 },
      workersReplaced: 46,
      stopped: true,
      waiting: true,
    },
    indexer: {
      phase: 'following',
      counts: { blocks: 51, transactions: 52, flags: 53, unflagged: 54, undecodable: 55 },
      missing: { from: 1, to: 2 },
      stale: true,
      upstreams: [
        { name: 'http://user:hunter2@a', latest: 61, failures: 62, dropped: undefined },
        { name: 'http://b', latest: undefined, failures: 63, dropped: 'went backwards' },
      ],
    },
    store: { records: 71, batches: 72, failures: 73, bytesWritten: 74 },
    quotes: { made: 81, failed: 82, waiting: 83, collateralUntil: 84 },
    operations: {
      accepted: [{ kind: 'register', count: 91 }],
      refused: [{ kind: 'renew', reason: 'expired', count: 92 }],
    },
    members: { attested: 101, connected: 102 },
    quorum: { needed: 103, reachable: 104 },
    roster: 105,
    rosterAlarms: { 'other-genesis': 108, apart: 109, replaced: 1_101, failed: 1_102 },
    configVersion: 106,
    incarnation: 107,
    rolledBack: true,
    mesh: {
      accepted: { first: 121, renewal: 122 },
      refused: [{ labels: { by: 'us', code: 'report-data' }, count: 123 }],
      strangersCut: [{ labels: { code: 'too-many' }, count: 124 }],
      cut: [{ labels: { code: 'frame-forged' }, count: 125 }],
      streamsRefused: [{ labels: { code: 'unknown-protocol' }, count: 126 }],
      handlersFailed: 127,
    },
    custody: {
      phase: 'backed',
      keyEpoch: 131,
      threshold: 132,
      shares: 133,
      confirmed: 134,
      deals: 135,
      keyReleaseSeconds: 136,
      owners: 137,
      requests: [{ labels: { side: 'answered', kind: 'release', outcome: 'platform' }, count: 138 }],
      warnings: ['few-holders'],
    },
    closedStores: { waiting: 141, refused: 142 },
    replication: {
      sync: {
        entriesMissing: 201,
        logs: 202,
        forkedLogs: 203,
        pushBytesHeld: 204,
        operationsArrived: 205,
        answered: { ...NO_REQUESTS, push: 206, 'audit-ids': 207 },
        snapshotsGiven: 208,
      },
      confirming: 209,
      anchors: { cursor: 211, pending: 212, wanted: 213, reasons: ['no-quorum', 'gap'] },
      heights: {
        settled: 221,
        operators: { heard: 222, needed: 223, all: 224 },
        disagreement: true,
        disputed: false,
      },
      counts: {
        alarms: {
          divergence: 231,
          records: 232,
          fork: 233,
          equivocation: 234,
          'chain-disagreement': 235,
          'wrong-root': 236,
        },
        confirmations: { '0.1': 241, '1': 242, '5': 243, pending: 244 },
        receipts: { given: 251, withheld: 252, received: 253 },
        anchors: {
          accepted: 261,
          abandoned: 262,
          'chain-lacks': 263,
          proposed: 264,
          'no-quorum': 265,
          'send-failed': 266,
          'given-up': 267,
        },
        fetchedByAnchors: 268,
        failures: { peer: 271, sync: 272, anchors: 273, heights: 274 },
        snapshotsTaken: { whole: 281, early: 282 },
      },
    },
    ...changes,
  };
}

export const fakeProcess: ProcessStats = {
  residentBytes: 111,
  heapBytes: 112,
  externalBytes: 113,
  cpuSeconds: 114.5,
  clockSeconds: 1_000_115,
  startSeconds: 1_000_116,
  logLines: { warn: 117, error: 118 },
  loopDelaySeconds: { median: 0.5, p99: 0.75, max: 1.5 },
};
