import { describe, expect, it } from 'vitest';
import { operationId } from '../../../../src/core/registration/operation.ts';
import { type EntryWithBodies, type LogEntry, NO_ENTRY_HASH } from '../../../../src/replication/index.ts';
import { OWN_LOG_CACHE_BYTES_MAX, PUSHES_IN_FLIGHT } from '../../../../src/replication/sync/limits.ts';
import { decodeSyncAnswer, decodeSyncRequest, encodeSyncRequest } from '../../../../src/replication/sync/messages.ts';
import { encodeEntry } from '../../../../src/replication/sync/wire.ts';
import { createMemoryReplica } from '../../../support/memory-replica.ts';
import { testUser } from '../../../support/registration.ts';
import { createSyncWorld, register, revoke, type SyncNode, same } from '../../../support/sync-network.ts';

const signal = new AbortController().signal;
const ref = (number: number) => {
  const { operation } = register(number);
  return { opId: operationId(operation), regId: operation.regId };
};
const snapshotsOf = ({ reports }: SyncNode) => reports.filter(({ kind }) => kind === 'snapshot');

describe('catching up', () => {
  it('waits at the start for what the members had then, not for what comes later', async () => {
    const world = createSyncWorld();
    const [a, b] = [await world.join('a'), await world.join('b')];
    await world.clock.advance(1_000);
    a.replica.append([register(1)]);
    await world.clock.advance(1_000);
    const c = await world.join('c', { pull: false, phase: 'recovering' });
    await world.clock.advance(100);
    expect(c.sync.missing()).toEqual(['members have 1 entries in 1 logs that this node lacks']);
    expect(c.sync.status().entriesMissing).toBe(1);
    await c.replica.take(await a.replica.read(a.replica.writerId, 1, 10_000));
    expect(c.sync.missing()).toEqual([]);
    a.replica.append([register(2)]);
    await world.clock.advance(5_000);
    expect(c.sync.status().entriesMissing).toBe(1);
    expect(c.sync.missing()).toEqual([]);
    expect(same(a, b)).toBe(true);
    const { operationsArrived, answered } = b.sync.status();
    expect([operationsArrived, answered.push > 0, answered.head]).toEqual([2, true, 0]);
    await world.stop();
  });

  it('does not take having met nobody for having caught up, for half a minute', async () => {
    const world = createSyncWorld();
    world.add('b');
    const a = await world.join('a');
    expect(a.sync.missing()).toEqual(['no member can be reached yet']);
    await world.clock.advance(31_000);
    expect(a.sync.missing()).toEqual([]);
    expect(a.sync.coverage()).toEqual({ kind: 'behind', why: ['no member can be reached'] });
    await world.stop();
  });

  it('ends a rollback by a majority of the roster, or says that it is degraded', async () => {
    const world = createSyncWorld();
    const nodes = [];
    for (const name of ['a', 'b', 'c', 'd']) nodes.push(await world.join(name));
    const rolled = world.add('e');
    await world.clock.advance(3_000);
    nodes[0]!.replica.append([register(1)]);
    await world.clock.advance(3_000);
    for (const node of nodes.slice(1)) world.setCut(rolled, node, true);
    await world.start(rolled);
    expect(rolled.sync.coverage().kind).toBe('behind');
    // What others have is here, but they may still be about to connect.
    await world.clock.advance(5_000);
    expect(rolled.sync.coverage()).toEqual({ kind: 'behind', why: ['waiting for a majority of the members'] });
    await world.clock.advance(25_000);
    expect(rolled.sync.coverage()).toEqual({ kind: 'reachable' });
    for (const node of nodes.slice(1, 3)) world.setCut(rolled, node, false);
    await world.clock.advance(5_000);
    expect(rolled.sync.coverage()).toEqual({ kind: 'majority' });
    await world.stop();
  });

  it('of a cold node far behind is by snapshot, of one a little behind by pulls', async () => {
    const world = createSyncWorld();
    const [a, b] = [await world.join('a'), await world.join('b')];
    for (let i = 0; i < 1_100; i++) a.replica.append([i % 2 ? revoke(i % 50) : register(i % 50)]);
    await world.clock.advance(20_000);
    expect(same(a, b)).toBe(true);
    const cold = await world.join('cold');
    await world.clock.advance(5_000);
    expect(same(a, cold)).toBe(true);
    expect(snapshotsOf(cold)).toHaveLength(1);
    expect(cold.replica.position(a.replica.writerId)?.first).toBe(1_101);

    world.crash(cold);
    for (let i = 100; i < 110; i++) a.replica.append([register(i)]);
    await world.start(cold, { replica: cold.replica });
    await world.clock.advance(5_000);
    expect(same(a, cold)).toBe(true);
    expect(snapshotsOf(cold)).toHaveLength(1);
    await world.stop();
  }, 60_000);

  it('goes on with the next member when the one that gives a snapshot dies', async () => {
    const world = createSyncWorld();
    const [a, b, c] = [await world.join('a'), await world.join('b'), await world.join('c')];
    for (let i = 0; i < 700; i++) a.replica.append([register(i)]);
    await world.clock.advance(20_000);
    for (const { replica } of [b, c]) replica.forgetEntries(a.replica.writerId, 600);
    world.crash(a);
    for (const dying of [b, c]) {
      dying.hostile = {
        async *snapshot(_, honest) {
          let items = 0;
          for await (const item of honest()) {
            if (items++ === 2 && [b, c].every(({ up }) => up)) world.crash(dying);
            yield item;
          }
        },
      };
    }
    const cold = await world.join('cold');
    await world.clock.advance(90_000);
    const left = [b, c].find(({ up }) => up)!;
    expect([b, c].filter(({ up }) => up)).toHaveLength(1);
    expect(same(left, cold)).toBe(true);
    await world.stop();
  }, 60_000);

  it('pulls one log from several members in turn', async () => {
    const world = createSyncWorld();
    const [a, b, c] = [await world.join('a'), await world.join('b'), await world.join('c')];
    for (let i = 0; i < 900; i++) a.replica.append([register(i)]);
    await world.clock.advance(20_000);
    world.crash(a);
    const pulls = new Map<SyncNode, number>();
    for (const node of [b, c]) {
      node.hostile = {
        answer(_, body, honest) {
          if (decodeSyncRequest(body).kind === 'pull') pulls.set(node, (pulls.get(node) ?? 0) + 1);
          return honest();
        },
      };
    }
    const late = await world.join('late');
    await world.clock.advance(10_000);
    expect(same(b, late)).toBe(true);
    expect(Math.abs(pulls.get(b)! - pulls.get(c)!)).toBeLessThanOrEqual(1);
    await world.stop();
  }, 60_000);
});

describe('what is wanted', () => {
  it('is fetched from whoever has it, also if the writer of the log has not', async () => {
    const world = createSyncWorld();
    const [a, b, c] = [await world.join('a'), await world.join('b'), await world.join('c')];
    await world.clock.advance(1_000);
    world.setCut(a, c, true);
    world.setCut(b, c, true);
    a.replica.append([register(1)]);
    await world.clock.advance(1_000);
    a.replica.loseKeys(testUser(1).regId);
    const bare = { operation: register(1).operation, keys: undefined };
    await c.replica.takeBodies([bare]);
    expect(c.replica.wanted()).toHaveLength(1);
    world.setCut(a, c, false);
    await world.clock.advance(7_000);
    // a has it again from b, and gives it to c.
    expect(a.replica.wanted()).toEqual([]);
    await world.clock.advance(30_000);
    expect(c.replica.wanted()).toEqual([]);
    expect(same(a, b, c)).toBe(true);
    await world.stop();
  });

  it('is asked for less and less if nobody has it', async () => {
    const world = createSyncWorld();
    const [a, b] = [await world.join('a'), await world.join('b')];
    await world.clock.advance(1_000);
    let fetches = 0;
    b.hostile = {
      answer(_, body, honest) {
        if (decodeSyncRequest(body).kind === 'fetch') fetches += 1;
        return honest();
      },
    };
    for (const { replica } of [a, b]) {
      await replica.takeBodies([{ operation: register(1).operation, keys: undefined }]);
    }
    await world.clock.advance(1_800_000);
    expect(fetches).toBeGreaterThan(5);
    expect(fetches).toBeLessThan(30);
    await world.stop();
  });

  it('looks for a registration that a user says others have, and gives up after some turns', async () => {
    const world = createSyncWorld();
    const a = await world.join('a');
    const c = await world.join('c', { pull: false });
    await world.clock.advance(1_000);
    await a.replica.takeBodies([register(1)]);
    expect(c.sync.want(ref(1).regId, [a.identity.nodeId])).toBe(true);
    expect(c.sync.want(ref(9).regId, [a.identity.nodeId])).toBe(true);
    await world.clock.advance(20_000);
    expect(await c.replica.holds(ref(1))).toBe(true);
    await world.clock.advance(3_600_000);
    expect(await c.replica.holds(ref(9))).toBe(false);
    await world.stop();
  });
});

describe('receipts and heads', () => {
  it('are asked for again, and given for what is held only, and not in a rollback', async () => {
    const world = createSyncWorld();
    const [a, b] = [await world.join('a'), await world.join('b')];
    await world.clock.advance(1_000);
    await b.replica.takeBodies([register(1), register(2)]);
    const certify = () => world.clock.settle(a.sync.certify(b.identity.nodeId, [ref(1), ref(9), ref(2)], { signal }));
    expect(await certify()).toEqual([ref(1), ref(2)]);
    expect(a.receipts.at(-1)?.refs).toEqual([ref(1), ref(2)]);
    b.replica.rollback = true;
    expect(await certify()).toEqual([]);
    await world.stop();
  });

  it('are not given for an entry whose body did not come with it, nor had come before', async () => {
    const world = createSyncWorld();
    const [a, b] = [await world.join('a'), await world.join('b', { pull: false })];
    const push = async (entry: LogEntry, bodies: EntryWithBodies['bodies']) => {
      const body = encodeSyncRequest({ kind: 'push', entries: [encodeEntry({ entry, bodies })] });
      const answer = decodeSyncAnswer(await b.sync.handle(a.identity.nodeId, body, { signal }));
      return answer.kind === 'pushed' ? { outcome: answer.outcomes[0]?.kind, receipt: answer.receipt } : undefined;
    };
    const entry = a.replica.signEntry(1, NO_ENTRY_HASH, [register(1).operation]);
    expect(await push(entry, [undefined])).toEqual({ outcome: 'taken', receipt: undefined });
    // The entry is held now, and its body is not looked at any more.
    expect(await b.replica.holds(ref(1))).toBe(false);
    expect(await push(entry, [undefined])).toEqual({ outcome: 'taken', receipt: undefined });
    await b.replica.takeBodies([register(1)]);
    expect(await push(entry, [undefined])).toMatchObject({ outcome: 'taken', receipt: { count: 1 } });
    await world.stop();
  });

  it('of a member in rollback are absent, and its taken entries count as its frontier all the same', async () => {
    const world = createSyncWorld();
    const [a, b] = [await world.join('a'), await world.join('b')];
    b.replica.rollback = true;
    await world.clock.advance(1_000);
    a.replica.append([register(1)]);
    await world.clock.advance(100);
    expect(a.receipts).toEqual([]);
    expect(a.sync.holdersOf(a.replica.writerId, 1)).toEqual([b.identity.nodeId]);
    await world.stop();
  });

  it('say how far this node was when others last heard of it', async () => {
    const world = createSyncWorld();
    const [a, b, c] = [await world.join('a'), await world.join('b'), await world.join('c')];
    const head = { incarnation: 4, sequence: 17, hash: new Uint8Array(32).fill(3) };
    b.heads.set(a.identity.nodeId, head);
    const heads = await world.clock.settle(a.sync.askHeads({ signal }));
    expect(heads).toHaveLength(2);
    expect(heads).toContainEqual({ nodeId: b.identity.nodeId, head });
    expect(heads).toContainEqual({ nodeId: c.identity.nodeId, head: undefined });
    expect(c.heads.size).toBe(0);
    await world.stop();
  });
});

describe('pushing', () => {
  it('keeps a bounded number of messages and bytes for a peer that never answers', async () => {
    const world = createSyncWorld();
    const [a, b] = [await world.join('a'), await world.join('b', { pull: false })];
    await world.clock.advance(1_000);
    let waiting = 0;
    let waitingMax = 0;
    b.hostile = {
      answer(_, body, honest) {
        if (decodeSyncRequest(body).kind !== 'push') return honest();
        waitingMax = Math.max(waitingMax, ++waiting);
        // The request ends by its deadline.
        world.clock.schedule(10_000, () => void waiting--);
        return new Promise(() => undefined);
      },
    };
    for (let i = 0; i < 1_000; i++) {
      a.replica.append([register(i % 20, { version: 500 + (i >> 2) })]);
      if (i % 50 === 0) await world.clock.advance(10);
    }
    await world.clock.advance(5_000);
    expect(waitingMax).toBe(PUSHES_IN_FLIGHT);
    expect(a.sync.status().pushBytesHeld).toBeLessThanOrEqual(OWN_LOG_CACHE_BYTES_MAX);
    await world.stop();
  }, 60_000);

  it('goes to members that catch up or are ready, and wipes what all have got', async () => {
    const world = createSyncWorld();
    const [a, b] = [await world.join('a'), await world.join('b', { pull: false, phase: 'recovering' })];
    await world.clock.advance(1_000);
    a.replica.append([register(1)]);
    await world.clock.advance(5_000);
    expect(b.replica.digest).toBe('');
    world.setPhase(b, 'catching-up');
    await world.clock.advance(1_000);
    expect(same(a, b)).toBe(true);
    expect(a.sync.status().pushBytesHeld).toBe(0);
    await world.stop();
  });

  it('syncs together what comes while a batch is being synced', async () => {
    const world = createSyncWorld();
    const [a, b] = [await world.join('a'), await world.join('b')];
    await world.clock.advance(1_000);
    const before = b.replica.batches;
    for (let i = 0; i < 200; i++) a.replica.append([register(i)]);
    await world.clock.advance(100);
    expect(same(a, b)).toBe(true);
    expect(b.replica.batches - before).toBeLessThan(20);
    await world.stop();
  });

  it('goes on after a disk that was full', async () => {
    const world = createSyncWorld();
    const [a, b] = [await world.join('a'), await world.join('b')];
    await world.clock.advance(1_000);
    b.replica.failing = true;
    a.replica.append([register(1)]);
    await world.clock.advance(10_000);
    expect(a.receipts).toEqual([]);
    b.replica.failing = false;
    await world.clock.advance(70_000);
    expect(same(a, b)).toBe(true);
    await world.stop();
  });

  it('begins a new log after a restart and leaves the old one to pulls', async () => {
    const world = createSyncWorld();
    const [a, b, c] = [await world.join('a'), await world.join('b'), await world.join('c')];
    world.setCut(a, c, true);
    a.replica.append([register(1)]);
    await world.clock.advance(500);
    world.crash(a);
    const replica = createMemoryReplica(a.identity, { incarnation: 2 });
    await world.start(a, { replica });
    a.replica.append([register(2)]);
    await world.clock.advance(10_000);
    expect(same(a, b, c)).toBe(true);
    expect(c.replica.positions()).toHaveLength(2);
    await world.stop();
  });
});
