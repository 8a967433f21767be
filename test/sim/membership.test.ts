// A cluster that grows and shrinks: the sharing of keys follows the table of docs/CUSTODY.md.

import { expect, it } from 'vitest';
import { ed25519PublicKey, ed25519Sign } from '#crypto';
import { fromBase64Url, toBase64Url, toHex } from '../../src/core/bytes.ts';
import { idBytes, parseNodeId } from '../../src/core/ids.ts';
import { encodeStatement, signOperatorLeave, statementMessage } from '../../src/replication/index.ts';
import { seededRandom } from '../support/seeded-random.ts';
import type { SimMachine } from '../support/sim-cluster.ts';
import { foundedWorld, whole } from '../support/sim-world.ts';
import { testCluster } from '../support/test-cluster.ts';

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

it('is rid of a lost member once its operator has taken it off, which nobody else can', async () => {
  const random = seededRandom('operators');
  const secrets = new Map(['op-a', 'op-d'].map((name) => [name, random.bytes(32)]));
  const operators = [...secrets].map(([name, secret]) => {
    return { name, publicKey: toBase64Url(ed25519PublicKey(secret)), platforms: [] };
  });
  const cluster = testCluster({ allowUnbacked: false, operators });
  const { sim, machines } = await foundedWorld(['a', 'b', 'c', 'd'], { cluster });
  const lost = machines[3]!;
  const staying = machines.slice(0, 3);
  const service = machines[1]!.node.service;
  const nodeId = parseNodeId(lost.nodeId);
  lost.crash();
  await sim.until(() => service.roster().members.some((one) => one.nodeId === nodeId && one.standing === 'away'), 60);

  const { genesisId, members: places } = service.roster();
  const joinId = toHex(fromBase64Url(places.find((one) => one.nodeId === nodeId)!.joinId));
  const place = { clusterId: cluster.id, genesisId: fromBase64Url(genesisId), nodeId, joinId };
  const leaveBy = (name: string) => toBase64Url(signOperatorLeave(place, secrets.get(name)!));
  const takeOff = (encoded: string) => sim.clock.settle(service.takeOff(encoded));
  const refused = (code: string, reason: string) =>
    expect.objectContaining({ code, message: expect.stringContaining(reason) });
  await expect(takeOff(leaveBy('op-a'))).rejects.toEqual(refused('leave-refused', 'wrong-signer'));
  const forged = fromBase64Url(leaveBy('op-d'));
  forged[forged.length - 1]! ^= 1;
  await expect(takeOff(toBase64Url(forged))).rejects.toEqual(refused('leave-refused', 'bad-signature'));
  // Statements of other kinds come by the mesh, from members.
  const body = { kind: 'leave', ...place, reason: 'left' } as const;
  const signature = ed25519Sign(secrets.get('op-d')!, statementMessage(body));
  const asItself = encodeStatement({ body, signatures: [{ signer: idBytes(nodeId), signature }] });
  await expect(takeOff(toBase64Url(asItself))).rejects.toEqual(refused('bad-statement', 'operator'));
  await expect(takeOff('AAAA')).rejects.toEqual(refused('bad-statement', 'operator'));
  expect(members(staying)).toEqual([4, 4, 4]);

  for (let twice = 0; twice < 2; twice++) expect(await takeOff(leaveBy('op-d'))).toEqual({ nodeId, left: true });
  await sim.until(() => members(staying).every((count) => count === 3), 60);
  await whole(sim, staying, 240);
  expect(new Set(shapes(staying))).toEqual(new Set(['1 of 2']));
  // It is not lost after all, and stays outside: who was taken off does not ask again.
  lost.boot();
  await sim.until(() => lost.node.service.readiness().reasons.some((reason) => reason.startsWith('removed: ')), 120);
  await sim.clock.advance(60_000);
  expect(members(staying)).toEqual([3, 3, 3]);
});
