// What a host sees of three nodes that found a cluster, register, deal keys and restart: nothing of any secret.

import { expect, it } from 'vitest';
import { concatBytes, equalBytes, utf8 } from '../../src/core/bytes.ts';
import type { Random } from '../../src/core/ports.ts';
import { Secret } from '../../src/core/secret.ts';
import { commitToSealingKey, readHeader } from '../../src/node/store/index.ts';
import { seededUser, userOf } from '../support/node-user.ts';
import { createSecretScan } from '../support/secret-scan.ts';
import type { SimMachine } from '../support/sim-cluster.ts';
import { allBacked, emptyWorld, whole } from '../support/sim-world.ts';
import { createTestDisk } from '../support/test-disk.ts';
import type { TestNode } from '../support/test-node.ts';

it('shows no eight bytes of a key, share, seed or node secret on disks, in frames, logs and metrics', async () => {
  const sim = emptyWorld();
  const seen = new Map<string, Uint8Array[]>();
  const see = (where: string, bytes: Uint8Array) => {
    const known = seen.get(where) ?? [];
    known.push(bytes.slice());
    seen.set(where, known);
  };
  const headers: Uint8Array[] = [];
  const drawn: Uint8Array[] = [];
  const random = (genuine: Random): Random => ({
    bytes(length) {
      const bytes = genuine.bytes(length);
      if (length === 32) drawn.push(bytes.slice());
      return bytes;
    },
  });
  const witnessed = () => {
    const onBatch = (where: string) => ({
      onBatch(ops: readonly { kind: string; key: Uint8Array; value?: Uint8Array }[]) {
        for (const { key, value } of ops) see(where, concatBytes(key, value ?? new Uint8Array(0)));
        return 'written' as const;
      },
    });
    const disk = createTestDisk({ sealed: onBatch('sealed disk'), chain: onBatch('chain disk') });
    const inner = disk.header;
    const header = {
      read: () => inner.read(),
      async write(bytes: Uint8Array) {
        see('headers', bytes);
        headers.push(bytes.slice());
        await inner.write(bytes);
      },
    };
    return Object.assign(disk, { header });
  };
  sim.network.faults.chunk = ({ bytes }) => {
    see('frames', bytes);
    return {};
  };

  const machines = ['a', 'b', 'c'].map((name) => sim.machine(name, { disk: witnessed(), random }));
  for (const machine of machines) machine.boot();
  await sim.until(() => machines.every(({ ready, node }) => ready && node.service.node().members === 3));
  await sim.until(() => allBacked(machines));

  const secrets = new Map<string, Uint8Array>();
  const keep = (life: string, { name, node: { running } }: SimMachine) => {
    const { store, identity } = running!;
    secrets.set(`data key of ${name}, ${life}`, store.copyDataKey().expose().slice());
    secrets.set(`node secret of ${name}, ${life}`, identity.nodeSecret.expose().slice());
    secrets.set(`log key of ${name}, ${life}`, identity.logKey.expose().slice());
  };
  for (const machine of machines) keep('first life', machine);
  const users = ['anna', 'boris', 'clara', 'dora'].map((name) => ({ name, user: seededUser(name, 3) }));
  const register = async ({ name, user }: (typeof users)[number], { node }: SimMachine) => {
    await userOf({ node, clock: sim.clock, cluster: sim.cluster } as TestNode, user).register();
    secrets.set(`seed of ${name}`, user.seed);
    secrets.set(`data key of ${name}`, user.wallet.dataKey);
    for (const [i, subkey] of user.wallet.detectionKey.subkeys.entries()) secrets.set(`subkey ${i} of ${name}`, subkey);
  };
  // Pushed to both others.
  await register(users[0]!, machines[0]!);

  for (const [i, machine] of machines.entries()) {
    machine.crash();
    await sim.clock.advance(1_000);
    // Pulled by the one that was away.
    await register(users[i + 1]!, machines[(i + 1) % 3]!);
    machine.boot();
    await whole(sim, machines);
    keep('second life', machine);
  }
  for (const { node } of machines) expect(node.running!.registrations.counts.held).toBe(users.length);
  sim.devnet.advance(3);
  await sim.clock.advance(20_000);

  // With 1 of n every share is the sealing key: those drawn that some header commits to.
  for (const [i, header] of headers.entries()) {
    const { keyCommitment, threshold } = readHeader(header);
    expect(threshold).toBe(1);
    const key = drawn.find((bytes) => equalBytes(commitToSealingKey(Secret.copy(bytes)), keyCommitment));
    secrets.set(`sealing key of header ${i}`, key!);
  }
  for (const { name, disk, lines, node } of machines) {
    for (const value of disk.sealed.image().values()) see('sealed disk', value);
    for (const value of disk.chain().image().values()) see('chain disk', value);
    see('log', utf8(JSON.stringify(lines)));
    see('api', utf8(JSON.stringify([name, node.service.node(), node.service.members(), node.stats()])));
  }

  expect(headers.length).toBeGreaterThan(6);
  expect(secrets.get('node secret of b, second life')).toEqual(secrets.get('node secret of b, first life'));
  expect([...seen.keys()].sort()).toEqual(['api', 'chain disk', 'frames', 'headers', 'log', 'sealed disk']);
  const scan = createSecretScan(secrets);
  for (const [where, parts] of seen) {
    const all = concatBytes(...parts);
    expect(all.length, where).toBeGreaterThan(2_000);
    expect(scan.find(all), where).toEqual([]);
  }
  // It would find each of them.
  for (const [name, secret] of secrets)
    expect(scan.find(concatBytes(headers[0]!, secret.slice(3, 11)))).toContain(name);
});
