import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../../../src/core/ids.ts';
import { createCondition } from '../../../../src/node/condition.ts';
import type { Log } from '../../../../src/node/log.ts';
import { createCatchingUp } from '../../../../src/node/replication/catching-up.ts';
import type { StoreHead } from '../../../../src/node/store/index.ts';
import type { Coverage } from '../../../../src/replication/sync/catch-up.ts';
import { createManualClock } from '../../../support/manual-clock.ts';
import { seededRandom } from '../../../support/seeded-random.ts';

const hash = seededRandom('heads').bytes(32);
const [self, member, other] = ['self', 'member', 'other'] as NodeId[] as [NodeId, NodeId, NodeId];
const rosterOf = (...ids: NodeId[]) => ids.map((nodeId) => ({ nodeId, platform: nodeId, operator: nodeId }));

/** A node in its second boot, its store at batch 10, and members whose memory and frontiers a test sets. */
function createWorld(roster = rosterOf(self, member, other)) {
  const clock = createManualClock();
  const events: string[] = [];
  const note = (event: string) => void events.push(event);
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const condition = createCondition({ log });
  condition.enter('catching-up', []);
  const members = {
    remembered: [] as { incarnation: number; sequence: number }[],
    coverage: { kind: 'behind', why: ['entries are missing'] } as Coverage,
  };
  const catchingUp = createCatchingUp({
    clock,
    log,
    condition,
    nodeId: self,
    roster: () => roster,
    head: { batchSeq: 10, rootHash: hash } as StoreHead,
    incarnation: 2,
    sync: {
      missing: () => [],
      coverage: () => members.coverage,
      askHeads: async () => members.remembered.map((head) => ({ nodeId: member, head: { ...head, hash } })),
      onFrontier: () => () => undefined,
    },
  });
  /** As the node looks: once a second. */
  const look = async () => {
    await clock.advance(1_000);
    const missing = catchingUp.missing();
    await clock.advance(0);
    return missing;
  };
  const count = (event: string) => events.filter((one) => one === event).length;
  return { catchingUp, condition, members, look, count, clock };
}

describe('a node that catches up', () => {
  it('gives its word once a member has said that it remembers no more than the disk has', async () => {
    const { catchingUp, members, look } = createWorld();
    members.remembered = [{ incarnation: 1, sequence: 10 }];
    expect(catchingUp.mayConfirm()).toBe(false);
    await look();
    expect(await look()).toEqual([]);
    expect(catchingUp.mayConfirm()).toBe(true);
  });

  it('does not before a majority has, itself counted, or after half a minute of asking in vain', async () => {
    const { catchingUp, members, look } = createWorld(rosterOf(self, member, other, 'd' as NodeId));
    members.remembered = [{ incarnation: 1, sequence: 10 }];
    for (let second = 0; second < 20; second++) await look();
    expect(await look()).toEqual(['asking members what they remember of this node']);
    expect(catchingUp.mayConfirm()).toBe(false);
    for (let second = 0; second < 10; second++) await look();
    expect(await look()).toEqual([]);
  });

  it('asks nobody where there is nobody else', async () => {
    const { catchingUp, look } = createWorld(rosterOf(self));
    expect(catchingUp.mayConfirm()).toBe(true);
    expect(await look()).toEqual([]);
  });

  it('takes what members saw of this boot for no sign of an old disk', async () => {
    const { condition, members, look } = createWorld();
    members.remembered = [{ incarnation: 2, sequence: 99 }];
    await look();
    await look();
    expect(condition.rollback).toBeUndefined();
  });

  it('reports a rollback once, and its end once, however often members say again what they remember', async () => {
    const { catchingUp, condition, members, look, count } = createWorld();
    members.remembered = [{ incarnation: 1, sequence: 14 }];
    await look();
    expect((await look())[0]).toContain('rollback: the disk ends with batch 10, members remember 14');
    expect(catchingUp.mayConfirm()).toBe(false);
    members.coverage = { kind: 'majority' };
    for (let second = 0; second < 5; second++) await look();
    expect(condition.rollback).toBeUndefined();
    expect(catchingUp.mayConfirm()).toBe(true);
    expect([count('rollback'), count('rollback-caught-up')]).toEqual([1, 1]);
  });

  it('is rolled back again if a member comes that remembers more than it has caught up with', async () => {
    const { catchingUp, condition, members, look, count } = createWorld();
    members.remembered = [{ incarnation: 1, sequence: 14 }];
    await look();
    await look();
    members.coverage = { kind: 'reachable' };
    await look();
    members.coverage = { kind: 'behind', why: ['entries are missing'] };
    members.remembered.push({ incarnation: 1, sequence: 17 });
    await look();
    await look();
    expect(condition.rollback).toEqual({ found: 10, remembered: 17 });
    expect(catchingUp.mayConfirm()).toBe(false);
    expect(count('rollback')).toBe(2);
  });
});
