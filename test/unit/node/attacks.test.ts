// The host against a node: it puts other bytes on the disk while the node is away. Nothing may be served from them.

import { describe, expect, it } from 'vitest';
import { createDevnet } from '../../../src/devnet/index.ts';
import { createMemoryDisk, type DiskImage } from '../../../src/node/store/index.ts';
import { seededUser, userOf } from '../../support/node-user.ts';
import { madeUpLines, replayOf } from '../../support/replay.ts';
import { codeOf } from '../../support/sealed-store.ts';
import { testCluster } from '../../support/test-cluster.ts';
import { createTestDisk, type TestDisk } from '../../support/test-disk.ts';
import { createTestNode } from '../../support/test-node.ts';

const users = ['anna', 'boris', 'clara'].map((name) => seededUser(name, 3));
const LINES = madeUpLines(1_000, 30).filter(({ flags }) => flags === null);
const devnet = (startAfter = 30) => createDevnet({ replay: replayOf(LINES), startAfter });

/** A node's life: its disk after each thing that happened. */
async function life() {
  const disk = createTestDisk();
  const chain = devnet(10);
  const test = createTestNode({ devnet: chain, disk });
  const images: DiskImage[] = [];
  const happened = async (work: Promise<unknown>) => {
    await work;
    await test.clock.advance(3_000);
    images.push(disk.sealed.image());
  };
  await happened(test.ready());
  const [anna, boris, clara] = users.map((user) => userOf(test, user));
  await happened(anna!.register());
  await happened(boris!.register());
  chain.advance(5);
  await happened(test.until(() => test.node.service.node().heights.detected === chain.tip));
  await happened(anna!.revoke(chain.tip - 1));
  await happened(anna!.register({ version: chain.tip }));
  await happened(clara!.register());
  await happened(boris!.renew(chain.tip + 50));
  const header = (await disk.header.read())!;
  const rows = disk.chain().image();
  await test.clock.settle(test.node.stop());
  return { images, header, rows, keys: test.keys };
}

type Life = Awaited<ReturnType<typeof life>>;

/** The disk of that life with other sealed records on it. */
function diskWith({ header, rows }: Life, image: DiskImage, otherRows: DiskImage = rows): TestDisk {
  const disk = createTestDisk({ sealed: { image }, chain: { image: otherRows } });
  return { ...disk, header: { read: async () => header, write: (bytes) => disk.header.write(bytes) } };
}

/** How a start on that disk ends, having made sure that nothing was served. */
async function startOn(disk: TestDisk, { keys }: Life): Promise<string> {
  const test = createTestNode({ devnet: devnet(), disk, keys, seed: 'another boot' });
  const code = await codeOf(test.clock.settle(test.node.start()));
  if (code === 'no error') return code;
  expect(test.node.service.readiness().ready).toBe(false);
  for (const user of users) expect(await codeOf(Promise.resolve(userOf(test, user).ask()))).toBe('not-ready');
  expect(await codeOf(Promise.resolve().then(() => userOf(test, users[0]!).status()))).toBe('not-ready');
  return code;
}

const changed = (image: DiskImage, change: (image: Map<string, Uint8Array>) => void): DiskImage => {
  const copy = new Map(image);
  change(copy);
  return copy;
};

describe('a node whose host tampers with its disk', () => {
  it('starts from what it wrote last', async () => {
    const lived = await life();
    expect(await startOn(diskWith(lived, lived.images.at(-1)!), lived)).toBe('no error');
  });

  it('says store-mixed for each single record put back, deleted or swapped, before it serves anything', async () => {
    const lived = await life();
    const last = lived.images.at(-1)!;
    const names = [...last.keys()].filter((name) => name !== 'root');
    const tampered: DiskImage[] = [];
    for (const name of names) {
      tampered.push(changed(last, (image) => image.delete(name)));
      const older = lived.images.map((image) => image.get(name)).filter((value) => value !== undefined);
      for (const value of new Set(older.map((bytes) => bytes.join()))) {
        if (value === last.get(name)!.join()) continue;
        tampered.push(changed(last, (image) => image.set(name, Uint8Array.from(value.split(',').map(Number)))));
      }
    }
    const gone = lived.images.flatMap((image) => [...image]).filter(([name]) => !last.has(name));
    for (const [name, value] of gone) tampered.push(changed(last, (image) => image.set(name, value)));
    expect(tampered.length).toBeGreaterThan(names.length + 3);
    for (const image of tampered) expect(await startOn(diskWith(lived, image), lived)).toBe('store-mixed');
    const [first, second] = names;
    const swapped = changed(last, (image) => {
      image.set(first!, last.get(second!)!);
      image.set(second!, last.get(first!)!);
    });
    expect(await startOn(diskWith(lived, swapped), lived)).toBe('store-mixed');
  });

  it('refuses an older root, another cluster, and rows of the chain that it did not seal', async () => {
    const lived = await life();
    const [last, before] = [lived.images.at(-1)!, lived.images.at(-2)!];
    const oldRoot = changed(last, (image) => image.set('root', before.get('root')!));
    expect(await startOn(diskWith(lived, oldRoot), lived)).toBe('store-mixed');
    const other = createTestNode({
      devnet: devnet(),
      disk: diskWith(lived, last),
      keys: lived.keys,
      cluster: testCluster({ confirmations: 3 }),
    });
    expect(await codeOf(other.clock.settle(other.node.start()))).toBe('store-other-cluster');
    const [name] = [...lived.rows.keys()].filter((key) => key.includes('row'));
    const fewer = changed(lived.rows, (rows) => rows.delete(name!));
    expect(await startOn(diskWith(lived, last, fewer), lived)).toBe('store-corrupt');
    const none = createMemoryDisk().image();
    expect(await startOn(diskWith(lived, last, none), lived)).toBe('store-rolled-back');
  });

  it('sets a store aside whose key nobody has, and begins anew', async () => {
    const lived = await life();
    const disk = createTestDisk({ sealed: { image: lived.images.at(-1)! } });
    await disk.header.write(lived.header);
    const test = createTestNode({ devnet: devnet(), disk, seed: 'another boot' });
    await test.ready();
    expect(disk.asides()).toBe(1);
    expect(test.lines.some(({ event }) => event === 'store-set-aside')).toBe(true);
    const { id } = userOf(test, users[1]!);
    expect(await test.node.service.registration(id, { signal: new AbortController().signal })).toBeUndefined();
  });
});
