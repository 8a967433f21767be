import { describe, expect, it } from 'vitest';
import { foundedWorld, whole } from '../support/sim-world.ts';

describe('a change of phase', () => {
  it('is known to the other members at once', async () => {
    const { sim, machines, clock } = await foundedWorld(['a', 'b', 'c', 'd']);
    const [a, ...others] = machines as [(typeof machines)[0], ...typeof machines];
    const { nodeId } = a;
    const told = () => others.map(({ node }) => node.service.members().find((one) => one.nodeId === nodeId)?.phase);
    await a.stop();
    a.boot();
    const began = clock.monotonic();
    await sim.until(() => a.ready && a.nodeId === nodeId);
    await clock.advance(1_000);
    expect(told()).toEqual(others.map(() => 'ready'));
    // From there no heartbeat was due that would have told of its end.
    const stopping = a.node.stop();
    await clock.advance(0);
    expect(told()).toEqual(others.map(() => 'draining'));
    await clock.settle(stopping);
    expect(clock.monotonic() - began).toBeLessThan(60_000);
    a.boot();
    await whole(sim, machines);
  });
});
