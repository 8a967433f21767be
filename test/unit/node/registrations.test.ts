import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/core/bytes.ts';
import { LIFETIME_BLOCKS } from '../../../src/core/registration/limits.ts';
import { createDevnet, type Devnet } from '../../../src/devnet/index.ts';
import { registrationShape } from '../../../src/node/registrations/record.ts';
import type { BatchFate } from '../../../src/node/store/index.ts';
import { seededUser, userOf } from '../../support/node-user.ts';
import { type ReplayLine, replayOf } from '../../support/replay.ts';
import { codeOf } from '../../support/sealed-store.ts';
import { testCluster } from '../../support/test-cluster.ts';
import { createTestDisk } from '../../support/test-disk.ts';
import { createTestNode } from '../../support/test-node.ts';

const FIRST = 100;
const anna = seededUser('anna', 3);
const boris = seededUser('boris', 3);

/** Blocks from 100 on: each third for Anna, each fourth for Boris, each seventh without flags. */
function lines(count: number): ReplayLine[] {
  const all: ReplayLine[] = [];
  for (let height = FIRST; height < FIRST + count; height++) {
    if (height % 7 === 0) all.push({ height, block_index: 1, flags: null });
    else if (height % 3 === 0) all.push({ height, block_index: 0, flags: [anna.flag(`${height}`)] });
    else if (height % 4 === 0) all.push({ height, block_index: 2, flags: [boris.flag(`${height}`)] });
  }
  return all;
}

const LINES = lines(40);
const chain = (startAfter?: number): Devnet => createDevnet({ replay: replayOf(LINES), startAfter });

const mine = (when: (height: number) => boolean, from = FIRST, to = Number.MAX_SAFE_INTEGER) =>
  LINES.filter(({ height, flags }) => height >= from && height <= to && (flags === null || when(height))).map(
    ({ height, block_index }) => [height, block_index],
  );
const annas = (from?: number, to?: number) => mine((height) => height % 3 === 0, from, to);

async function readyNode(devnet = chain(), options: Partial<Parameters<typeof createTestNode>[0]> = {}) {
  const test = createTestNode({ devnet, ...options });
  await test.ready();
  return test;
}

/** Lets time pass until the user's set is synced to the tip. */
async function synced(test: ReturnType<typeof createTestNode>, user: ReturnType<typeof userOf>) {
  const { chain: tip } = test.node.service.node().heights;
  const until = async () => ((await user.read())?.syncedTo ?? -1) >= tip;
  for (let i = 0; !(await until()); i++) {
    if (i === 100) throw new Error('never synced');
    await test.clock.advance(1_000);
  }
}

describe('a registration', () => {
  it('is answered with the index set from its birthday on, head and backfill', async () => {
    const devnet = chain(30);
    const test = await readyNode(devnet);
    const user = userOf(test, anna);
    expect(await user.register({ birthday: 0 })).toMatchObject({ id: user.id, status: 'confirmed' });
    await synced(test, user);
    devnet.advance(10);
    await test.until(() => test.node.service.node().heights.detected === devnet.tip);
    const set = (await user.read())!;
    expect(set).toMatchObject({ birthday: 0, first: FIRST, syncedTo: devnet.tip });
    expect(set.covered).toEqual([[FIRST, devnet.tip]]);
    const found = new Set(set.entries.map(String));
    expect(annas().filter((entry) => !found.has(String(entry)))).toEqual([]);
    const everything = new Set(LINES.map(({ height, block_index }) => String([height, block_index])));
    expect([...found].filter((entry) => !everything.has(entry))).toEqual([]);
  });

  it('begins at its birthday, and `since` gives what is above', async () => {
    const test = await readyNode();
    const user = userOf(test, anna);
    await user.register({ birthday: 120 });
    await synced(test, user);
    const set = (await user.read())!;
    expect(set.entries[0]![0]).toBeGreaterThanOrEqual(120);
    expect(set.covered).toEqual([[120, test.node.service.node().heights.detected]]);
    const later = (await user.read(130))!;
    expect(later.entries).toEqual(set.entries.filter(([height]) => height > 130));
    expect(await codeOf(Promise.resolve(user.ask(10_000)))).toBe('since-beyond-tip');
  });

  it('is taken again without harm, and refused when it would say something older', async () => {
    const test = await readyNode(chain(), { disk: createTestDisk() });
    const user = userOf(test, anna);
    const first = await user.register({ version: 130, expiryHeight: 500 });
    await synced(test, user);
    const { batchSeq } = test.node.running!.store.head;
    expect(await user.register({ version: 130, expiryHeight: 500 })).toMatchObject({
      expiryHeight: first.expiryHeight,
    });
    expect(test.node.running!.store.head.batchSeq).toBe(batchSeq);
    expect(await codeOf(user.register({ version: 129, expiryHeight: 400 }))).toBe('superseded');
    expect(await user.register({ version: 135, expiryHeight: 600 })).toMatchObject({ expiryHeight: 600 });
    expect(test.node.running!.registrations.counts).toEqual({ held: 1, known: 1 });
  });

  it('is renewed, revoked, and opened again by a register above the revoke only', async () => {
    const test = await readyNode();
    const user = userOf(test, anna);
    await user.register({ version: 130, expiryHeight: 500 });
    expect(await user.renew(900, 131)).toMatchObject({ expiryHeight: 900 });
    expect(await user.status()).toEqual({ id: user.id, status: 'confirmed', expiryHeight: 900, confirmations: 1 });
    await user.revoke(132);
    expect(await user.status()).toMatchObject({ status: 'revoked' });
    expect(await user.ask()).toBeUndefined();
    expect(test.node.running!.engine.stats.keys).toBe(0);
    expect(test.node.running!.indexSets.size).toBe(0);
    expect(await codeOf(user.register({ version: 132 }))).toBe('superseded');
    expect(await codeOf(user.renew(900, 133))).toBe('revoked');
    await user.register({ version: 133 });
    await synced(test, user);
    expect((await user.read())!.entries.length).toBeGreaterThan(0);
  });

  it('ends after its last height: in answers, in memory and on disk', async () => {
    const devnet = chain(20);
    const test = await readyNode(devnet);
    const [user, other] = [userOf(test, anna), userOf(test, boris)];
    const tip = devnet.tip;
    await user.register({ expiryHeight: tip + 5 });
    await other.register();
    devnet.advance(5);
    await test.until(() => test.node.service.node().heights.detected === tip + 5);
    expect(await user.ask()).toBeDefined();
    devnet.advance(1);
    await test.until(() => test.node.service.node().heights.detected === tip + 6);
    expect(await user.ask()).toBeUndefined();
    expect(await user.status()).toMatchObject({ status: 'expired', expiryHeight: tip + 5 });
    expect(await other.ask()).toBeDefined();
    const { engine, indexSets, store, registrations } = test.node.running!;
    expect([engine.stats.keys, indexSets.size, registrations.counts.held]).toEqual([1, 1, 1]);
    const held: boolean[] = [];
    for await (const [, record] of store.namespace('registrations', registrationShape).entries()) {
      held.push(record.keys !== undefined);
    }
    expect(held.sort()).toEqual([false, true]);
    expect(await codeOf(user.renew(tip + 500))).toBe('expired');
  });

  it('survives a restart with all that was found for it', async () => {
    const disk = createTestDisk();
    const first = await readyNode(chain(), { disk });
    const [user, gone] = [userOf(first, anna), userOf(first, boris)];
    await user.register();
    await gone.register();
    await gone.revoke();
    await synced(first, user);
    const before = (await user.read())!;
    const { nodeId } = first.node.service.node();
    await first.clock.settle(first.node.stop());
    const second = await readyNode(chain(), { disk, keys: first.keys, seed: 'another boot' });
    expect(second.node.service.node().nodeId).toBe(nodeId);
    const [again, goneAgain] = [userOf(second, anna), userOf(second, boris)];
    expect(await again.read()).toEqual(before);
    expect(await goneAgain.status()).toMatchObject({ status: 'revoked' });
    expect(await goneAgain.ask()).toBeUndefined();
  });

  it('has not happened when the disk was full, and can be made later', async () => {
    let fate: BatchFate = 'written';
    const disk = createTestDisk({ sealed: { onBatch: () => fate } });
    const devnet = chain(30);
    const test = await readyNode(devnet, { disk });
    const [user, other] = [userOf(test, anna), userOf(test, boris)];
    await other.register();
    fate = 'full';
    expect(await codeOf(user.register())).toBe('store-full');
    expect(await codeOf(other.revoke())).toBe('store-full');
    expect(await user.status()).toBeUndefined();
    expect(await other.status()).toMatchObject({ status: 'confirmed' });
    expect(test.node.running!.engine.stats.keys).toBe(1);
    devnet.advance(3);
    await test.until(() => test.node.service.readiness().reasons.some((reason) => reason.includes('store-full')));
    expect(test.node.stats().detection).toMatchObject({ waiting: true, stopped: false });
    expect(await other.ask()).toBeDefined();
    fate = 'written';
    await user.register();
    await test.until(() => test.node.service.node().heights.detected === devnet.tip);
    await synced(test, user);
    expect(test.node.running!.registrations.counts).toEqual({ held: 2, known: 2 });
  });
});

describe('an operation', () => {
  it('is refused with its reason, and nothing is stored', async () => {
    const cluster = testCluster({ limits: { registrationsMax: 1, lifetimeBlocksMax: 5_000 } });
    const test = await readyNode(chain(), { cluster });
    const user = userOf(test, anna);
    const { chain: tip } = test.node.service.node().heights;
    const register = { type: 'register', version: tip, birthday: 0, expiryHeight: tip + 100 } as const;
    const send = (over: object) => user.send('register', user.sign({ ...register, ...over }));
    const other = seededUser('other');
    const flipped = user.sign(register);
    const refusals: [string, Promise<unknown>][] = [
      ['expiry-too-far', send({ expiryHeight: tip + LIFETIME_BLOCKS + 1 })],
      ['expiry-too-far', send({ expiryHeight: tip + 5_001 })],
      ['expiry-in-past', send({ version: 10, expiryHeight: tip - 1 })],
      ['expiry-in-past', send({ expiryHeight: tip })],
      ['birthday-beyond-tip', send({ birthday: tip + 1 })],
      ['version-in-future', send({ version: tip + 11, expiryHeight: tip + 100 })],
      ['unknown-registration', user.renew(tip + 50)],
      ['unknown-registration', user.revoke()],
      [
        'wrong-signature',
        user.send('register', { ...flipped, signature: flipped.signature.map((b, i) => (i ? b : b ^ 1)) }),
      ],
      ['wrong-registration-id', user.send('register', { ...flipped, regId: userOf(test, other).id })],
      ['other-cluster', user.send('register', user.sign(register, testCluster({ confirmations: 2 }).id))],
      ['payload-missing', user.send('register', flipped, { payload: undefined })],
      ['wrong-payload', user.send('register', flipped, { payload: { kind: 'seed', seed: other.seed, n: 3 } })],
      ['n-out-of-range', user.send('register', flipped, { payload: { kind: 'seed', seed: anna.seed, n: 21 } })],
      ['n-out-of-range', user.send('register', flipped, { payload: { kind: 'seed', seed: anna.seed, n: 0 } })],
      [
        'bad-keys',
        user.send('register', flipped, {
          payload: {
            kind: 'keys',
            dataKey: new Uint8Array(32),
            detectionKey: Uint8Array.of(1, 0, ...new Uint8Array(32).fill(255)),
          },
        }),
      ],
      [
        'wrong-operation',
        user.send('register', user.sign({ type: 'revoke', version: tip }), { path: 'register', payload: undefined }),
      ],
    ];
    const { batchSeq } = test.node.running!.store.head;
    const codes = await Promise.all(refusals.map(([, refused]) => codeOf(refused)));
    expect(codes).toEqual(refusals.map(([code]) => code));
    expect(test.node.running!.store.head.batchSeq).toBe(batchSeq);
    await user.register();
    expect(await codeOf(userOf(test, other).register())).toBe('registrations-full');
    await user.revoke();
    await userOf(test, other).register();
  });

  it('by seed is kept as keys: the seed is nowhere', async () => {
    const disk = createTestDisk();
    const test = await readyNode(chain(), { disk });
    const user = userOf(test, anna);
    const { chain: tip } = test.node.service.node().heights;
    const operation = user.sign({ type: 'register', version: tip, birthday: 0, expiryHeight: tip + 10 });
    await user.send('register', operation, { payload: { kind: 'seed', seed: anna.seed, n: 3 } });
    const records: string[] = [];
    for await (const [, record] of test.node.running!.store.namespace('registrations', registrationShape).entries()) {
      records.push(JSON.stringify(record, (_, value) => (value instanceof Uint8Array ? toHex(value) : value)));
    }
    expect(records.join()).toContain(toHex(user.wallet.dataKey));
    expect(records.join()).not.toContain(toHex(anna.seed));
  });
});
