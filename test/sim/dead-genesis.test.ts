// All members of a cluster lose their keys while another node waits to join it: it comes along into what they begin anew.

import { it } from 'vitest';
import { foundedWorld, whole } from '../support/sim-world.ts';

it('a node that waits to join is no obstacle to those who begin anew, and joins them', async () => {
  const { sim, machines } = await foundedWorld();
  const [first, ...others] = machines as [(typeof machines)[0], ...typeof machines];
  for (const machine of others) machine.crash();
  const late = sim.machine('late');
  late.boot();
  await sim.until(() => late.logged('not-joined', 'reason').length > 0);
  first.crash();
  await sim.clock.advance(1_000);
  for (const machine of machines) machine.boot({ found: machine === first });
  const all = [...machines, late];
  await sim.until(() => all.every(({ node }) => node.service.node().members === 4), 600);
  await whole(sim, all, 120);
});
