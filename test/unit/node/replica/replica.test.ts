import { beforeEach, describe, expect, it } from 'vitest';
import { equalBytes, toHex } from '../../../../src/core/bytes.ts';
import { idBytes, nodeIdFromBytes, type OpId, opIdFromBytes } from '../../../../src/core/ids.ts';
import { checkBatchReceipt } from '../../../../src/core/receipt.ts';
import { type Operation, operationId } from '../../../../src/core/registration/operation.ts';
import { SEGMENT_ENTRIES } from '../../../../src/node/replica/limits.ts';
import { type BatchFate, createMemoryDisk } from '../../../../src/node/store/index.ts';
import {
  checkLogEntry,
  type EntryWithBodies,
  logEntryHash,
  NO_ENTRY_HASH,
  signLogEntry,
  writerIdOf,
} from '../../../../src/replication/index.ts';
import { bootReplica, type ReplicaNode, replicaCluster, replicaUser } from '../../../support/replica-node.ts';
import { codeOf } from '../../../support/sealed-store.ts';

const anna = replicaUser('anna');
const boris = replicaUser('boris');
const clara = replicaUser('clara');
const all = [anna, boris, clara];
const FOREVER = Number.MAX_SAFE_INTEGER;

let origin: ReplicaNode;
let other: ReplicaNode;
let fate: BatchFate;
beforeEach(async () => {
  fate = 'written';
  origin = await bootReplica('origin', createMemoryDisk().open());
  other = await bootReplica('other', createMemoryDisk({ onBatch: () => fate }).open());
});

/** What a registration says and holds, to be compared between nodes. */
const picture = ({ replica, registrations }: ReplicaNode) => ({
  states: [...replica.states()]
    .map((state) => ({ ...state, opIds: [...state.opIds].sort() }))
    .sort((a, b) => (a.regId < b.regId ? -1 : 1)),
  counts: registrations.counts,
});
const forge = (of: EntryWithBodies, node: ReplicaNode, changes: object): EntryWithBodies => {
  const { signature: _, ...fields } = of.entry;
  return { ...of, entry: signLogEntry(node.sign, replicaCluster, { ...fields, ...changes }) };
};
const ref = (operation: Operation) => ({ opId: operationId(operation), regId: operation.regId });

describe('the own log', () => {
  it('has each batch of users once, signed, chained, and read with its bodies', async () => {
    const registers = all.map((user) => user.register());
    await Promise.all(all.map((user, i) => origin.submit(user, registers[i]!)));
    const renewed = anna.renew(1_001, 2_500);
    const done = await origin.submit(anna, renewed);
    const entries = await origin.ownEntries();
    expect(entries.map(({ entry }) => [entry.seq, entry.operations.length, entry.expiryHeight])).toEqual([
      [1, 3, 2_000],
      [2, 1, 2_500],
    ]);
    expect(entries.every(({ entry }) => checkLogEntry(entry, replicaCluster))).toBe(true);
    expect(entries[0]!.entry.previous).toEqual(NO_ENTRY_HASH);
    expect(entries[1]!.entry.previous).toEqual(logEntryHash(entries[0]!.entry));
    expect(entries[0]!.bodies).toEqual(all.map((user, i) => user.body(registers[i]!)));
    expect(done).toMatchObject({ opId: operationId(renewed), origin: { writer: origin.replica.ownLog, seq: 2 } });
    expect(origin.replica.positions()).toMatchObject([{ seq: 2, first: 1, expiryHeight: 2_500 }]);
  });

  it('has neither repetitions nor refusals, and is told of when it grew', async () => {
    let appended = 0;
    const end = origin.replica.onAppended(() => appended++);
    const register = anna.register();
    const first = await origin.submit(anna, register);
    expect(await origin.submit(anna, register)).toEqual({ ...first, repeated: true });
    expect(await codeOf(origin.submit(anna, anna.register(999)))).toBe('superseded');
    expect([appended, origin.replica.position(origin.replica.ownLog)!.seq]).toEqual([1, 1]);
    end();
    await origin.submit(boris, boris.register());
    expect(appended).toBe(1);
  });

  it('splits a large batch into entries, and each operation names its own', async () => {
    const users = Array.from({ length: 150 }, (_, i) => replicaUser(`user ${i}`, 1));
    const done = await Promise.all(users.map((user) => origin.submit(user, user.register())));
    const entries = await origin.ownEntries();
    expect(entries.map(({ entry }) => entry.operations.length)).toEqual([128, 22]);
    for (const { opId, origin: place } of done) {
      const named = entries[place!.seq - 1]!.entry.operations.map((one) => opIdFromBytes(one.opId));
      expect(named).toContain(opId);
    }
  });

  it('lets two operations on one registration share a batch', async () => {
    const [register, revoke] = [anna.register(1_000), anna.revoke(1_001)];
    const again = anna.register(1_002, 3_000, 500);
    await Promise.all([register, revoke, again].map((operation) => origin.submit(anna, operation)));
    expect((await origin.ownEntries()).map(({ entry }) => entry.operations.length)).toEqual([3]);
    expect(origin.registrations.standing(register.regId)).toMatchObject({ kind: 'open', birthday: 500 });
    expect([origin.engine.stats.keys, origin.indexSets.size]).toEqual([1, 1]);
    expect((await origin.ownEntries())[0]!.bodies.map((body) => body?.operation)).toEqual([
      undefined,
      undefined,
      again,
    ]);
    expect(await origin.replica.bodiesOf(register.regId)).toEqual([anna.body(again)]);
  });

  it('has nothing of a batch that the disk did not take', async () => {
    await other.submit(boris, boris.register());
    fate = 'full';
    const failing = [other.submit(anna, anna.register()), other.submit(boris, boris.revoke(1_001))];
    expect(await Promise.all(failing.map(codeOf))).toEqual(['store-full', 'store-full']);
    expect(other.registrations.counts).toEqual({ held: 1, known: 1 });
    expect([other.engine.stats.keys, other.indexSets.size]).toEqual([1, 1]);
    expect(other.replica.position(other.replica.ownLog)!.seq).toBe(1);
    fate = 'written';
    await other.submit(anna, anna.register());
    const entries = await other.ownEntries();
    expect(entries.map(({ entry }) => entry.seq)).toEqual([1, 2]);
    expect(await origin.replica.take(entries)).toEqual([{ kind: 'taken' }, { kind: 'taken' }]);
  });
});

describe('another log', () => {
  it('is taken entry by entry, and both nodes hold the same', async () => {
    await Promise.all(all.map((user) => origin.submit(user, user.register())));
    await origin.submit(anna, anna.renew(1_001, 2_500));
    await origin.submit(boris, boris.revoke(1_002));
    const entries = await origin.ownEntries();
    const { batchSeq } = other.store.head;
    expect(await other.replica.take(entries)).toEqual(entries.map(() => ({ kind: 'taken' })));
    expect(other.store.head.batchSeq).toBe(batchSeq + 1);
    expect(picture(other)).toEqual(picture(origin));
    expect(other.engine.stats.keys).toBe(2);
    const [position] = other.replica.positions();
    expect(position).toEqual(origin.replica.positions()[0]);
    expect(await other.replica.read(origin.replica.ownLog, 1, FOREVER)).toEqual(entries);
    expect(await other.replica.inForce(anna.register().regId)).toContainEqual({
      opId: operationId(anna.renew(1_001, 2_500)),
      origin: { writer: origin.replica.ownLog, seq: 2 },
    });
  });

  it('is taken once: what is held is taken again without a word, and a gap says where it begins', async () => {
    await origin.submit(anna, anna.register());
    await origin.submit(boris, boris.register());
    await origin.submit(clara, clara.register());
    const entries = await origin.ownEntries();
    expect(await other.replica.take([entries[1]!])).toEqual([{ kind: 'gap', seq: 0 }]);
    expect(other.registrations.counts.known).toBe(0);
    expect(await other.replica.take([entries[0]!, entries[2]!])).toEqual([{ kind: 'taken' }, { kind: 'gap', seq: 1 }]);
    const { batchSeq } = other.store.head;
    expect(await other.replica.take([entries[0]!])).toEqual([{ kind: 'taken' }]);
    expect(other.store.head.batchSeq).toBe(batchSeq);
    const twice = await Promise.all([other.replica.take(entries), other.replica.take(entries)]);
    expect(twice.flat().map(({ kind }) => kind)).toEqual(Array.from({ length: 6 }, () => 'taken'));
  });

  it('is read in pages of the size asked for, at least one entry at a time', async () => {
    for (const user of all) await origin.submit(user, user.register());
    const lengths = async (from: number, bytesMax: number) =>
      (await origin.replica.read(origin.replica.ownLog, from, bytesMax)).map(({ entry }) => entry.seq);
    expect(await lengths(1, 1)).toEqual([1]);
    expect(await lengths(2, 2_500)).toEqual([2, 3]);
    expect(await lengths(4, FOREVER)).toEqual([]);
  });

  it('counts although a body that nobody needs any more is left out', async () => {
    const [register, revoke] = [anna.register(), anna.revoke(1_001)];
    await origin.submit(anna, register);
    await origin.submit(anna, revoke);
    const entries = await origin.ownEntries();
    expect(entries.map(({ bodies }) => bodies.map((body) => body?.operation.type))).toEqual([[undefined], ['revoke']]);
    expect(await other.replica.take(entries)).toEqual([{ kind: 'taken' }, { kind: 'taken' }]);
    expect(other.registrations.standing(register.regId)).toMatchObject({ kind: 'revoked' });
    expect(await other.replica.holds(ref(register))).toBe(false);
    expect(await origin.replica.holds(ref(register))).toBe(true);
  });

  it('waits with an operation of the future, and takes nothing of its entry before', async () => {
    await origin.submit(anna, anna.register());
    origin.heights.own = origin.heights.cluster = 1_100;
    await origin.submit(boris, boris.register(1_100));
    const entries = await origin.ownEntries();
    expect(await other.replica.take(entries)).toMatchObject([
      { kind: 'taken' },
      { kind: 'refused', refusal: { reason: 'version-in-future' } },
    ]);
    expect(other.replica.positions()).toMatchObject([{ seq: 1 }]);
    other.heights.cluster = 1_090;
    expect(await other.replica.take(entries)).toEqual([{ kind: 'taken' }, { kind: 'taken' }]);
  });

  it('has nothing of an entry that the disk did not take', async () => {
    await origin.submit(anna, anna.register());
    const entries = await origin.ownEntries();
    fate = 'full';
    expect(await codeOf(other.replica.take(entries))).toBe('store-full');
    expect(other.replica.positions()).toEqual([]);
    expect(picture(other)).toEqual({ states: [], counts: { held: 0, known: 0 } });
    expect(other.engine.stats.keys).toBe(0);
    fate = 'written';
    expect(await other.replica.take(entries)).toEqual([{ kind: 'taken' }]);
    expect(picture(other)).toEqual(picture(origin));
  });
});

describe('a forged entry', () => {
  const whyOf = async (node: ReplicaNode, one: EntryWithBodies) => {
    const [outcome] = await node.replica.take([one]);
    return outcome!.kind === 'invalid' ? 'invalid' : outcome;
  };

  it('is refused whole, whatever is forged', async () => {
    await origin.submit(anna, anna.register());
    const [good] = (await origin.ownEntries()) as [EntryWithBodies];
    const body = good.bodies[0]!;
    const operation = body.operation;
    const forged: EntryWithBodies[] = [
      { ...good, entry: { ...good.entry, signature: good.entry.signature.map((byte) => byte ^ 1) } },
      forge(good, other, {}),
      { ...good, entry: signLogEntry(origin.sign, other.nodeId as never, good.entry) },
      forge(good, origin, { previous: new Uint8Array(32).fill(1) }),
      { ...good, bodies: [] },
      { ...good, bodies: [boris.body(boris.register())] },
      { ...good, bodies: [{ ...body, keys: boris.keys }] },
      { ...good, bodies: [{ ...body, operation: { ...operation, expiryHeight: 1_999 } }] },
      { ...good, bodies: [anna.body(anna.register(1_000, 1_500))] },
      forge(good, origin, { expiryHeight: 1_999 }),
      // The member signs what its user did not.
      ...[{ ...operation, signature: operation.signature.map((byte) => byte ^ 1) } as Operation].map((unsigned) => ({
        ...forge(good, origin, {
          operations: [{ opId: idBytes(operationId(unsigned)), regId: idBytes(unsigned.regId) }],
        }),
        bodies: [{ ...body, operation: unsigned }],
      })),
    ];
    for (const one of forged) expect(await whyOf(other, one)).toBe('invalid');
    expect(other.replica.positions()).toEqual([]);
    expect(other.registrations.counts.known).toBe(0);
    expect(await other.replica.take([good])).toEqual([{ kind: 'taken' }]);
  });

  it('that would be remembered for longer than anything can last has to wait', async () => {
    await origin.submit(anna, anna.register());
    const [good] = (await origin.ownEntries()) as [EntryWithBodies];
    expect(await whyOf(other, forge(good, origin, { expiryHeight: 2 ** 48 }))).toMatchObject({ kind: 'refused' });
  });

  it('never continues the log of this boot', async () => {
    await origin.submit(anna, anna.register());
    const [good] = (await origin.ownEntries()) as [EntryWithBodies];
    expect(await whyOf(origin, forge(good, origin, { seq: 2, previous: logEntryHash(good.entry) }))).toBe('invalid');
    expect(await whyOf(origin, forge(good, origin, { expiryHeight: 2_001 }))).toBe('invalid');
    expect(origin.replica.stats).toEqual({ logs: 1, quarantined: 0 });
  });
});

describe('a writer that signs two entries for one place', () => {
  async function twoFaced(): Promise<{ entries: EntryWithBodies[]; face: EntryWithBodies }> {
    for (const user of [anna, boris]) await origin.submit(user, user.register());
    const entries = await origin.ownEntries();
    const operation = clara.register();
    const { opId, regId } = ref(operation);
    const operations = [{ opId: idBytes(opId), regId: idBytes(regId) }];
    return { entries, face: { ...forge(entries[1]!, origin, { operations }), bodies: [clara.body(operation)] } };
  }

  it('loses its log, while the operations of its users stay', async () => {
    const { entries, face } = await twoFaced();
    await other.replica.take(entries);
    expect(await other.replica.take([face])).toEqual([{ kind: 'equivocation' }]);
    expect(other.registrations.counts).toEqual({ held: 3, known: 3 });
    expect(other.replica.positions()).toMatchObject([{ seq: 2, quarantined: true }]);
    expect(other.lines).toEqual([
      { event: 'log-equivocation', fields: { nodeId: origin.nodeId, incarnation: 1, seq: 2 } },
    ]);
    await origin.submit(anna, anna.revoke(1_001));
    expect(await other.replica.take(await origin.ownEntries(3))).toEqual([{ kind: 'equivocation' }]);
    expect(other.replica.positions()).toMatchObject([{ seq: 2 }]);
    expect(other.registrations.counts.held).toBe(2);
  });

  it('is found out by what follows the other entry, too', async () => {
    const { entries, face } = await twoFaced();
    await other.replica.take(entries);
    const follower = forge(face, origin, { seq: 3, previous: logEntryHash(face.entry) });
    expect(await other.replica.take([follower])).toEqual([{ kind: 'equivocation' }]);
    expect(other.replica.stats).toEqual({ logs: 1, quarantined: 1 });
  });

  it('is known for it after a restart', async () => {
    const disk = createMemoryDisk();
    const first = await bootReplica('third', disk.open());
    const { entries, face } = await twoFaced();
    await first.replica.take([...entries, face]);
    await first.store.close();
    const second = await bootReplica('third', disk.open(), { header: first.header, incarnation: 2 });
    expect(second.replica.positions()).toMatchObject([{ seq: 2, quarantined: true }]);
    expect(await second.replica.take([face])).toEqual([{ kind: 'equivocation' }]);
  });

  it('may be two boots of one incarnation: these are two logs', async () => {
    const twin = await bootReplica('origin', createMemoryDisk().open(), { boot: 'twin' });
    await origin.submit(anna, anna.register());
    await twin.submit(boris, boris.register());
    const both = [...(await origin.ownEntries()), ...(await twin.ownEntries())];
    expect(await other.replica.take(both)).toEqual([{ kind: 'taken' }, { kind: 'taken' }]);
    expect(other.replica.stats).toEqual({ logs: 2, quarantined: 0 });
  });
});

describe('operations by themselves', () => {
  it('are taken, known or refused each for itself', async () => {
    const register = anna.register();
    const bodies = [
      anna.body(register),
      anna.body(register),
      boris.body(boris.register(1_011)),
      { ...clara.body(clara.register()), keys: boris.keys },
      clara.body(clara.revoke(1_000)),
    ];
    const outcomes = await other.replica.takeBodies(bodies);
    expect(outcomes.map((one) => (typeof one === 'string' ? one : one.reason))).toEqual([
      'taken',
      'known',
      'version-in-future',
      'wrong-payload',
      'taken',
    ]);
    expect(await other.replica.takeBodies([])).toEqual([]);
    expect(await other.replica.inForce(register.regId)).toEqual([{ opId: operationId(register), origin: undefined }]);
    expect(other.replica.positions()).toEqual([]);
  });

  it('come in any number, and bring the keys that are missing', async () => {
    const users = Array.from({ length: 300 }, (_, i) => replicaUser(`many ${i}`, 1));
    const registers = users.map((user) => user.register());
    const bare = registers.map((operation) => ({ operation, keys: undefined }));
    expect(new Set(await other.replica.takeBodies(bare))).toEqual(new Set(['taken']));
    expect(other.replica.wanted().length).toBe(300);
    expect(other.registrations.counts).toEqual({ held: 0, known: 300 });
    const full = registers.map((operation, i) => users[i]!.body(operation));
    expect(new Set(await other.replica.takeBodies(full))).toEqual(new Set(['taken']));
    expect(other.replica.wanted()).toEqual([]);
    expect(other.registrations.counts).toEqual({ held: 300, known: 300 });
    expect(new Set(await other.replica.takeBodies(full))).toEqual(new Set(['known']));
    expect(await other.replica.body(ref(registers[7]!))).toEqual(users[7]!.body(registers[7]!));
  });

  it('are found by their ids while they count', async () => {
    const [register, renewal] = [anna.register(), anna.renew(1_001, 2_500)];
    await other.replica.takeBodies([anna.body(register), anna.body(renewal)]);
    expect(await other.replica.bodiesOf(register.regId)).toEqual([anna.body(register), anna.body(renewal)]);
    const revoke = anna.revoke(1_002);
    await other.replica.takeBodies([anna.body(revoke)]);
    expect(await other.replica.body(ref(register))).toBeUndefined();
    expect(await other.replica.bodiesOf(register.regId)).toEqual([anna.body(revoke)]);
    expect(await Promise.all([register, renewal, revoke].map((one) => other.replica.holds(ref(one))))).toEqual([
      true,
      true,
      true,
    ]);
    expect(await other.replica.holds(ref(boris.register()))).toBe(false);
  });

  it('keep the keys of a registration whose newer register came without any', async () => {
    await other.replica.takeBodies([anna.body(anna.register(1_000, 2_000, 900))]);
    await other.replica.takeBodies([{ operation: anna.register(1_001, 2_000, 500), keys: undefined }]);
    const { regId } = anna.register();
    expect(other.registrations.standing(regId)).toMatchObject({ kind: 'open', birthday: 500 });
    expect(other.registrations.counts).toEqual({ held: 1, known: 1 });
    expect([other.engine.stats.keys, other.indexSets.size]).toEqual([1, 1]);
  });
});

describe('a receipt', () => {
  const opIds = (...operations: Operation[]): OpId[] => operations.map(operationId);

  it('is for what is synced, at the head of the store', async () => {
    const register = anna.register();
    await other.submit(anna, register);
    const receipt = other.replica.receipt(opIds(register))!;
    const expected = { clusterId: replicaCluster, nodeId: other.nodeId, opIds: opIds(register) };
    expect(checkBatchReceipt(receipt, expected)).toBe(true);
    const { batchSeq, rootHash } = other.store.head;
    expect(receipt).toMatchObject({ incarnation: 1, sequence: batchSeq, height: 1_000 });
    expect(equalBytes(receipt.hash, rootHash)).toBe(true);
    expect(other.replica.head()).toEqual({ incarnation: 1, sequence: batchSeq, hash: rootHash });
  });

  it('is not given before the disk has it, nor is it said to be held', async () => {
    let release = () => undefined as unknown;
    const gate = new Promise<void>((resolve) => {
      release = () => resolve();
    });
    let slow = false;
    const disk = createMemoryDisk({ onBatch: () => (slow ? gate.then((): BatchFate => 'written') : 'written') });
    const node = await bootReplica('slow', disk.open());
    slow = true;
    const register = anna.register();
    const submitted = node.submit(anna, register);
    while (disk.unsynced === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(node.replica.receipt(opIds(register))).toBeUndefined();
    expect(await node.replica.holds(ref(register))).toBe(false);
    expect(node.replica.positions()).toEqual([]);
    release();
    await submitted;
    expect(node.replica.receipt(opIds(register))).toBeDefined();
    expect(await node.replica.holds(ref(register))).toBe(true);
  });

  it('is not given by a node whose disk may be older than what it signed', async () => {
    const register = anna.register();
    await other.submit(anna, register);
    other.state.mayConfirm = false;
    expect(other.replica.receipt(opIds(register))).toBeUndefined();
    other.state.mayConfirm = true;
    expect(other.replica.receipt(opIds(register))).toBeDefined();
  });
});

describe('a restart', () => {
  it('finds logs, heads and origins again, and begins a log of its own', async () => {
    const disk = createMemoryDisk();
    const first = await bootReplica('third', disk.open());
    for (let i = 0; i < SEGMENT_ENTRIES + 3; i++) await origin.submit(anna, anna.register(1_000, 2_000 + i));
    const entries = await origin.ownEntries();
    await first.replica.take(entries.slice(0, 40));
    await first.submit(boris, boris.register());
    first.replica.noteHead(other.nodeId, { incarnation: 2, sequence: 9, hash: new Uint8Array(32).fill(9) });
    await first.replica.take(entries.slice(40));
    const positions = first.replica.positions();
    const forces = await first.replica.inForce(anna.register().regId);
    await first.store.close();
    const second = await bootReplica('third', disk.open(), { header: first.header, incarnation: 2 });
    expect(second.replica.positions()).toEqual(expect.arrayContaining([...positions]));
    expect(await second.replica.inForce(anna.register().regId)).toEqual(forces);
    expect(forces[0]!.origin).toEqual({ writer: origin.replica.ownLog, seq: entries.length });
    expect(second.replica.headOf(other.nodeId)).toMatchObject({ incarnation: 2, sequence: 9 });
    const bare = entries.map(({ entry }) => entry);
    const read = await second.replica.read(origin.replica.ownLog, 1, FOREVER);
    expect(read.map(({ entry }) => entry)).toEqual(bare);
    expect(picture(second)).toEqual(picture(first));
    expect(second.replica.ownLog).not.toBe(first.replica.ownLog);
    await second.submit(clara, clara.register());
    expect(second.replica.stats.logs).toBe(3);
    expect((await second.ownEntries()).map(({ entry }) => [entry.seq, entry.incarnation])).toEqual([[1, 2]]);
  });

  it('keeps a long log in few records', async () => {
    for (let i = 0; i < 3 * SEGMENT_ENTRIES + 1; i++) await origin.submit(anna, anna.register(1_000, 2_000 + i));
    // One registration, one position, three segments and an entry.
    expect(origin.store.records).toBe(1 + 1 + 3 + 1);
    const seqs = (await origin.ownEntries(60)).map(({ entry }) => entry.seq);
    expect([seqs[0], seqs.length]).toEqual([60, 3 * SEGMENT_ENTRIES + 1 - 59]);
  });
});

describe('a head', () => {
  const head = (incarnation: number, sequence: number) => ({
    incarnation,
    sequence,
    hash: new Uint8Array(32).fill(sequence),
  });

  it('is kept as the highest, and written along with the next batch', async () => {
    const { replica, store } = other;
    expect(replica.headOf(origin.nodeId)).toBeUndefined();
    const { batchSeq } = store.head;
    replica.noteHead(origin.nodeId, head(1, 5));
    replica.noteHead(origin.nodeId, head(1, 4));
    replica.noteHead(origin.nodeId, head(2, 3));
    replica.noteHead(origin.nodeId, head(1, 9));
    expect(replica.headOf(origin.nodeId)).toEqual(head(2, 3));
    expect([store.head.batchSeq, store.records]).toEqual([batchSeq, 0]);
    await other.submit(anna, anna.register());
    expect(store.head.batchSeq).toBe(batchSeq + 1);
    expect(store.records).toBe(4);
    await other.submit(boris, boris.register());
    expect(store.records).toBe(6);
  });

  it('is kept of as many members as a mesh has', () => {
    for (let i = 0; i < 40; i++) other.replica.noteHead(nodeIdFromBytes(new Uint8Array(32).fill(i)), head(1, i));
    expect(other.replica.headOf(nodeIdFromBytes(new Uint8Array(32).fill(31)))).toBeDefined();
    expect(other.replica.headOf(nodeIdFromBytes(new Uint8Array(32).fill(32)))).toBeUndefined();
  });
});

describe('a log that was adopted', () => {
  it('counts as held, goes on from there, and drops what was held before it', async () => {
    for (const user of all) await origin.submit(user, user.register());
    const entries = await origin.ownEntries();
    await other.replica.take(entries.slice(0, 1));
    await other.replica.adopt(origin.replica.positions());
    expect(other.replica.positions()).toMatchObject([{ seq: 3, first: 4 }]);
    expect(await other.replica.read(origin.replica.ownLog, 1, FOREVER)).toEqual([]);
    expect(await other.replica.take(entries)).toEqual(entries.map(() => ({ kind: 'taken' })));
    await origin.submit(anna, anna.revoke(1_001));
    expect(await other.replica.take(await origin.ownEntries(4))).toEqual([{ kind: 'taken' }]);
    expect(other.replica.positions()).toMatchObject([{ seq: 4, first: 4 }]);
    await other.replica.adopt([{ ...origin.replica.positions()[0]!, seq: 2 }]);
    expect(other.replica.positions()).toMatchObject([{ seq: 4, first: 4 }]);
  });

  it('is believed less than what its writer signs next', async () => {
    for (const user of [anna, boris]) await origin.submit(user, user.register());
    const [position] = origin.replica.positions();
    await other.replica.adopt([{ ...position!, seq: 1, hash: new Uint8Array(32).fill(3) }]);
    expect(await other.replica.take(await origin.ownEntries(2))).toEqual([{ kind: 'taken' }]);
    expect(other.replica.stats.quarantined).toBe(0);
  });

  it('is never that of this boot', async () => {
    await origin.submit(anna, anna.register());
    const [position] = origin.replica.positions();
    await origin.replica.adopt([{ ...position!, seq: 7 }]);
    expect(origin.replica.positions()).toEqual([position]);
  });
});

describe('passing heights', () => {
  it('drop entries once all in them has ended at both heights, and closed logs after them', async () => {
    await origin.submit(anna, anna.register(1_000, 1_500));
    await origin.submit(boris, boris.register(1_000, 1_200));
    await other.replica.take(await origin.ownEntries());
    await other.pass(1_400);
    expect(other.replica.positions()).toMatchObject([{ seq: 2, first: 1 }]);
    other.heights.own = 5_000;
    await other.registrations.passHeights({ own: 5_000, cluster: 1_500 }, (writes) => other.store.commit(writes));
    expect(other.replica.positions()).toMatchObject([{ seq: 2, first: 1 }]);
    await other.pass(1_501);
    expect(other.replica.positions()).toMatchObject([{ seq: 2, first: 3 }]);
    await other.pass(1_502);
    expect(other.replica.positions()).toMatchObject([{ seq: 2, first: 3 }]);
    const next = await bootReplica('origin', createMemoryDisk().open(), { incarnation: 2 });
    await next.submit(clara, clara.register(1_000, 4_000));
    await other.replica.take(await next.ownEntries());
    await other.pass(1_503);
    expect(other.replica.positions()).toMatchObject([{ writer: { incarnation: 2 }, seq: 1, first: 1 }]);
  });

  it('drop a segment when the last of it has ended', async () => {
    for (let i = 0; i < SEGMENT_ENTRIES + 2; i++) await origin.submit(anna, anna.register(1_000, 1_100 + i));
    await other.replica.take(await origin.ownEntries());
    const last = 1_100 + SEGMENT_ENTRIES - 1;
    await other.pass(last);
    expect(other.replica.positions()).toMatchObject([{ first: 1 }]);
    const { records } = other.store;
    await other.pass(last + 1);
    expect(other.replica.positions()).toMatchObject([{ first: SEGMENT_ENTRIES + 1, seq: SEGMENT_ENTRIES + 2 }]);
    expect(other.store.records).toBe(records - 1);
  });

  it('change nothing when the disk takes nothing', async () => {
    await origin.submit(anna, anna.register(1_000, 1_500));
    await other.replica.take(await origin.ownEntries());
    fate = 'full';
    expect(await codeOf(other.pass(1_501))).toBe('store-full');
    expect(other.replica.positions()).toMatchObject([{ seq: 1, first: 1 }]);
    expect(other.registrations.counts.held).toBe(1);
  });
});

describe('writers', () => {
  it('have names that tell two boots apart', () => {
    expect(toHex(origin.bootKey)).not.toBe(toHex(other.bootKey));
    expect(writerIdOf(origin)).toBe(origin.replica.ownLog);
  });
});
