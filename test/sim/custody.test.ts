// Boots, restarts and old disks of whole nodes.

import { describe, expect, it } from 'vitest';
import { emptyWorld, foundedWorld, whole } from '../support/sim-world.ts';
import { copyDisk } from '../support/test-disk.ts';

describe('three nodes', () => {
  it('fence off the older of two boots of one disk', async () => {
    const { sim, machines } = await foundedWorld();
    const victim = machines[2]!;
    const clone = sim.machine('c', { disk: await copyDisk(victim.disk), address: '/memory/clone' });
    clone.boot();
    await sim.until(() => clone.node.service.node().phase === 'ready');
    await sim.until(() => victim.node.service.readiness().phase === 'fenced');
    expect(clone.nodeId).toBe(victim.nodeId);
    expect(victim.ready).toBe(false);
    expect(victim.logged('fenced', 'reason')).toHaveLength(1);
    expect(await victim.metric('kith_node_fenced')).toBe(1);
    expect(await clone.metric('kith_node_incarnation')).toBe(2);
  });

  it('notice a disk that was put back, and let it serve once it has caught up with them', async () => {
    const { sim, machines } = await foundedWorld();
    const victim = machines[1]!;
    const old = await copyDisk(victim.disk);
    sim.devnet.advance(5);
    await sim.clock.advance(40_000);
    const before = victim.nodeId;
    victim.crash();
    await sim.clock.advance(1_000);
    const back = sim.machine('b', { disk: old });
    back.boot();
    await sim.until(() => back.logged('rollback').length > 0);
    expect(back.ready).toBe(false);
    await sim.until(() => back.ready);
    expect(back.nodeId).toBe(before);
    expect(back.logged('rollback')).toHaveLength(1);
    expect(back.logged('rollback-caught-up', 'with')).toEqual(['majority']);
    expect(await back.metric('kith_node_rollback')).toBe(0);
  });

  it('notice a disk that was put back by three seconds', async () => {
    const { sim, machines } = await foundedWorld();
    const victim = machines[1]!;
    const old = await copyDisk(victim.disk);
    const batches = victim.node.running!.store.head.batchSeq;
    sim.devnet.advance(1);
    await sim.until(() => victim.node.running!.store.head.batchSeq > batches, 10);
    await sim.clock.advance(3_000);
    victim.crash();
    const back = sim.machine('b', { disk: old });
    back.boot();
    await sim.until(() => back.logged('rollback').length > 0);
  });

  it('keep one another’s keys: each restarts under its own id', async () => {
    const { sim, machines } = await foundedWorld();
    for (const machine of machines) {
      const before = machine.nodeId;
      machine.crash();
      await sim.clock.advance(2_000);
      machine.boot();
      const took = await sim.until(() => machine.ready);
      expect(machine.nodeId).toBe(before);
      expect(machine.node.service.node().incarnation).toBeGreaterThan(1);
      expect(took).toBeLessThan(15_000);
      expect(await machine.metric('kith_custody_key_release_seconds')).toBeLessThan(10);
      await whole(sim, machines);
    }
  });

  it('recover two at once from the third', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, b] = machines as [(typeof machines)[0], (typeof machines)[0]];
    const before = [a.nodeId, b.nodeId];
    a.crash();
    b.crash();
    await sim.clock.advance(500);
    a.boot();
    b.boot();
    await whole(sim, machines);
    expect([a.nodeId, b.nodeId]).toEqual(before);
  });
});

describe('a node that waits', () => {
  it('for a second member, and for its key, stops when it is told to', async () => {
    const { sim, machines } = await foundedWorld();
    const alone = emptyWorld();
    const first = alone.machine('a');
    first.boot();
    await alone.until(() => first.node.service.readiness().reasons[0] === 'waiting for a second member');
    await first.stop();
    expect(first.node.service.readiness().phase).toBe('draining');
    const victim = machines[0]!;
    for (const machine of machines) machine.crash();
    victim.boot();
    await sim.until(() => victim.node.service.readiness().reasons[0]!.includes('shares of the sealing key'));
    await victim.stop();
    expect(victim.disk.asides()).toBe(0);
  });
});
