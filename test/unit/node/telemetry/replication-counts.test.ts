import { describe, expect, it } from 'vitest';
import { nodeIdFromBytes } from '../../../../src/core/ids.ts';
import { countedReceipts } from '../../../../src/node/replication/receipts.ts';
import { createReports } from '../../../../src/node/replication/reports.ts';
import { createReplicationCounter } from '../../../../src/node/telemetry/index.ts';
import type { AnchorReport, OperationRef, WriterId } from '../../../../src/replication/index.ts';
import { createManualClock } from '../../../support/manual-clock.ts';
import { recordingLog } from '../../../support/node-service.ts';

const nodeId = nodeIdFromBytes(new Uint8Array(32).fill(7));
const place = { epoch: 3, seq: 0 };

function watched() {
  const clock = createManualClock();
  const counter = createReplicationCounter();
  const lines: { level: string; event: string }[] = [];
  const at = (level: string) => (event: string) => void lines.push({ level, event });
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  return { counter, lines, reports: createReports({ clock, log, counter }) };
}

describe('the counts of replication', () => {
  it('show every alarm as an error in the log and as a count of its own', () => {
    const { counter, lines, reports } = watched();
    expect(new Set(Object.values(counter.read().alarms))).toEqual(new Set([0]));
    const audited = { nodeId, registrations: 4, takenHere: 1, takenThere: 0, more: false, regIds: [] };
    reports.divergence({ kind: 'diverged', ...audited });
    reports.divergence({ kind: 'records', regIds: [] });
    reports.sync({ kind: 'forked', writer: 'w' as WriterId });
    reports.heights({ kind: 'equivocation', nodeId, incarnation: 2 });
    reports.heights({ kind: 'chain-disagreement', height: 32 });
    reports.anchors({ kind: 'wrong-root', ...place });
    expect(lines).toEqual(
      ['divergence', 'divergence', 'log-forked', 'height-equivocation', 'chain-disagreement', 'anchor-wrong-root'].map(
        (event) => ({ level: 'error', event }),
      ),
    );
    expect(counter.read().alarms).toEqual({
      divergence: 1,
      records: 1,
      fork: 1,
      equivocation: 1,
      'chain-disagreement': 1,
      'wrong-root': 1,
    });
  });

  it('count no alarm when a disagreement ends', () => {
    const { counter, lines, reports } = watched();
    reports.heights({ kind: 'chain-disagreement', height: 32 });
    reports.heights({ kind: 'chain-disagreement', height: undefined });
    expect(counter.read().alarms['chain-disagreement']).toBe(1);
    expect(lines.at(-1)).toEqual({ level: 'info', event: 'chain-agreement' });
  });

  it('count anchors, failures and snapshots under words that were there before', () => {
    const { counter, reports } = watched();
    const before = counter.read();
    const error = new Error('made up by a peer');
    const events: AnchorReport[] = [
      { kind: 'accepted', ...place, operations: 2, missing: 0, fromChain: true },
      { kind: 'no-quorum', ...place, words: ['not-held'] },
      { kind: 'ignored', height: 60, texts: 9 },
      { kind: 'found', operations: 5, from: nodeId },
      { kind: 'failed', error },
    ];
    for (const event of events) reports.anchors(event);
    reports.sync({ kind: 'peer-failed', nodeId: undefined, error });
    reports.sync({ kind: 'failed', error });
    reports.sync({ kind: 'snapshot', nodeId, outcome: 'early', taken: 4 });
    reports.heights({ kind: 'failed', reason: 'made up' });
    const after = counter.read();
    expect(after.anchors).toEqual({ ...before.anchors, accepted: 1, 'no-quorum': 1 });
    expect(after.fetchedByAnchors).toBe(5);
    expect(after.failures).toEqual({ peer: 1, sync: 1, anchors: 1, heights: 1 });
    expect(after.snapshotsTaken).toEqual({ whole: 0, early: 1 });
    expect(after.alarms).toEqual(before.alarms);
  });

  it('count each answer once, by how long it took', () => {
    const counter = createReplicationCounter();
    for (const ms of [0, 100, 101, 1_000, 1_001, 4_999, 60_000]) counter.answered('confirmed', ms);
    counter.answered('pending', 20);
    expect(counter.read().confirmations).toEqual({ '0.1': 2, '1': 2, '5': 3, pending: 1 });
  });

  it('count the operations receipts were for, and those that none was given for', () => {
    const counter = createReplicationCounter();
    const opIds = ['a', 'b', 'c'] as OperationRef['opId'][];
    const receipt = countedReceipts(() => undefined, counter);
    expect(receipt(opIds)).toBeUndefined();
    const given = { count: 2 } as unknown as ReturnType<typeof receipt>;
    expect(countedReceipts(() => given, counter)(opIds.slice(1))).toBe(given);
    expect(counter.read().receipts).toEqual({ given: 2, withheld: 3, received: 0 });
  });

  it('hold what was read: a reading does not change with what comes after', () => {
    const counter = createReplicationCounter();
    const before = counter.read();
    counter.receipts('received', 4);
    expect([before.receipts.received, counter.read().receipts.received]).toEqual([0, 4]);
  });
});

describe('the log of a member that fails again and again', () => {
  it('is cut after twenty lines, for this member alone; the count has all', () => {
    const { log, lines } = recordingLog();
    const counter = createReplicationCounter();
    const reports = createReports({ clock: createManualClock(), log, counter });
    const other = nodeIdFromBytes(new Uint8Array(32).fill(8));
    for (let i = 0; i < 500; i++) reports.sync({ kind: 'peer-failed', nodeId, error: new Error('lied') });
    reports.sync({ kind: 'peer-failed', nodeId: other, error: new Error('silent') });
    expect(lines.length).toBe(21);
    expect(lines.at(-1)?.fields).toMatchObject({ peer: other });
    expect(counter.read().failures.peer).toBe(501);
  });
});
