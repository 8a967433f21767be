import { expect, it } from 'vitest';
import { planFor } from '../../sim/simulator/plan.ts';
import { createTrace } from '../../sim/simulator/trace.ts';
import { createWorld } from '../../sim/simulator/world.ts';

it('a copy of a damaged disk is damaged, also on another machine, and a new disk is not', async () => {
  const world = createWorld(planFor({ seed: 1, nodes: 2 }), createTrace());
  const host = world.addHost({ name: 'n0' });
  expect(host.damaged).toBe(false);
  host.damaged = true;
  const images = await host.images();
  expect(world.addHost({ name: 'n0-clone', cloneOf: { host, images } }).damaged).toBe(true);
  await host.wipe();
  expect(host.damaged).toBe(false);
  await host.putBack(images);
  expect(host.damaged).toBe(true);
});
