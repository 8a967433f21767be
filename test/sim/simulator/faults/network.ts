// The network loses, delays, mixes up, doubles, changes and parts.

import type { ChunkFate } from '../../../../src/p2p/memory.ts';
import type { Draw } from '../draw.ts';
import type { LinkRule } from '../network.ts';
import type { World } from '../world.ts';
import { allHosts, type FaultKind, type Frame, type PlannedFault, type Shaped } from './kind.ts';

const addressOf = (world: World, index: number): string => world.hosts[index]!.machine.address;
const addressesOf = (world: World, { hosts }: PlannedFault): Set<string> =>
  new Set(hosts.map((index) => addressOf(world, index)));

const between = (draw: Draw, fromS: number, toS: number): number => draw.between(fromS * 1_000, toS * 1_000);

/** Some machines, at least one. */
const some = (draw: Draw, frame: Frame): number[] => draw.sample(allHosts(frame), draw.between(1, frame.nodes));

const shapeFor =
  (fromS: number, toS: number) =>
  (draw: Draw, frame: Frame): Shaped => ({
    forMs: between(draw, fromS, toS),
    hosts: some(draw, frame),
    amount: draw.unit(),
  });

function add(world: World, fault: PlannedFault, rule: LinkRule): void {
  world.network.add(rule);
  world.keep(fault, () => world.network.remove(rule));
}

/** A fault of single chunks to or from the machines. */
function ofChunks(
  kind: string,
  share: number,
  fate: (draw: Draw, amount: number, bytes: Uint8Array) => ChunkFate | undefined,
): FaultKind {
  return {
    kind,
    share,
    shape: shapeFor(5, 30),
    inject(world, fault) {
      const touched = addressesOf(world, fault);
      add(world, fault, {
        applies: (from, to) => touched.has(from) || touched.has(to),
        fate: ({ bytes }) => fate(world.draw, fault.amount, bytes),
      });
      return true;
    },
  };
}

/** Whether chunks from one address to another come through, while it lasts. */
const blocks = (blocked: (from: string, to: string) => boolean): LinkRule => ({
  applies: blocked,
  blocksDials: true,
  fate: () => ({ copies: 0 }),
});

function partOff(world: World, fault: PlannedFault): LinkRule {
  const inside = addressesOf(world, fault);
  const rule = blocks((from, to) => inside.has(from) !== inside.has(to));
  for (const one of inside) {
    for (const { machine } of world.hosts) if (!inside.has(machine.address)) world.network.cut(one, machine.address);
  }
  return rule;
}

/** Not everybody on one side. */
const group = (draw: Draw, frame: Frame): number[] => draw.sample(allHosts(frame), draw.between(1, frame.nodes - 1));

export const NETWORK_FAULTS: readonly FaultKind[] = [
  ofChunks('network-loss', 0.15, (draw, amount) => (draw.chance(0.002 + amount * 0.05) ? { copies: 0 } : undefined)),
  ofChunks('network-delay', 0.2, (draw, amount) => ({ delayMs: Math.round(draw.unit() * amount * 2_000) })),
  ofChunks('network-reorder', 0.12, (draw, amount) =>
    draw.chance(0.02 + amount * 0.1) ? { overtaken: true, delayMs: draw.between(1, 200) } : undefined,
  ),
  ofChunks('network-duplicate', 0.12, (draw, amount) => (draw.chance(0.01 + amount * 0.1) ? { copies: 2 } : undefined)),
  ofChunks('network-corrupt', 0.1, (draw, amount, bytes) => {
    if (bytes.length === 0 || !draw.chance(0.002 + amount * 0.02)) return undefined;
    const changed = bytes.slice();
    const at = draw.below(changed.length);
    changed[at] = changed[at]! ^ (1 << draw.below(8));
    return { bytes: changed };
  }),
  {
    kind: 'network-cut',
    share: 0.15,
    shape: (draw, frame) => ({ forMs: 0, hosts: draw.sample(allHosts(frame), 2), amount: draw.unit() }),
    inject(world, { hosts, amount }) {
      const [a, b] = hosts.map((index) => addressOf(world, index)) as [string, string];
      world.network.cut(a, amount < 0.5 ? b : undefined);
      return true;
    },
  },
  {
    kind: 'network-partition',
    share: 0.2,
    shape: (draw, frame) => ({ forMs: between(draw, 5, 60), hosts: group(draw, frame), amount: draw.unit() }),
    inject(world, fault) {
      add(world, fault, partOff(world, fault));
      return true;
    },
  },
  {
    kind: 'network-one-way',
    share: 0.15,
    shape: (draw, frame) => ({ forMs: between(draw, 5, 45), hosts: group(draw, frame), amount: draw.unit() }),
    inject(world, fault) {
      const inside = addressesOf(world, fault);
      add(
        world,
        fault,
        blocks((from, to) => inside.has(from) && !inside.has(to)),
      );
      return true;
    },
  },
  {
    kind: 'network-flapping',
    share: 0.12,
    shape: (draw, frame) => ({ forMs: between(draw, 20, 60), hosts: group(draw, frame), amount: draw.unit() }),
    inject(world, fault) {
      let rule: LinkRule | undefined;
      let over = false;
      const turn = (): void => {
        if (over) return;
        if (rule) world.network.remove(rule);
        rule = rule ? undefined : partOff(world, fault);
        if (rule) world.network.add(rule);
        world.sim.clock.schedule(500 + Math.round(fault.amount * 6_000), turn);
      };
      turn();
      world.keep(fault, () => {
        over = true;
        if (rule) world.network.remove(rule);
      });
      return true;
    },
  },
  {
    // Connected, and saying nothing: what a stalled machine or a full window looks like.
    kind: 'network-silent-peer',
    share: 0.15,
    shape: (draw, frame) => ({ forMs: between(draw, 10, 60), hosts: [draw.below(frame.nodes)], amount: draw.unit() }),
    inject(world, fault) {
      const address = addressOf(world, fault.hosts[0]!);
      add(world, fault, { applies: (from) => from === address, fate: () => ({ copies: 0 }) });
      return true;
    },
  },
];
