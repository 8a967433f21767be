// Two pairs that each founded the same cluster meet: neither gives way, and both sides say so where operators look.

import { expect, it } from 'vitest';
import type { SimMachine } from '../support/sim-cluster.ts';
import { emptyWorld } from '../support/sim-world.ts';

const ALARM = 'kith_roster_alarms_total{alarm="other-genesis"}';

it('two foundings of one cluster stay apart, and count the alarm on both sides', async () => {
  const sim = emptyWorld();
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => sim.machine(name)) as [
    SimMachine,
    SimMachine,
    SimMachine,
    SimMachine,
  ];
  a.boot({ bootstrap: [b.address] });
  b.boot({ bootstrap: [a.address] });
  // Without bootstrap addresses it may found as well.
  c.boot({ bootstrap: [] });
  d.boot({ bootstrap: [c.address] });
  const members = ({ node }: SimMachine) => node.service.node().members;
  await sim.until(() => [a, b, c, d].every((machine) => machine.ready && members(machine) === 2));
  expect(await d.metric(ALARM)).toBe(0);

  await d.stop();
  d.boot({ bootstrap: [c.address, a.address] });
  await sim.until(() => [a, d].every((machine) => machine.logged('other-genesis', 'peer').length > 0));
  expect(a.logged('other-genesis', 'peer')).toContain(d.nodeId);
  expect(d.logged('other-genesis', 'peer')).toContain(a.nodeId);
  for (const machine of [a, d]) expect(await machine.metric(ALARM)).toBeGreaterThan(0);
  expect(await a.metric('kith_roster_alarms_total{alarm="failed"}')).toBe(0);
  await sim.clock.advance(30_000);
  expect([a, b, c, d].map(members)).toEqual([2, 2, 2, 2]);
});
