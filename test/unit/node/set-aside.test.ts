import { describe, expect, it } from 'vitest';
import { type Wallet, walletKeys } from '../../../src/client/index.ts';
import { fromBase64Url, toBase64Url } from '../../../src/core/bytes.ts';
import { encodeOperation, type Operation } from '../../../src/core/registration/operation.ts';
import { createDevnet } from '../../../src/devnet/index.ts';
import { storeIdHashOf, wrapToRecoveryKeys } from '../../../src/keyserver/index.ts';
import { registrationShape, type StoredRegistration, storeOperation } from '../../../src/node/registrations/record.ts';
import {
  type BatchFate,
  createMemoryDisk,
  type DiskImage,
  readHeader,
  signHeader,
} from '../../../src/node/store/index.ts';
import { summarise } from '../../../src/replication/index.ts';
import { seededUser, userOf } from '../../support/node-user.ts';
import { enterShare, recoveryOfThree, waitingAt } from '../../support/recovery-holders.ts';
import { madeUpLines, replayOf } from '../../support/replay.ts';
import { codeOf, headerFor, makeStore, testNode } from '../../support/sealed-store.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { testCluster } from '../../support/test-cluster.ts';
import { type AsideDisk, copyDisk, createTestDisk, type TestDisk } from '../../support/test-disk.ts';
import { createKeptKeys, createTestNode, type TestNodeOptions } from '../../support/test-node.ts';

const LINES = madeUpLines(100, 30).filter(({ flags }) => flags === null);
const cluster = testCluster({ recovery: recoveryOfThree });
const anna = seededUser('anna', 3);
const boris = seededUser('boris', 3);

function bootOn(disk: TestDisk, options: Partial<TestNodeOptions> = {}) {
  return createTestNode({ devnet: createDevnet({ replay: replayOf(LINES) }), cluster, disk, ...options });
}
type Booted = ReturnType<typeof bootOn>;

async function enter({ node, clock }: Booted, ...holders: number[]): Promise<void> {
  const [store] = waitingAt(node);
  for (const holder of holders) await clock.settle(enterShare(node, cluster, holder, store));
}

const events = ({ lines }: Booted, event: string) => lines.filter((line) => line.event === event);

function stored(operation: Operation, wallet?: Wallet): StoredRegistration {
  const operationStored = storeOperation(summarise(operation), encodeOperation(operation));
  if (!wallet) return { base: operationStored };
  const { dataKey, detectionKey } = walletKeys(wallet);
  const padded = new Uint8Array(661);
  padded.set(detectionKey);
  return { base: operationStored, keys: { serial: 1, dataKey, detectionKey: padded } };
}

/** A store as any host can make one, its data key wrapped to the genuine recovery keys. */
async function madeUpStore(records: readonly StoredRegistration[], seed = 'host'): Promise<AsideDisk> {
  const sealed = createMemoryDisk();
  const node = testNode(seed);
  const own = { ...node, identity: { ...node.identity, clusterId: cluster.id } };
  const { store } = await makeStore(sealed.open(), own, seed);
  const registrations = store.namespace('registrations', registrationShape);
  const random = seededRandom(seed);
  await store.commit(records.map((record) => registrations.put(random.bytes(32), record)));
  using dataKey = store.copyDataKey();
  const publicKeys = recoveryOfThree.publicKeys.map((key) => fromBase64Url(key));
  const wrapped = wrapToRecoveryKeys({ random }, { ...own.identity, dataKey, publicKeys, threshold: 2 });
  const header = signHeader({ ...headerFor(store, own), recoveryWrappedDataKey: wrapped }, own.nodeSecret);
  await store.close();
  return { header, sealed, imported: false };
}

/** Operations signed by as many users, from a node that is thrown away. */
async function revokes(count: number): Promise<Operation[]> {
  const test = bootOn(createTestDisk());
  await test.ready();
  return Array.from({ length: count }, (_, i) =>
    userOf(test, seededUser(`user ${i}`)).sign({ type: 'revoke', version: 100 }),
  );
}

describe('a store that was set aside', () => {
  it('brings in only what users signed when a host made it up, and nothing that was revoked', async () => {
    const disk = createTestDisk();
    const test = bootOn(disk);
    const [a, b] = [userOf(test, anna), userOf(test, boris)];
    const register = { type: 'register', version: 110, birthday: 0, expiryHeight: 5_000 } as const;
    const forged = b.sign({ ...register, version: 112 });
    disk.aside.push(
      await madeUpStore([
        stored(a.sign(register), anna.wallet),
        stored(b.sign(register), boris.wallet),
        stored({ ...forged, signature: forged.signature.map((byte, i) => (i ? byte : byte ^ 1)) }, boris.wallet),
        { base: { ...stored(a.sign(register)).base!, signed: new Uint8Array(9) } },
      ]),
    );
    await test.ready();
    await b.register({ version: 109 });
    await b.revoke(111);
    const { nodeId } = test.node.service.node();
    await enter(test, 1, 2);
    await test.until(() => events(test, 'store-imported').length > 0);
    expect(events(test, 'store-imported')[0]!.fields).toMatchObject({ taken: 1, known: 1, refused: 2, postponed: 0 });
    expect(await a.status()).toMatchObject({ status: 'confirmed', expiryHeight: 5_000 });
    expect(await b.status()).toMatchObject({ status: 'revoked' });
    expect(test.node.service.node().nodeId).toBe(nodeId);
    expect(disk.aside[0]!.imported).toBe(true);
  });

  it('is refused by name when it was altered, stays as it is, and the node goes on', async () => {
    const disk = createTestDisk();
    const aside = await madeUpStore([stored((await revokes(1))[0]!)]);
    const image = aside.sealed.image();
    const [name] = [...image.keys()].filter((key) => key !== 'root');
    const altered = image.get(name!)!.map((byte, i) => (i === 40 ? byte ^ 1 : byte));
    aside.sealed.replace(new Map([...image, [name!, altered]]));
    disk.aside.push(aside);
    const test = bootOn(disk);
    await test.ready();
    expect(test.node.stats().closedStores).toEqual({ waiting: 1, refused: 0 });
    await enter(test, 3, 2);
    await test.until(() => events(test, 'set-aside-refused').length > 0);
    expect(events(test, 'set-aside-refused')[0]!.fields).toMatchObject({ code: 'store-corrupt' });
    expect(test.node.service.readiness()).toMatchObject({ ready: true });
    expect(test.node.service.readiness().reasons.join()).toContain('is refused (store-corrupt)');
    expect(test.node.stats().closedStores).toEqual({ waiting: 0, refused: 1 });
    expect(aside.imported).toBe(false);
    expect(waitingAt(test.node)).toEqual([]);
    expect(await codeOf(test.clock.settle(enterShare(test.node, cluster, 1, waitingOf(aside))))).toBe('not-recovering');
  });

  it('waits beside others, each for its own shares', async () => {
    const disk = createTestDisk();
    const [one, two] = await revokes(2);
    disk.aside.push(await madeUpStore([stored(one!)], 'first'), await madeUpStore([stored(two!)], 'second'));
    const test = bootOn(disk);
    await test.ready();
    const [first, second] = waitingAt(test.node);
    expect(test.node.service.readiness().reasons.join()).toMatch(/total-restart: .* 0 of 2 .*; 1 more wait/);
    for (const holder of [1, 2]) await test.clock.settle(enterShare(test.node, cluster, holder, second));
    await test.until(() => events(test, 'store-imported').length > 0);
    expect(disk.aside.map(({ imported }) => imported)).toEqual([false, true]);
    expect(waitingAt(test.node)).toEqual([first]);
    await enter(test, 1, 3);
    await test.until(() => events(test, 'store-imported').length > 1);
    expect(disk.aside.map(({ imported }) => imported)).toEqual([true, true]);
    expect(test.node.running!.registrations.counts.known).toBe(2);
  });

  it('is taken in whole in the end when the disk is full in the midst of it', async () => {
    let batches = 0;
    const fate = (): BatchFate => (filling && ++batches === 2 ? 'full' : 'written');
    let filling = false;
    const disk = createTestDisk({ sealed: { onBatch: fate } });
    disk.aside.push(await madeUpStore((await revokes(300)).map((operation) => stored(operation))));
    const test = bootOn(disk);
    await test.ready();
    filling = true;
    await enter(test, 1, 2);
    await test.until(() => events(test, 'import-failed').length > 0);
    expect(disk.aside[0]!.imported).toBe(false);
    await test.until(() => events(test, 'store-imported').length > 0);
    expect(test.node.running!.registrations.counts.known).toBe(300);
    expect(disk.aside[0]!.imported).toBe(true);
  });

  it('is offered again after a crash in the midst of it, and taken in whole then', async () => {
    let batches = 0;
    let importing = false;
    let left: DiskImage | undefined;
    const onBatch = (): BatchFate => {
      if (importing && ++batches === 2) left = disk.sealed.image();
      return 'written';
    };
    const disk: TestDisk = createTestDisk({ sealed: { onBatch } });
    const keys = createKeptKeys(disk);
    const aside = await madeUpStore((await revokes(300)).map((operation) => stored(operation)));
    disk.aside.push(aside);
    const first = bootOn(disk, { keys });
    await first.ready();
    importing = true;
    await enter(first, 1, 2);
    await first.until(() => left !== undefined);
    const crashed = await copyDisk(disk);
    crashed.sealed.replace(left!);
    crashed.aside.push({ ...aside, sealed: createMemoryDisk({ image: aside.sealed.image() }), imported: false });
    const test = bootOn(crashed, { keys, seed: 'second boot' });
    await test.ready();
    const { known } = test.node.running!.registrations.counts;
    expect(known).toBeGreaterThan(0);
    expect(known).toBeLessThan(300);
    await enter(test, 2, 3);
    await test.until(() => events(test, 'store-imported').length > 0);
    expect(test.node.running!.registrations.counts.known).toBe(300);
    expect(events(test, 'store-imported')[0]!.fields).toMatchObject({ taken: 300 - known, known });
    expect(crashed.aside[0]!.imported).toBe(true);
  });

  it('is passed over when it is of another cluster or no store at all', async () => {
    const disk = createTestDisk();
    const foreign = await makeForeign();
    disk.aside.push(foreign, { ...foreign, header: new Uint8Array(100) });
    const test = bootOn(disk);
    await test.ready();
    expect(events(test, 'set-aside-skipped').map(({ fields }) => fields['where'])).toEqual(['aside 1', 'aside 2']);
    expect(waitingAt(test.node)).toEqual([]);
  });
});

async function makeForeign(): Promise<AsideDisk> {
  const sealed = createMemoryDisk();
  const { store, header } = await makeStore(sealed.open());
  await store.close();
  return { header, sealed, imported: false };
}

/** What an operator may still have of a store that waits no more. */
function waitingOf({ header }: AsideDisk) {
  const read = readHeader(header);
  const storeIdHash = toBase64Url(storeIdHashOf(read.storeId));
  const blob = toBase64Url(read.recoveryWrappedDataKey!);
  return { nodeId: read.nodeId, storeIdHash, blob, threshold: 2, entered: 0, needed: 2 };
}
