// Floods against a whole node: its members notice nothing, its log and its tables stay small.

import { expect, it } from 'vitest';
import { ATTEST_PROTOCOL } from '../../src/p2p/handshake/messages.ts';
import type { Connection } from '../../src/p2p/index.ts';
import type { SimMachine } from '../support/sim-cluster.ts';
import { foundedWorld } from '../support/sim-world.ts';

async function floodedWorld() {
  const { sim, machines, network, clock } = await foundedWorld();
  const [a] = machines as [SimMachine];
  const signal = new AbortController().signal;
  const stranger = (number: number, address = `/memory/flood${number}`) =>
    network.transport({ bootKey: new Uint8Array(32).fill(number), address });
  // Second connections of the founding linger for two seconds.
  await clock.advance(5_000);
  const cutsBefore = a.logged('peer-cut').length;
  /** Everybody else goes on as before. */
  const unaffected = () => {
    expect(machines.map(({ ready }) => ready)).toEqual([true, true, true]);
    expect(a.logged('peer-cut').slice(cutsBefore)).toEqual([]);
    expect(a.node.service.node().quorum.reachable).toBe(3);
    expect(machines.every(({ node }) => node.service.node().custody?.phase === 'backed')).toBe(true);
  };
  return { sim, a, machines, clock, signal, stranger, unaffected };
}

it('a flood of handshakes is turned away at the gate', async () => {
  const { a, clock, signal, stranger, unaffected } = await floodedWorld();
  const flood = stranger(9);
  for (let i = 0; i < 2_000; i++) {
    const connection = await flood.dial(a.address, { signal });
    void connection.openStream(ATTEST_PROTOCOL, { signal }).catch(() => undefined);
    if (i % 100 === 0) await clock.advance(100);
  }
  await clock.advance(30_000);
  unaffected();
  expect(await a.metric('kith_mesh_strangers_cut_total{code="too-many"}')).toBeGreaterThan(1_900);
  // Two thousand refusals are some twenty lines.
  const lines = a.lines.filter(({ event }) => event === 'turned-away');
  expect(lines.length).toBeGreaterThanOrEqual(20);
  expect(lines.length).toBeLessThan(40);
});

it('strangers that open other protocols, say nothing, send maximal frames or garbage are cut', async () => {
  const { a, clock, signal, stranger, unaffected } = await floodedWorld();
  const connections: Connection[] = [];
  for (let number = 10; number < 18; number++) {
    const connection = await stranger(number).dial(a.address, { signal });
    connections.push(connection);
    if (number < 12) void connection.openStream('/kith/custody/1', { signal }).catch(() => undefined);
    else if (number < 14) continue;
    else {
      const stream = await connection.openStream(ATTEST_PROTOCOL, { signal });
      // Four bytes of length: the largest that is allowed, or all there is.
      const length = number < 16 ? [0, 0, 0x50, 0] : [0xff, 0xff, 0xff, 0xff];
      void stream.write(Uint8Array.from([...length, ...new Uint8Array(200_000)])).catch(() => undefined);
    }
  }
  await clock.advance(40_000);
  unaffected();
  expect(connections.every(({ closed }) => closed.aborted)).toBe(true);
  expect(await a.metric('kith_mesh_strangers_cut_total{code="not-attested"}')).toBe(4);
  expect(await a.metric('kith_mesh_handshakes_refused_total{by="us",code="malformed-message"}')).toBe(4);
});

it('an attested peer that never reads is cut, one that opens a hundred streams is refused them', async () => {
  const { sim, a, clock, signal } = await floodedWorld();
  const deaf = await sim.intruder('deaf');
  await clock.settle(deaf.mesh.dial(a.address));
  sim.network.faults.chunk = ({ to }) => (to === deaf.address ? { copies: 0 } : {});
  await clock.advance(40_000);
  delete sim.network.faults.chunk;
  expect(a.logged('peer-cut').at(-1)).toMatch(/^peer-(silent|stalled)$/);
  const before = a.logged('peer-cut').length;

  let opened: Connection | undefined;
  const own = sim.network.transport({ bootKey: new Uint8Array(32).fill(33), address: '/memory/greedy' });
  const greedy = await sim.intruder('greedy', {
    transport: {
      ...own,
      async dial(address, options) {
        opened = await own.dial(address, options);
        return opened;
      },
    },
  });
  await clock.settle(greedy.mesh.dial(a.address));
  for (let i = 0; i < 100; i++) void opened!.openStream('/kith/nothing/1', { signal }).catch(() => undefined);
  await clock.advance(1_000);
  expect(await a.metric('kith_mesh_streams_refused_total{code="unknown-protocol"}')).toBe(100);
  expect(a.lines.filter(({ event }) => event === 'stream-refused').length).toBe(20);
  expect(a.logged('peer-cut').length).toBe(before);
  await greedy.mesh.stop();
  await deaf.mesh.stop();
  await clock.advance(1_000);
  expect(a.node.service.node().quorum.reachable).toBe(3);
});
