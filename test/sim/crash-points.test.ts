// An owner of three that crashes at each step of dealing its key anew: before and after each message of custody, and on
// either side of writing the header. It comes back under its own id every time.

import { expect, it } from 'vitest';
import type { PortCall } from '../support/mortal.ts';
import { SIM_SEED, type SimMachine } from '../support/sim-cluster.ts';
import { allBacked, foundedWorld, whole } from '../support/sim-world.ts';

/** More than a deal among three and its probes take. */
const CALLS_MAX = 40;

it.each(['header-begins', 'header-written', 'custody-message'] as const)(
  'a crash at any %s of a deal leaves a node that comes back as itself',
  async (kind) => {
    const { sim, machines } = await foundedWorld();
    const [a, b] = machines as [SimMachine, SimMachine];
    const before = machines.map(({ nodeId }) => nodeId);
    const plan = { crashAt: Number.POSITIVE_INFINITY, calls: 0, crashed: false };
    const onCall = (called: PortCall) => {
      if (called !== kind || ++plan.calls !== plan.crashAt) return;
      plan.crashed = true;
      a.crash();
    };
    const epoch = () => a.node.service.node().custody?.keyEpoch ?? 0;
    a.crash();
    a.boot({ onCall });
    await whole(sim, machines);
    let point = 0;
    for (; point < CALLS_MAX; point++) {
      const dealt = epoch();
      // b forgets what it kept: a deals anew, and gives b its share back.
      b.crash();
      await sim.clock.advance(200);
      b.boot();
      Object.assign(plan, { crashAt: point + 1, calls: 0, crashed: false });
      const done = () => epoch() > dealt && machines.every(({ ready }) => ready) && allBacked(machines);
      await sim.until(() => plan.crashed || done(), 120);
      plan.crashAt = Number.POSITIVE_INFINITY;
      if (!plan.crashed) break;
      await sim.clock.advance(300);
      a.boot({ onCall });
      await whole(sim, machines, 240);
      expect(
        machines.map(({ nodeId }) => nodeId),
        `KITH_SEED=${SIM_SEED}, crash ${point}`,
      ).toEqual(before);
    }
    expect(machines.map(({ disk }) => disk.asides())).toEqual([0, 0, 0]);
    // All points of a deal, up to one that was whole.
    expect(point).toBeGreaterThanOrEqual(kind === 'custody-message' ? 8 : 1);
    expect(point).toBeLessThan(CALLS_MAX);
  },
);
