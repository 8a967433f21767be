import { describe, expect, it } from 'vitest';
import { fromBase64Url } from '../../src/core/bytes.ts';
import { createDevnet } from '../../src/devnet/index.ts';
import { readHeader, signHeader } from '../../src/node/store/index.ts';
import { seededUser, userOf } from '../support/node-user.ts';
import { enterShare, recoveryOfThree, waitingAt } from '../support/recovery-holders.ts';
import { madeUpLines, replayOf } from '../support/replay.ts';
import { createSimCluster, type SimMachine } from '../support/sim-cluster.ts';
import { testCluster } from '../support/test-cluster.ts';

const LINES = madeUpLines(1_000, 60).filter(({ flags }) => flags === null);
const cluster = testCluster({ allowUnbacked: false, recovery: recoveryOfThree });
const anna = seededUser('anna', 3);
const boris = seededUser('boris', 3);
const clara = seededUser('clara', 3);

const call = () => ({ signal: new AbortController().signal });
const ready = ({ node }: SimMachine) => node.service.readiness().ready;
const nodeId = ({ node }: SimMachine) => node.service.node().nodeId;
const events = ({ lines }: SimMachine, event: string) => lines.filter((line) => line.event === event);

/** Nodes that are ready and backed by one another. */
async function founded(names = ['a', 'b', 'c']) {
  const devnet = createDevnet({ replay: replayOf(LINES), startAfter: 20 });
  const sim = createSimCluster(devnet, cluster);
  const machines = names.map((name) => sim.machine(name));
  for (const machine of machines) machine.boot();
  await sim.until(() => machines.every(ready));
  await sim.until(() => machines.every(({ node }) => node.service.node().members === names.length));
  await sim.clock.advance(40_000);
  const userAt = ({ node }: SimMachine, who: typeof anna) => userOf({ node, cluster, clock: sim.clock }, who);
  const stopAll = async () => {
    for (const machine of machines) await machine.stop();
  };
  return { sim, devnet, machines, userAt, stopAll };
}

describe('all nodes restarted at once', () => {
  it('begin anew, say so, and have everything back when enough shares are entered at one of them', async () => {
    const { sim, machines, userAt, stopAll } = await founded();
    const [a, b] = machines as [SimMachine, SimMachine, SimMachine];
    await userAt(a, anna).register();
    await userAt(a, anna).renew(5_000);
    await userAt(a, boris).register();
    await userAt(a, boris).revoke();
    const before = machines.map(nodeId);
    for (const machine of machines) machine.crash();
    for (const machine of machines) machine.boot();
    await sim.until(() => machines.every(ready));
    expect(machines.map(nodeId).filter((id) => before.includes(id))).toEqual([]);
    for (const { disk } of machines) expect(disk.asides()).toBe(1);
    expect(await userAt(a, anna).status()).toBeUndefined();
    await userAt(b, clara).register();
    expect(await userAt(b, clara).status()).toMatchObject({ status: 'confirmed' });
    expect(a.node.service.readiness().reasons.join()).toContain('total-restart: the store of node');
    const [store] = waitingAt(a.node);
    expect(store).toMatchObject({ nodeId: before[0], entered: 0, needed: 2 });
    expect(await sim.clock.settle(enterShare(a.node, cluster, 3))).toMatchObject({ status: 'waiting', entered: 1 });
    expect(await sim.clock.settle(enterShare(a.node, cluster, 1))).toMatchObject({ status: 'opened', entered: 2 });
    await sim.until(() => events(a, 'store-imported').length > 0);
    expect(await userAt(a, anna).status()).toMatchObject({ status: 'confirmed', expiryHeight: 5_000 });
    expect(await userAt(a, boris).status()).toMatchObject({ status: 'revoked' });
    expect(events(a, 'store-imported')[0]!.fields).toMatchObject({ taken: 3, refused: 0, postponed: 0 });
    // The log of this boot brings it to the others.
    await sim.clock.advance(30_000);
    for (const machine of machines) {
      expect(await userAt(machine, anna).status()).toMatchObject({
        status: 'confirmed',
        expiryHeight: 5_000,
        confirmations: 3,
      });
      expect(await userAt(machine, boris).status()).toMatchObject({ status: 'revoked' });
      expect(await userAt(machine, anna).read()).toBeDefined();
    }
    expect(a.disk.aside[0]!.imported).toBe(true);
    expect(waitingAt(a.node)).toEqual([]);
    expect(a.node.service.readiness().reasons.join()).not.toContain('total-restart');
    await stopAll();
  });

  it('take recovery shares while they still ask for their keys', async () => {
    const { sim, machines, userAt, stopAll } = await founded();
    const [a, b] = machines as [SimMachine, SimMachine, SimMachine];
    await userAt(a, anna).register();
    const { recoveryWrappedDataKey } = readHeader(await a.disk.header.read());
    for (const machine of machines) machine.crash();
    a.boot();
    await sim.until(() => waitingAt(a.node).length > 0);
    await sim.until(() => a.node.service.readiness().reasons[0]!.includes('shares of the sealing key'));
    expect(fromBase64Url(waitingAt(a.node)[0]!.blob)).toEqual(recoveryWrappedDataKey);
    for (const holder of [2, 3]) await sim.clock.settle(enterShare(a.node, cluster, holder));
    await sim.until(() => a.node.service.readiness().reasons[0] === 'waiting for a second member');
    expect(a.disk.asides()).toBe(1);
    // c is gone for good: b would wait for it.
    b.boot();
    await sim.until(() => waitingAt(b.node).length > 0);
    await sim.clock.advance(20_000);
    expect(b.node.service.readiness().phase).toBe('recovering');
    for (const holder of [2, 3]) await sim.clock.settle(enterShare(b.node, cluster, holder));
    await sim.until(() => events(a, 'store-imported').length > 0);
    expect(await userAt(a, anna).status()).toMatchObject({ status: 'confirmed' });
    expect(a.disk.aside[0]!.imported).toBe(true);
    await stopAll();
  });

  it('keep one wrapping of their data keys over restarts and deals', async () => {
    const { sim, machines, stopAll } = await founded();
    const [a] = machines as [SimMachine, SimMachine, SimMachine];
    const header = async () => readHeader(await a.disk.header.read());
    const before = await header();
    a.crash();
    await sim.clock.advance(1_000);
    a.boot();
    await sim.until(() => ready(a));
    await sim.clock.advance(40_000);
    const after = await header();
    expect(after.keyEpoch).toBeGreaterThan(before.keyEpoch);
    expect(after.recoveryWrappedDataKey).toEqual(before.recoveryWrappedDataKey);
    await stopAll();
  });
});

describe('a node whose key servers come back after it went on without them', () => {
  it('takes in what its old store holds, and its old id leaves the roster', async () => {
    const { sim, machines, userAt, stopAll } = await founded();
    const [a, b, c] = machines as [SimMachine, SimMachine, SimMachine];
    await userAt(a, anna).register();
    const before = nodeId(a);
    const members = ({ node }: SimMachine) => node.service.node().members;
    a.crash();
    await sim.clock.advance(1_000);
    // b forgets the share of a, and stands at its own address and at that of c, which a cannot reach.
    b.crash();
    b.boot();
    await sim.until(() => ready(b));
    const cannot = (from: string, to: string) => [from, to].every((one) => ['/memory/a', '/memory/c'].includes(one));
    sim.network.faults.dial = (from, to) => !cannot(from, to);
    const early = readHeader(await a.disk.header.read());
    const secret = a.node.running!.identity.nodeSecret;
    await a.disk.header.write(
      signHeader(
        {
          ...early,
          threshold: 1,
          keyServers: early.keyServers.filter((server) => server.nodeId === nodeId(b)),
        },
        secret,
      ),
    );
    a.boot();
    await sim.until(() => a.disk.asides() === 1);
    await sim.until(() => ready(a));
    expect(nodeId(a)).not.toBe(before);
    sim.network.faults.dial = () => true;
    await sim.until(() => events(a, 'store-imported').length > 0, 1_800);
    expect(events(a, 'key-came-back')[0]!.fields['by']).toBe('sealing-key');
    expect(await userAt(a, anna).status()).toMatchObject({ status: 'confirmed' });
    expect(a.disk.aside[0]!.imported).toBe(true);
    await sim.until(() => machines.every((machine) => members(machine) === 3));
    const roster = await sim.clock.settle(c.node.service.attestation(new Uint8Array(32), call()));
    expect(roster.roster.map((entry) => entry.nodeId)).not.toContain(before);
    await stopAll();
  });
});
