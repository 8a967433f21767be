import { describe, expect, it } from 'vitest';
import { createDevnet } from '../../src/devnet/index.ts';
import { seededUser, userOf } from '../support/node-user.ts';
import { enterShare, recoveryOfThree, waitingAt } from '../support/recovery-holders.ts';
import { madeUpLines, replayOf } from '../support/replay.ts';
import { createSimCluster, type SimMachine } from '../support/sim-cluster.ts';
import { testCluster } from '../support/test-node.ts';

const LINES = madeUpLines(1_000, 60).filter(({ flags }) => flags === null);
const cluster = testCluster({ allowUnbacked: false, recovery: recoveryOfThree });
const anna = seededUser('anna', 3);
const boris = seededUser('boris', 3);
const clara = seededUser('clara', 3);

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
    expect(userAt(a, anna).status()).toBeUndefined();
    await userAt(b, clara).register();
    expect(userAt(b, clara).status()).toMatchObject({ status: 'confirmed' });
    expect(a.node.service.readiness().reasons.join()).toContain('total-restart: the store of node');
    const [store] = waitingAt(a.node);
    expect(store).toMatchObject({ nodeId: before[0], entered: 0, needed: 2 });
    expect(await sim.clock.settle(enterShare(a.node, cluster, 3))).toMatchObject({ status: 'waiting', entered: 1 });
    expect(await sim.clock.settle(enterShare(a.node, cluster, 1))).toMatchObject({ status: 'opened', entered: 2 });
    await sim.until(() => events(a, 'store-imported').length > 0);
    expect(userAt(a, anna).status()).toMatchObject({ status: 'confirmed', expiryHeight: 5_000 });
    expect(userAt(a, boris).status()).toMatchObject({ status: 'revoked' });
    expect(events(a, 'store-imported')[0]!.fields).toMatchObject({ taken: 3, refused: 0, postponed: 0 });
    expect(a.disk.aside[0]!.imported).toBe(true);
    expect(waitingAt(a.node)).toEqual([]);
    expect(a.node.service.readiness().reasons.join()).not.toContain('total-restart');
    await stopAll();
  });
});
