// A cluster that grows and shrinks: the sharing of keys follows the table of docs/CUSTODY.md.

import { expect, it } from 'vitest';
import type { SimMachine } from '../support/sim-cluster.ts';
import { foundedWorld, whole } from '../support/sim-world.ts';

const shapes = (machines: readonly SimMachine[]) =>
  machines.map(({ node }) => {
    const { custody } = node.service.node();
    return `${custody?.threshold} of ${custody?.shares}`;
  });

const members = (machines: readonly SimMachine[]) => machines.map(({ node }) => node.service.node().members);

it('grows from two to six, each time dealt anew as the table says, and every node restarts under its id', async () => {
  const { sim, machines: pair } = await foundedWorld(['a', 'b']);
  const machines = [...pair];
  const grow = async (...names: string[]) => {
    for (const name of names) {
      const added = sim.machine(name);
      machines.push(added);
      added.boot();
    }
    await sim.until(() => members(machines).every((count) => count === machines.length), 240);
    await whole(sim, machines, 240);
  };
  expect(shapes(machines)).toEqual(['1 of 1', '1 of 1']);
  await grow('c');
  expect(new Set(shapes(machines))).toEqual(new Set(['1 of 2']));
  await grow('d');
  expect(new Set(shapes(machines))).toEqual(new Set(['2 of 3']));
  await grow('e', 'f');
  expect(new Set(shapes(machines))).toEqual(new Set(['3 of 5']));

  // Three of five: two key servers may be lost at once.
  const before = machines.map(({ nodeId }) => nodeId);
  for (const machine of machines.slice(0, 3)) machine.crash();
  await sim.clock.advance(1_000);
  for (const machine of machines.slice(0, 3)) machine.boot();
  await whole(sim, machines, 240);
  expect(machines.map(({ nodeId }) => nodeId)).toEqual(before);
  expect(await machines[0]!.metric('kith_node_roster_members')).toBe(6);
});

it('shrinks from six to two as members leave, and what stays is whole and restarts under its id', async () => {
  const { sim, machines } = await foundedWorld(['a', 'b', 'c', 'd', 'e', 'f']);
  const staying = [...machines];
  const signal = new AbortController().signal;
  const leaves = async () => {
    const leaving = staying.pop()!;
    expect(await sim.clock.settle(leaving.node.leave({ signal }))).toBeUndefined();
    await leaving.stop();
    await sim.until(() => members(staying).every((count) => count === staying.length), 240);
    await whole(sim, staying, 240);
  };
  await leaves();
  await leaves();
  expect(new Set(shapes(staying))).toEqual(new Set(['2 of 3']));
  await leaves();
  expect(new Set(shapes(staying))).toEqual(new Set(['1 of 2']));
  await leaves();
  expect(new Set(shapes(staying))).toEqual(new Set(['1 of 1']));
  const [a] = staying;
  const before = a!.nodeId;
  a!.crash();
  await sim.clock.advance(1_000);
  a!.boot();
  await whole(sim, staying, 240);
  expect(a!.nodeId).toBe(before);
});
