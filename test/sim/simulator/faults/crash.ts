// Processes that end: at any moment, at any call that changes something outside, in good order, one after the other, all
// at once.

import type { PortCall } from '../../../support/mortal.ts';
import type { Draw } from '../draw.ts';
import type { Host } from '../host.ts';
import { upHosts, type World } from '../world.ts';
import { allHosts, type FaultKind, type Frame, type Shaped } from './kind.ts';

const shape =
  (fromMs: number, toMs: number) =>
  (draw: Draw, frame: Frame): Shaped => ({
    forMs: draw.between(fromMs, toMs),
    hosts: [draw.pick(allHosts(frame))],
    amount: draw.unit(),
  });

const reboot = (world: World, host: Host): void => {
  if (host.standing === 'down') host.boot({ cluster: world.cluster });
};

function crashAtCall(call: PortCall, share: number, calls: number): FaultKind {
  return {
    kind: `crash-at-${call}`,
    share,
    shape: shape(8_000, 30_000),
    inject(world, fault) {
      const host = world.hosts[fault.hosts[0]!]!;
      if (host.standing !== 'up') return false;
      let left = 1 + Math.floor(fault.amount * calls);
      host.onCall = (kind) => {
        if (kind !== call || --left > 0) return;
        host.onCall = undefined;
        world.say(host.name, `crashes at ${kind}`);
        host.crash();
      };
      // Headers and custody change when a member comes back.
      if (call !== 'batch') {
        const others = upHosts(world).filter((other) => other !== host);
        const other = others[Math.floor(fault.amount * others.length)];
        other?.crash();
        if (other) world.keep(fault, () => reboot(world, other));
        world.sim.clock.schedule(2_000, () => other && reboot(world, other));
      }
      world.keep(fault, () => {
        host.onCall = undefined;
        reboot(world, host);
      });
      return true;
    },
  };
}

async function stopAndBoot(world: World, host: Host): Promise<void> {
  if (host.standing !== 'up') return;
  const { node } = host.machine;
  // What does not stop cleanly, on a full disk for example, is ended.
  await node.stop().catch((error: unknown) => world.say(host.name, `does not stop cleanly: ${error}`));
  if (host.standing !== 'up' || host.machine.node !== node) return;
  host.crash();
  host.boot({ cluster: world.cluster });
}

export const CRASH_FAULTS: readonly FaultKind[] = [
  {
    kind: 'crash',
    share: 0.3,
    shape: shape(500, 40_000),
    inject(world, fault) {
      const host = world.hosts[fault.hosts[0]!]!;
      if (host.standing !== 'up') return false;
      host.crash();
      world.keep(fault, () => reboot(world, host));
      return true;
    },
  },
  crashAtCall('batch', 0.15, 20),
  crashAtCall('header-begins', 0.1, 1),
  crashAtCall('header-written', 0.1, 1),
  crashAtCall('custody-message', 0.12, 10),
  {
    kind: 'crash-many',
    share: 0.12,
    shape: (draw, frame) => ({
      forMs: draw.between(1_000, 15_000),
      hosts: draw.sample(allHosts(frame), draw.between(2, frame.nodes)),
      amount: draw.unit(),
    }),
    inject(world, fault) {
      const hosts = fault.hosts.map((index) => world.hosts[index]!).filter(({ standing }) => standing === 'up');
      for (const host of hosts) host.crash();
      world.keep(fault, () => {
        for (const host of hosts) reboot(world, host);
      });
      return hosts.length > 0;
    },
  },
  {
    kind: 'restart',
    share: 0.15,
    shape: (draw, frame) => ({ ...shape(0, 0)(draw, frame), forMs: 0 }),
    inject(world, fault) {
      const host = world.hosts[fault.hosts[0]!]!;
      if (host.standing !== 'up') return false;
      world.detach('a restart', () => stopAndBoot(world, host));
      return true;
    },
  },
  {
    // As an upgrade does: each when the one before it has come back, or has had its time.
    kind: 'restart-rolling',
    share: 0.1,
    shape: (draw, frame) => ({ forMs: 0, hosts: draw.sample(allHosts(frame), frame.nodes), amount: draw.unit() }),
    inject(world, fault) {
      world.detach('a rolling restart', async () => {
        for (const index of fault.hosts) {
          if (world.calm) return;
          await stopAndBoot(world, world.hosts[index]!);
          await new Promise<void>((resolve) => {
            world.sim.clock.schedule(4_000 + fault.amount * 10_000, resolve);
          });
        }
      });
      return true;
    },
  },
];
