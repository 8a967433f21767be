import { describe, expect, it } from 'vitest';
import { KithError } from '../../../../src/core/errors.ts';
import { operationId } from '../../../../src/core/registration/operation.ts';
import { NO_ENTRY_HASH, writerIdOf } from '../../../../src/replication/index.ts';
import {
  decodeSnapshotItem,
  decodeSyncAnswer,
  decodeSyncRequest,
  encodeSnapshotItem,
  encodeSyncAnswer,
  encodeSyncRequest,
  type SyncAnswer,
  type SyncRequest,
} from '../../../../src/replication/sync/messages.ts';
import { bodyToWire, encodeEntry } from '../../../../src/replication/sync/wire.ts';
import { rejectionOf } from '../../../support/outcome.ts';
import { testUser } from '../../../support/registration.ts';
import {
  createSyncWorld,
  type Hostile,
  register,
  renew,
  revoke,
  type SyncNode,
  same,
} from '../../../support/sync-network.ts';

const signal = new AbortController().signal;

/** Answers of this kind come out altered. */
function altering<K extends SyncAnswer['kind']>(
  kind: K,
  alter: (answer: Extract<SyncAnswer, { kind: K }>, request: SyncRequest) => SyncAnswer | Promise<SyncAnswer>,
): Hostile {
  return {
    async answer(_from, body, honest) {
      const answer = decodeSyncAnswer(await honest());
      if (answer.kind !== kind) return encodeSyncAnswer(answer);
      return encodeSyncAnswer(await alter(answer as Extract<SyncAnswer, { kind: K }>, decodeSyncRequest(body)));
    },
  };
}

/** Two members with these operations of the first, which then died, and a third that comes back for them. */
async function orphaned(count: number, hostile?: Hostile) {
  const world = createSyncWorld();
  const [a, liar, honest] = [await world.join('a'), await world.join('b'), await world.join('c')];
  await world.clock.advance(1_000);
  for (let i = 0; i < count; i++) a.replica.append([register(i)]);
  await world.clock.advance(3_000);
  world.crash(a);
  liar.hostile = hostile;
  return { world, a, liar, honest };
}

const failures = (node: SyncNode) => node.reports.filter(({ kind }) => kind === 'peer-failed').length;

describe('a hostile member', () => {
  it('that never answers delays nobody', async () => {
    const { world, honest } = await orphaned(5, { answer: () => new Promise(() => undefined) });
    const late = await world.join('late');
    await world.clock.advance(20_000);
    expect(same(honest, late)).toBe(true);
    expect(late.sync.missing()).not.toEqual([]);
    await world.clock.advance(20_000);
    // Silent for longer than a node waits for one that says nothing.
    expect(late.sync.missing()).toEqual([]);
    await world.stop();
  });

  it('that announces more than there is is passed over, and does not keep a node from being ready', async () => {
    const lie = altering('frontier', (answer) => ({
      ...answer,
      positions: answer.positions.map((position) => ({ ...position, seq: position.seq + 1_000 })),
    }));
    const { world, honest } = await orphaned(5, lie);
    const late = await world.join('late');
    await world.clock.advance(30_000);
    expect(same(honest, late)).toBe(true);
    expect(failures(late)).toBeGreaterThan(0);
    expect(late.sync.missing()).toEqual([]);
    await world.stop();
  });

  it('that sends pages of a frontier without end is cut short', async () => {
    const lie = altering('frontier', (answer) => ({ ...answer, more: true }));
    const { world, liar } = await orphaned(1, lie);
    const late = await world.join('late');
    world.resetTraffic();
    await world.clock.advance(10_000);
    expect(late.sync.announced(liar.identity.nodeId)).toBeUndefined();
    expect(world.traffic.messages).toBeLessThan(300);
    await world.stop();
  });

  it('that gives entries of another place, other bodies or broken bytes moves no position', async () => {
    const other = bodyToWire(register(99));
    const lies: ((answer: Extract<SyncAnswer, { kind: 'pulled' }>) => SyncAnswer)[] = [
      (answer) => ({ ...answer, logs: answer.logs.map((log) => ({ ...log, entries: [...log.entries].reverse() })) }),
      (answer) => ({ ...answer, logs: answer.logs.map((log) => ({ entries: log.entries.slice(1) })) }),
      (answer) => ({ ...answer, logs: answer.logs.map(() => ({ entries: [], first: 0 })) }),
      (answer) => ({ ...answer, logs: answer.logs.map(() => ({ entries: [other.operation] })) }),
      () => ({ kind: 'bodies', bodies: [other], answered: 1 }),
      () => ({ kind: 'same' }),
    ];
    for (const lie of lies) {
      const { world, honest, liar } = await orphaned(5, altering('pulled', lie));
      world.crash(honest);
      const late = await world.join('late');
      await world.clock.advance(5_000);
      expect(late.replica.digest).toBe('');
      expect(late.replica.positions()).toEqual([]);
      expect(failures(late)).toBeGreaterThan(0);
      liar.hostile = undefined;
      await world.clock.advance(60_000);
      expect(same(liar, late)).toBe(true);
      await world.stop();
    }
  });

  it('that puts another body beside an entry is found out, and the entry is taken from an honest one', async () => {
    const world = createSyncWorld();
    const [a, liar] = [await world.join('a'), await world.join('b')];
    const entry = a.replica.append([register(1)]);
    await world.clock.advance(3_000);
    liar.hostile = altering('pulled', (answer) => ({
      ...answer,
      logs: answer.logs.map(() => ({ entries: [encodeEntry({ entry, bodies: [register(2)] })] })),
    }));
    a.phase = 'draining';
    const late = await world.join('late', { phase: 'draining' });
    await world.clock.advance(60_000);
    expect(late.replica.digest).toBe(a.replica.digest);
    await world.stop();
  });

  it('that leaves out bodies that count is found by an audit, and healed', async () => {
    const { world, honest, liar } = await orphaned(5);
    world.crash(honest);
    liar.hostile = {
      async answer(_from, _body, answer) {
        const pulled = decodeSyncAnswer(await answer());
        if (pulled.kind !== 'pulled') return encodeSyncAnswer(pulled);
        const all = await liar.replica.read(idOf(liar), 1, 1_000_000);
        const bare = all.map(({ entry, bodies }, i) => encodeEntry({ entry, bodies: i < 2 ? [undefined] : bodies }));
        return encodeSyncAnswer({ ...pulled, logs: [{ entries: bare }] });
      },
    };
    const late = await world.join('late');
    await world.clock.advance(5_000);
    expect(late.sync.missing()).toEqual([]);
    expect(same(liar, late)).toBe(false);
    const outcome = await world.clock.settle(late.sync.audit({ signal }));
    expect(outcome).toMatchObject({ kind: 'diverged', takenHere: 2, takenThere: 0 });
    expect(late.divergences).toHaveLength(1);
    expect(same(liar, late)).toBe(true);
    await world.stop();
  });

  it('that claims a gap beyond the end, or one again and again, is asked less and less', async () => {
    for (const seq of [0, 1_000]) {
      const world = createSyncWorld();
      const [a, b] = [await world.join('a'), await world.join('b', { pull: false })];
      b.hostile = {
        answer(_from, body, honest) {
          if (decodeSyncRequest(body).kind !== 'push') return honest();
          return Promise.resolve(encodeSyncAnswer({ kind: 'pushed', outcomes: [{ kind: 'gap', seq }] }));
        },
      };
      await world.clock.advance(1_000);
      a.replica.append([register(1)]);
      world.resetTraffic();
      await world.clock.advance(60_000);
      // Frontiers every two seconds from both sides, and some tens of pushes with growing pauses.
      expect(world.traffic.messages).toBeLessThan(240);
      expect(a.sync.holdersOf(a.replica.writerId, 1)).toEqual([]);
      b.hostile = undefined;
      await world.clock.advance(70_000);
      expect(same(a, b)).toBe(true);
      await world.stop();
    }
  });

  it('that gives a receipt for other operations, or by another key, has given none', async () => {
    const world = createSyncWorld();
    const [a, b, c] = [await world.join('a'), await world.join('b'), await world.join('c')];
    const wrong = c.replica.receipt([operationId(register(7).operation)])!;
    const lent = c.replica.receipt([operationId(register(1).operation)])!;
    let pushes = 0;
    b.hostile = altering('pushed', (answer) => ({ ...answer, receipt: pushes++ % 2 === 0 ? wrong : lent }));
    await world.clock.advance(1_000);
    a.replica.append([register(1)]);
    await world.clock.advance(2_000);
    expect(a.receipts.map(({ nodeId }) => nodeId)).toEqual([c.identity.nodeId]);
    await world.stop();
  });

  it('that pushes the log of another, an empty or an overlong push, garbage, is refused', async () => {
    const world = createSyncWorld();
    const [a, b] = [await world.join('a'), await world.join('b')];
    const entry = a.replica.signEntry(1, NO_ENTRY_HASH, [register(1).operation]);
    const encoded = encodeEntry({ entry, bodies: [register(1)] });
    const code = async (from: SyncNode, body: Uint8Array) =>
      (await rejectionOf(b.sync.handle(from.identity.nodeId, body, { signal })))?.code;
    const push = (entries: Uint8Array[]) => encodeSyncRequest({ kind: 'push', entries });
    expect(await code(b, push([encoded]))).toBe('not-own-log');
    expect(await code(a, push([]))).toBe('bad-shape');
    expect(await code(a, new Uint8Array(300_000))).toBe('too-large');
    expect(await code(a, push([encoded.slice(1)]))).toBeDefined();
    expect(await code(a, Uint8Array.of(0x9f))).toBe('malformed');
    const lacking = encodeEntry({ entry, bodies: [] as never });
    expect(await code(a, push([lacking]))).toBe('bad-shape');
    expect(b.replica.positions()).toEqual([]);
    await world.stop();
  });

  it('that signs two entries at one place is found out by everybody, and no operation of either is lost', async () => {
    const world = createSyncWorld();
    const [a, b, c] = [await world.join('a'), await world.join('b'), await world.join('c')];
    world.setCut(b, c, true);
    const fork = (number: number) => ({
      entry: a.replica.signEntry(1, NO_ENTRY_HASH, [register(number).operation]),
      bodies: [register(number)],
    });
    await b.replica.take([fork(1)]);
    await c.replica.take([fork(2)]);
    world.crash(a);
    world.setCut(b, c, false);
    await world.clock.advance(10_000);
    expect(same(b, c)).toBe(true);
    for (const { replica, reports } of [b, c]) {
      expect(replica.evidence.length).toBeGreaterThan(0);
      expect(reports.filter(({ kind }) => kind === 'forked')).toHaveLength(1);
    }
    await world.stop();
  });

  it('does not bring back what was revoked, whatever it offers', async () => {
    const world = createSyncWorld();
    const [a, b] = [await world.join('a'), await world.join('b')];
    await world.clock.advance(1_000);
    a.replica.append([register(1)]);
    a.replica.append([revoke(1)]);
    await world.clock.advance(1_000);
    const before = b.replica.digest;
    const offer = encodeSyncRequest({ kind: 'offer', bodies: [bodyToWire(register(1)), bodyToWire(renewOf(1))] });
    await b.sync.handle(a.identity.nodeId, offer, { signal });
    const sealed = (await b.replica.bodiesOf(testUser(1).regId)).map(({ operation }) => operation.type);
    expect(sealed).toContain('revoke');
    expect(b.replica.digest.split(' ')[0]).toBe(before.split(' ')[0]);
    expect(b.replica.digest.endsWith('false')).toBe(true);
    await world.stop();
  });
});

const renewOf = (number: number) => ({ ...renew(number), keys: undefined });
const idOf = (node: SyncNode) => [...node.replica.positions()].map(({ writer }) => writerIdOf(writer))[0]!;

describe('a hostile snapshot', () => {
  const cold = async (hostile: Hostile) => {
    const made = await orphaned(100);
    const { world, liar, honest } = made;
    for (const node of [liar, honest]) node.replica.forgetEntries(idOf(node), 50);
    liar.hostile = hostile;
    return { ...made, late: await world.join('late') };
  };

  it.each<[string, Hostile['snapshot']]>([
    ['ends early', (_, honest) => cutShort(honest())],
    ['never sends an item', () => silent()],
    ['repeats itself without end', () => endless()],
    ['says more after its end', (_, honest) => more(honest())],
    ['holds a body nobody signed', (_, honest) => forged(honest())],
    ['fails', () => failing()],
  ])('that %s moves no position, and the next member gives a whole one', async (_, snapshot) => {
    const { world, honest, liar, late } = await cold({ snapshot: snapshot! });
    world.crash(honest);
    await world.clock.advance(20_000);
    expect(late.replica.positions()).toEqual([]);
    expect(failures(late)).toBeGreaterThan(0);
    await world.start(honest);
    await world.clock.advance(90_000);
    expect(same(honest, late)).toBe(true);
    expect(late.replica.positions()).toHaveLength(1);
    expect(late.sync.missing()).toEqual([]);
    liar.hostile = undefined;
    await world.stop();
  });
});

async function* cutShort(items: AsyncIterable<Uint8Array>) {
  for await (const item of items) if (decodeSnapshotItem(item).kind !== 'end') yield item;
}

async function* silent(): AsyncGenerator<Uint8Array> {
  await new Promise(() => undefined);
}

async function* endless(): AsyncGenerator<Uint8Array> {
  const bodies = Array.from({ length: 200 }, () => bodyToWire({ ...register(1), keys: undefined }));
  for (;;) yield encodeSnapshotItem({ kind: 'bodies', bodies });
}

async function* more(items: AsyncIterable<Uint8Array>) {
  yield encodeSnapshotItem({ kind: 'end' });
  yield* items;
}

async function* forged(items: AsyncIterable<Uint8Array>) {
  const { operation } = register(1);
  const signature = operation.signature.slice();
  signature[0]! ^= 1;
  yield encodeSnapshotItem({
    kind: 'bodies',
    bodies: [bodyToWire({ operation: { ...operation, signature }, keys: undefined })],
  });
  yield* items;
}

// biome-ignore lint/correctness/useYield: it fails before its first item
async function* failing(): AsyncGenerator<Uint8Array> {
  throw new KithError('stream-aborted', 'reset');
}
