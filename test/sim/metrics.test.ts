// What operators see of replication in whole nodes: the numbers are those of what happened, and no alarm is raised.

import { expect, it } from 'vitest';
import { seededUser, userOf } from '../support/node-user.ts';
import type { SimMachine } from '../support/sim-cluster.ts';
import { foundedWorld, whole } from '../support/sim-world.ts';

const ALARMS = ['divergence', 'records', 'fork', 'equivocation', 'chain-disagreement', 'wrong-root'];

it('shows operations given, received and confirmed, and what a node that was away took from the others', async () => {
  const { sim, machines } = await foundedWorld();
  const [a, b, c] = machines as [SimMachine, SimMachine, SimMachine];
  const at = ({ node }: SimMachine, name: string) =>
    userOf({ node, cluster: sim.cluster, clock: sim.clock }, seededUser(name));
  c.crash();

  for (const name of ['one', 'two']) expect((await at(a, name).register()).status).toBe('confirmed');
  expect(await a.metric('kith_receipts_operations_total{kind="given"}')).toBe(2);
  expect(await a.metric('kith_receipts_operations_total{kind="received"}')).toBe(2);
  expect(await b.metric('kith_receipts_operations_total{kind="given"}')).toBe(2);
  const within = ['0.1', '1', '5'].map((step) => a.metric(`kith_confirmations_answered_total{within="${step}"}`));
  expect((await Promise.all(within)).reduce((sum, count) => sum + count, 0)).toBe(2);
  // What was pushed may be pulled at the same time, and is counted again.
  expect(await b.metric('kith_sync_operations_arrived_total')).toBeGreaterThanOrEqual(2);
  expect(await b.metric('kith_sync_requests_answered_total{kind="push"}')).toBeGreaterThan(0);

  c.boot();
  await whole(sim, machines);
  expect(await c.metric('kith_sync_operations_arrived_total')).toBeGreaterThanOrEqual(2);
  expect(await c.metric('kith_sync_missing')).toBe(0);
  for (const machine of machines) {
    const { heights } = machine.node.service.node();
    expect(heights.cluster).toBeGreaterThan(0);
    expect(await machine.metric('kith_node_height_blocks{kind="cluster"}')).toBe(heights.cluster);
    expect(await machine.metric('kith_heights_operators{kind="all"}')).toBe(3);
    for (const alarm of ALARMS) {
      expect(await machine.metric(`kith_replication_alarms_total{alarm="${alarm}"}`)).toBe(0);
    }
  }
});
