// The host of a node against it: its disk and its network, with whole nodes.

import { describe, expect, it } from 'vitest';
import { ed25519PublicKey } from '#crypto';
import { simulatedMeasurements } from '../../src/attestation/simulated/quote.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { nodeIdFromBytes } from '../../src/core/ids.ts';
import { Secret } from '../../src/core/secret.ts';
import { type StoreHeader, signHeader } from '../../src/node/store/index.ts';
import { headerFor, makeStore, testNode } from '../support/sealed-store.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { SIM_SEED, type SimMachine } from '../support/sim-cluster.ts';
import { foundedWorld, whole } from '../support/sim-world.ts';
import { copyDisk, createTestDisk } from '../support/test-disk.ts';

type Three = [SimMachine, SimMachine, SimMachine];

const headerOf = async ({ disk }: SimMachine) => (await disk.header.read())!;
const reason = ({ node }: SimMachine) => node.service.readiness().reasons[0] ?? '';

describe('a host that changes the disk of its node', () => {
  it('gets nothing by an edited header: the node ends before it asks anybody', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, b] = machines as Three;
    a.crash();
    const header = await headerOf(a);
    header[Math.floor(header.length / 2)]! ^= 1;
    await a.disk.header.write(header);
    a.boot();
    await sim.until(() => a.logged('start-failed', 'reason').length > 0);
    expect(a.logged('start-failed', 'reason')[0]).toMatch(/header/);
    expect(b.logged('custody-refused', 'reason')).toEqual([]);
    expect(a.disk.asides()).toBe(0);
  });

  it('gets nothing by the header of another node', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, b, c] = machines as Three;
    const ids = [a.nodeId, b.nodeId];
    a.crash();
    await a.disk.header.write(await headerOf(b));
    a.boot();
    // It asks for the key of b: b runs, and a platform that b was never on gets nothing.
    await sim.until(() => c.logged('custody-refused', 'reason').includes('platform'));
    expect(c.logged('custody-refused', 'by')).toContain('us');
    expect(
      await c.metric('kith_custody_requests_total{side="answered",kind="release",outcome="platform"}'),
    ).toBeGreaterThan(0);
    await sim.clock.advance(5_000);
    // b was not fenced by it.
    expect(b.ready).toBe(true);
    expect(a.nodeId).not.toBe(ids[1]);
  });

  it('gets nothing by a store of its own making, with key servers of its own', async () => {
    const { sim, machines } = await foundedWorld();
    const [a] = machines as Three;
    const otherBuild = simulatedMeasurements('other', utf8('other build'));
    const server = await sim.intruder('key-server', { measurements: otherBuild });
    const random = seededRandom('host');
    const nodeSecret = Secret.own(random.bytes(32));
    const identity = {
      clusterId: sim.cluster.id,
      nodeId: nodeIdFromBytes(ed25519PublicKey(nodeSecret.expose())),
      storeId: random.bytes(32),
    };
    const made = { ...testNode(), nodeSecret, identity };
    const disk = createTestDisk();
    const { store } = await makeStore(await disk.openSealed(), made);
    const fields: StoreHeader = {
      ...headerFor(store, made),
      keyServers: [{ nodeId: server.nodeId, addresses: [server.address] }],
    };
    await disk.header.write(signHeader(fields, nodeSecret));
    await store.close();
    const victim = sim.machine('victim', { disk });
    victim.boot();
    await sim.until(() => victim.logged('not-attested').includes('policy-measurement'));
    await sim.clock.advance(120_000);
    // It waits for the server that it cannot believe, for as long as its host likes: nothing is opened or served.
    expect(reason(victim)).toMatch(/^0 of 1 shares of the sealing key, 3 members answered .*unknown-owner/);
    expect(disk.asides()).toBe(0);
    expect(a.logged('custody-refused', 'reason')).toContain('unknown-owner');
  });

  it('cannot have two copies of one disk serve against disjoint peers', async () => {
    const { sim, machines, network } = await foundedWorld(['a', 'b', 'c', 'd']);
    const [a, b, c, d] = machines as [SimMachine, SimMachine, SimMachine, SimMachine];
    const id = a.nodeId;
    a.crash();
    const clone = sim.machine('a', { disk: await copyDisk(a.disk), address: '/memory/clone' });
    // 2 of 3 shares: one copy reaches b and c, the other only d.
    const apart = [
      [a.address, d.address],
      [clone.address, b.address],
      [clone.address, c.address],
      [a.address, clone.address],
    ];
    network.faults.dial = (from, to) => !apart.some((pair) => pair.includes(from) && pair.includes(to));
    await sim.clock.advance(1_000);
    a.boot();
    clone.boot();
    await sim.until(() => a.ready, 180);
    await sim.clock.advance(60_000);
    expect(a.nodeId).toBe(id);
    expect(clone.ready).toBe(false);
    // The key servers of the roster together never gave two of them a threshold.
    expect(clone.nodeId).not.toBe(id);
    expect(reason(clone)).toMatch(/shares of the sealing key|members/);
  });

  it('cannot have two copies go on under one incarnation once members have met both', async () => {
    const { sim, machines, network } = await foundedWorld();
    const [a, b, c] = machines as [SimMachine, SimMachine, SimMachine];
    c.crash();
    const clone = sim.machine('c', { disk: await copyDisk(c.disk), address: '/memory/clone' });
    const without = (...apart: [SimMachine, SimMachine][]) => {
      network.faults.dial = (from, to) =>
        !apart.some((pair) => pair.every(({ address }) => address === from || address === to));
    };
    // 1 of 2 shares: each copy gets the key from the one member it reaches, under the same number.
    without([c, b], [clone, a], [c, clone]);
    await sim.clock.advance(1_000);
    c.boot();
    clone.boot();
    await sim.until(() => [c, clone].every((boot) => boot.logged('key-released').length > 0), 60);
    expect(c.logged('key-released', 'incarnation').at(-1)).toBe(clone.logged('key-released', 'incarnation').at(-1));
    await sim.clock.advance(5_000);
    // Every link is lost, and each member meets the other copy first: from then on both refuse both, at the door.
    network.faults.chunk = () => ({ copies: 0 });
    await sim.clock.advance(40_000);
    network.faults.chunk = () => ({});
    without([c, a], [clone, b], [c, clone]);
    await sim.clock.advance(90_000);
    network.faults.dial = () => true;
    const ended = (boot: SimMachine) => boot.logged('fenced').length > 0;
    await sim.until(() => ended(c) && ended(clone), 180);
    expect([a, b, c, clone].map((boot) => boot.ready)).toEqual([true, true, false, false]);
  });
});

describe('a host that holds the network', () => {
  /** What happens to each chunk, by chance from the seed. */
  const trouble = () => {
    const random = seededRandom(`trouble ${SIM_SEED}`);
    return () => {
      const [kind = 0, size = 0] = random.bytes(2);
      if (kind < 6) return { copies: 0 };
      if (kind < 12) return { copies: 2 };
      if (kind < 24) return { delayMs: size * 20, overtaken: true };
      return kind < 100 ? { delayMs: size } : {};
    };
  };

  it('costs time, and neither ids nor keys, whatever it loses, doubles, delays or reorders', async () => {
    const { sim, machines, network } = await foundedWorld();
    const [a, b] = machines as Three;
    const before = machines.map(({ nodeId }) => nodeId);
    network.faults.chunk = trouble();
    await sim.clock.advance(60_000);
    b.crash();
    await sim.clock.advance(1_000);
    b.boot();
    await sim.clock.advance(60_000);
    delete network.faults.chunk;
    await whole(sim, machines, 300);
    expect(machines.map(({ nodeId }) => nodeId)).toEqual(before);
    expect(machines.map(({ disk }) => disk.asides())).toEqual([0, 0, 0]);
    const cuts = a.logged('peer-cut');
    expect(
      cuts.some((code) =>
        ['frame-missing', 'frame-replayed', 'frame-forged', 'protocol-violation'].includes(`${code}`),
      ),
    ).toBe(true);
    for (const code of new Set(cuts)) {
      expect(await a.metric(`kith_mesh_peers_cut_total{code="${code}"}`)).toBeGreaterThan(0);
    }
  });

  it('gets nothing by answers from the past: frames of an earlier connection cut the new one', async () => {
    const { sim, machines, network } = await foundedWorld(['a', 'b']);
    const [a, b] = machines as [SimMachine, SimMachine];
    const past: Uint8Array[] = [];
    network.faults.chunk = ({ protocol, from, bytes }) => {
      if (protocol === '/kith/custody/1' && from === b.address) past.push(bytes.slice());
      return {};
    };
    await sim.clock.advance(70_000);
    expect(past.length).toBeGreaterThan(2);
    network.cut(a.address, b.address);
    let replayed = 0;
    network.faults.chunk = ({ protocol, from }) =>
      protocol === '/kith/custody/1' && from === b.address && replayed < 3 ? { bytes: past[replayed++]! } : {};
    await sim.until(
      () => a.logged('peer-cut').some((code) => /^frame-(forged|replayed|missing)$/.test(`${code}`)),
      120,
    );
    delete network.faults.chunk;
    await whole(sim, machines);
    expect(a.logged('fenced', 'reason')).toEqual([]);
  });
});
