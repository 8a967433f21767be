import { describe, expect, it } from 'vitest';
import { type Cluster, DEFAULT_LIMITS } from '../../../src/attestation/index.ts';
import { utf8 } from '../../../src/core/bytes.ts';
import { bytesUpTo, closed, shape } from '../../../src/core/schema.ts';
import { createClusterInForce } from '../../../src/node/cluster-in-force.ts';
import { createMemoryDisk } from '../../../src/node/store/index.ts';
import { recordingLog } from '../../support/node-service.ts';
import { rejectionOf } from '../../support/outcome.ts';
import { makeStore, reopenStore } from '../../support/sealed-store.ts';
import { successorOf, testCluster } from '../../support/test-cluster.ts';

const first = testCluster();
const second = successorOf(first, { confirmations: 2 });
const third = successorOf(second, { limits: { ...DEFAULT_LIMITS, registrationsMax: 7 } });
const otherSecond = successorOf(first, { confirmations: 3 });

function inForceOf(given: Cluster) {
  const { log, lines } = recordingLog();
  return { inForce: createClusterInForce({ log }, given), lines };
}

const versionOf = ({ now }: { now(): Cluster }) => now().configuration.version;

describe('the configuration in force', () => {
  it('is followed by whoever reads it through the cluster, and stands still in what `now` gave', async () => {
    const { inForce, lines } = inForceOf(first);
    const before = inForce.now();
    const changes: number[] = [];
    inForce.onChange((old) => changes.push(old.configuration.version));
    await inForce.adopt(third);
    expect(inForce.cluster.configuration.limits.registrationsMax).toBe(7);
    expect(inForce.cluster.hash).toEqual(third.hash);
    expect(inForce.cluster.id).toBe(first.id);
    expect(before.configuration.version).toBe(1);
    expect(changes).toEqual([1]);
    expect(lines).toMatchObject([{ event: 'configuration', fields: { version: 3 } }]);
  });

  it('refuses a lower version, a fork and another cluster, and stays', async () => {
    const { inForce } = inForceOf(first);
    await inForce.adopt(second);
    expect((await rejectionOf(inForce.adopt(first)))?.code).toBe('successor-number');
    expect((await rejectionOf(inForce.adopt(otherSecond)))?.code).toBe('successor-fork');
    expect((await rejectionOf(inForce.adopt(testCluster({ confirmations: 5 }))))?.code).toBe('other-genesis');
    expect(inForce.now()).toBe(second);
    await inForce.adopt(third);
    expect(versionOf(inForce)).toBe(3);
  });

  it('takes two successors that arrive at once, the newer one counting', async () => {
    const { inForce } = inForceOf(first);
    const [newer, older] = await Promise.all([rejectionOf(inForce.adopt(third)), rejectionOf(inForce.adopt(second))]);
    expect([newer, older?.code]).toEqual([undefined, 'successor-number']);
    expect(versionOf(inForce)).toBe(3);
  });

  it('is remembered by the store: an older file given at the next start does not count', async () => {
    const disk = createMemoryDisk();
    const made = await makeStore(disk.open());
    const before = inForceOf(first);
    await before.inForce.remember(made.store);
    await before.inForce.adopt(third);
    await made.store.close();

    const store = await reopenStore(disk.open(), made.header);
    const after = inForceOf(first);
    await after.inForce.remember(store);
    expect(after.inForce.cluster.hash).toEqual(third.hash);
    expect(after.lines[0]).toMatchObject({ event: 'configuration-outdated', fields: { given: 1, remembered: 3 } });
    await store.close();
  });

  it('remembers what was adopted, or given newer, before the store was open', async () => {
    const disk = createMemoryDisk();
    const made = await makeStore(disk.open());
    const before = inForceOf(second);
    await before.inForce.adopt(third);
    await before.inForce.remember(made.store);
    await made.store.close();

    const store = await reopenStore(disk.open(), made.header);
    const after = inForceOf(second);
    await after.inForce.remember(store);
    expect(versionOf(after.inForce)).toBe(3);
    await store.close();
  });

  it('refuses a file that forks off from what the store remembers', async () => {
    const disk = createMemoryDisk();
    const made = await makeStore(disk.open());
    await inForceOf(second).inForce.remember(made.store);
    const forked = inForceOf(otherSecond);
    expect((await rejectionOf(forked.inForce.remember(made.store)))?.code).toBe('successor-fork');
    await made.store.close();
  });

  it('stays as it was when the disk takes no more', async () => {
    let full = false;
    const disk = createMemoryDisk({ onBatch: () => (full ? 'full' : 'written') });
    const made = await makeStore(disk.open());
    const { inForce } = inForceOf(first);
    await inForce.remember(made.store);
    full = true;
    expect((await rejectionOf(inForce.adopt(second)))?.code).toBe('store-full');
    expect(versionOf(inForce)).toBe(1);
    full = false;
    await inForce.adopt(second);
    expect(versionOf(inForce)).toBe(2);
    await made.store.close();
  });

  it('does not believe a successor in the store that the governance did not sign', async () => {
    const disk = createMemoryDisk();
    const made = await makeStore(disk.open());
    const { inForce } = inForceOf(second);
    await inForce.remember(made.store);
    const records = made.store.namespace('configuration', shape(closed({ proposal: bytesUpTo(262_144, 1) })));
    const { configuration } = otherSecond;
    const proposal = utf8(JSON.stringify({ configuration, signatures: second.versions[1]!.signatures }));
    await made.store.commit([records.put(Uint8Array.of(0, 0, 0, 2), { proposal })]);
    const again = inForceOf(first);
    expect((await rejectionOf(again.inForce.remember(made.store)))?.code).toBe('successor-signature');
    await made.store.close();
  });
});
