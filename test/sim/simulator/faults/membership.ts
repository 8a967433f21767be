// Members that join and leave, up to the largest cluster and down to two.

import { upHosts } from '../world.ts';
import type { FaultKind } from './kind.ts';

const HOSTS_MAX = 9;
const HOSTS_MIN = 3;

export const MEMBERSHIP_FAULTS: readonly FaultKind[] = [
  {
    kind: 'member-joins',
    share: 0.2,
    shape: (draw) => ({ forMs: 0, hosts: [], amount: draw.unit() }),
    inject(world) {
      if (world.hosts.filter(({ standing }) => standing !== 'gone').length >= HOSTS_MAX) return false;
      const host = world.addHost({ name: `n${world.hosts.length}` });
      // It has confirmed nothing so far, and may be needed for a quorum from now on.
      host.boot({ cluster: world.cluster, found: false });
      return true;
    },
  },
  {
    kind: 'member-leaves',
    share: 0.12,
    shape: (draw, frame) => ({ forMs: 0, hosts: [draw.pick(frame.fragile)], amount: draw.unit() }),
    inject(world, { hosts }) {
      const host = world.hosts[hosts[0]!]!;
      if (upHosts(world).length < HOSTS_MIN || host.standing !== 'up' || !host.machine.ready) return false;
      if (world.hosts.some((other) => other !== host && other.twinOf === host.twinOf)) return false;
      // Its operator sees to it, again where nobody has heard it.
      host.leaving = true;
      return true;
    },
  },
  {
    // Its owner starts it on another disk, under the same name; the old id is to be replaced.
    kind: 'member-replaced',
    share: 0.1,
    shape: (draw, frame) => ({
      forMs: draw.between(5_000, 30_000),
      hosts: [draw.pick(frame.fragile)],
      amount: draw.unit(),
    }),
    inject(world, fault) {
      const host = world.hosts[fault.hosts[0]!]!;
      if (host.standing !== 'up') return false;
      world.detach('a leave', async () => {
        const { node } = host.machine;
        await node.stop().catch((error: unknown) => world.say(host.name, `does not stop cleanly: ${error}`));
        if (host.standing !== 'up' || host.machine.node !== node) return;
        host.crash();
        host.tampered = true;
        await host.wipe();
        world.keep(fault, () => {
          if (host.standing === 'down') host.boot({ cluster: world.cluster, found: false });
        });
      });
      return true;
    },
  },
];
