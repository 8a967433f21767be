// Newer versions of the cluster configuration on their way through the cluster, and ones that nobody signed.

import type { Cluster } from '../../../../src/attestation/index.ts';
import type { TestNodeOptions } from '../../../support/mesh.ts';
import { successorOf } from '../../../support/test-cluster.ts';
import { upHosts, type World } from '../world.ts';
import { allHosts, type FaultKind } from './kind.ts';

/** What a version changes that all runs can live with. */
function nextOf(world: World, amount: number): Cluster {
  const { limits } = world.cluster.configuration;
  return successorOf(world.cluster, {
    limits: { ...limits, registrationsMax: limits.registrationsMax - 1 - Math.floor(amount * 5) },
  });
}

async function bring(world: World, name: string, options: TestNodeOptions): Promise<void> {
  const messenger = await world.sim.intruder(name, options);
  for (const { machine } of upHosts(world)) await messenger.mesh.dial(machine.address).catch(() => undefined);
  await messenger.mesh.stop();
}

export const CONFIGURATION_FAULTS: readonly FaultKind[] = [
  {
    // One machine is restarted with the newer file; the others hear of it from one another.
    kind: 'configuration-newer',
    share: 0.15,
    shape: (draw, frame) => ({ forMs: 0, hosts: [draw.pick(allHosts(frame))], amount: draw.unit() }),
    inject(world, fault) {
      const host = world.hosts[fault.hosts[0]!]!;
      if (host.standing !== 'up') return false;
      world.cluster = nextOf(world, fault.amount);
      host.crash();
      host.boot({ cluster: world.cluster });
      return true;
    },
  },
  {
    // Every machine is restarted with it, one after the other.
    kind: 'configuration-rolling',
    share: 0.1,
    shape: (draw, frame) => ({ forMs: 0, hosts: draw.sample(allHosts(frame), frame.nodes), amount: draw.unit() }),
    inject(world, fault) {
      world.cluster = nextOf(world, fault.amount);
      world.detach('a rolling configuration', async () => {
        for (const index of fault.hosts) {
          const host = world.hosts[index]!;
          if (world.calm) return;
          if (host.standing === 'up') {
            host.crash();
            host.boot({ cluster: world.cluster });
          }
          await new Promise<void>((resolve) => void world.sim.clock.schedule(3_000 + fault.amount * 8_000, resolve));
        }
      });
      return true;
    },
  },
  {
    kind: 'configuration-forged',
    share: 0.12,
    shape: (draw) => ({ forMs: 0, hosts: [], amount: draw.unit() }),
    inject(world, fault) {
      const genuine = nextOf(world, fault.amount);
      const unsigned = { ...genuine, versions: genuine.versions.map((version) => ({ ...version, signatures: [] })) };
      const name = `liar-${Math.round(fault.amount * 1e6)}`;
      world.detach('a forged configuration', () => bring(world, name, { cluster: unsigned }));
      return true;
    },
  },
];
