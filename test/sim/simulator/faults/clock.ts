// Clocks of hosts that jump, go backwards and stand still.

import type { Draw } from '../draw.ts';
import { allHosts, type FaultKind, type Frame, type Shaped } from './kind.ts';

const shape =
  (fromMs: number, toMs: number) =>
  (draw: Draw, frame: Frame): Shaped => ({
    forMs: draw.between(fromMs, toMs),
    hosts: [draw.pick(allHosts(frame))],
    amount: draw.unit(),
  });

/** Up to two hours: longer than an attestation is good for. */
const JUMP_MS_MAX = 7_200_000;

function jump(kind: string, direction: 1 | -1): FaultKind {
  return {
    kind,
    share: 0.12,
    shape: shape(5_000, 40_000),
    inject(world, fault) {
      const host = world.hosts[fault.hosts[0]!]!;
      const byMs = direction * Math.round(1_000 + fault.amount ** 3 * JUMP_MS_MAX);
      host.skewMs += byMs;
      world.keep(fault, () => {
        host.skewMs -= byMs;
      });
      return host.standing === 'up';
    },
  };
}

export const CLOCK_FAULTS: readonly FaultKind[] = [
  jump('clock-jump', 1),
  jump('clock-backwards', -1),
  {
    // The host gives the machine no processor: no timer fires, and what is said to it waits.
    kind: 'clock-pause',
    share: 0.15,
    shape: shape(2_000, 40_000),
    inject(world, fault) {
      const host = world.hosts[fault.hosts[0]!]!;
      if (host.standing !== 'up' || host.paused) return false;
      const untilMs = world.nowMs + fault.forMs;
      const { address } = host.machine;
      const rule = {
        applies: (from: string, to: string) => from === address || to === address,
        fate: () => ({ delayMs: Math.max(0, untilMs - world.nowMs) }),
      };
      host.paused = true;
      world.network.add(rule);
      world.keep(fault, () => {
        world.network.remove(rule);
        host.resume();
      });
      return true;
    },
  },
];
