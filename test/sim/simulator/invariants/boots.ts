// One node, one boot: of two boots of a disk at most one gets the key where that can be known, and at most one serves
// once they have had the time to hear of one another.

import type { Host } from '../host.ts';
import { readyHosts, upHosts, type World } from '../world.ts';

/** Two may serve for as long as nobody has met both. */
const BOTH_MS_MAX = 60_000;

export interface Boots {
  check(world: World): void;
}

export function createBoots(): Boots {
  /** By node id and incarnation: which boot has it. */
  const claimed = new Map<string, string>();
  /** By node id: since when two serve while the network is well. */
  const bothSince = new Map<string, number>();

  function checkIncarnation(world: World, { name, boots, machine }: Host): void {
    const { node } = machine;
    const { nodeId, incarnation } = node.service.node();
    const custody = node.stats().custody;
    // With fewer than three candidates two disjoint servers can each give a key.
    if (!node.running || !custody || 2 * custody.threshold <= custody.shares) return;
    const boot = `${name} boot ${boots}`;
    const key = `${nodeId} ${incarnation}`;
    const other = claimed.get(key);
    if (other !== undefined && other !== boot) {
      world.violate('one-boot', `${boot} and ${other} both run incarnation ${incarnation} of ${nodeId}`);
    }
    claimed.set(key, boot);
  }

  function checkServing(world: World): void {
    const serving = new Map<string, Host[]>();
    for (const host of readyHosts(world)) {
      const { nodeId } = host.machine.node.service.node();
      serving.set(nodeId, [...(serving.get(nodeId) ?? []), host]);
    }
    for (const [nodeId, hosts] of serving) {
      if (hosts.length < 2 || world.network.rules > 0) {
        bothSince.delete(nodeId);
        continue;
      }
      const since = bothSince.get(nodeId) ?? world.nowMs;
      bothSince.set(nodeId, since);
      if (world.nowMs - since > BOTH_MS_MAX) {
        const names = hosts.map(({ name }) => name).join(' and ');
        world.violate('one-boot', `${names} both serve as ${nodeId} for ${BOTH_MS_MAX / 1_000} s`);
      }
    }
  }

  return {
    check(world) {
      for (const host of upHosts(world)) checkIncarnation(world, host);
      checkServing(world);
    },
  };
}
