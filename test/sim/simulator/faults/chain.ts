// The chain and the endpoints of it: they lag, lie about heights, fork, censor, fall silent, stop and hurry.

import { FAULT_KINDS as ANSWER_FAULTS } from '../../../../src/devnet/index.ts';
import type { Draw } from '../draw.ts';
import type { ChainMode } from '../endpoint.ts';
import type { World } from '../world.ts';
import { allHosts, type FaultKind, type Frame, type PlannedFault, type Shaped } from './kind.ts';

const shape =
  (fromMs: number, toMs: number) =>
  (draw: Draw, frame: Frame): Shaped => ({
    forMs: draw.between(fromMs, toMs),
    hosts: draw.sample(allHosts(frame), draw.between(1, Math.max(1, frame.nodes - 1))),
    amount: draw.unit(),
  });

function ofEndpoint(
  kind: string,
  share: number,
  mode: (world: World, fault: PlannedFault, host: string) => ChainMode,
): FaultKind {
  return {
    kind,
    share,
    shape: shape(8_000, 45_000),
    inject(world, fault) {
      for (const index of fault.hosts) {
        const { endpoint, name } = world.hosts[index]!;
        const put = mode(world, fault, name);
        endpoint.mode = put;
        world.keep(fault, () => {
          if (endpoint.mode === put) endpoint.mode = { kind: 'well' };
        });
      }
      return true;
    },
  };
}

export const CHAIN_FAULTS: readonly FaultKind[] = [
  ofEndpoint('chain-lags', 0.15, ({ devnet }, { amount }) => ({
    kind: 'lags',
    tip: Math.max(devnet.first, devnet.tip - Math.floor(amount * 8)),
  })),
  ofEndpoint('chain-lies', 0.12, (_, { amount }) => ({ kind: 'lies', ahead: 1 + Math.floor(amount ** 4 * 100_000) })),
  ofEndpoint('chain-censors', 0.12, () => ({ kind: 'censors' })),
  ofEndpoint('chain-silent', 0.12, () => ({ kind: 'silent' })),
  ofEndpoint('chain-forks', 0.1, (world, _, name) => ({ kind: 'forks', other: world.fork().transport(name) })),
  {
    kind: 'chain-bad-answers',
    share: 0.12,
    shape: shape(5_000, 30_000),
    inject({ devnet }, { amount }) {
      const chosen = ANSWER_FAULTS[Math.floor(amount * ANSWER_FAULTS.length)]!;
      devnet.fault({ rates: { [chosen]: 0.1 + amount * 0.4 } });
      return true;
    },
    lift: ({ devnet }) => devnet.fault({ rates: {} }),
  },
  {
    kind: 'chain-backwards',
    share: 0.1,
    shape: (draw, frame) => ({ ...shape(0, 0)(draw, frame), forMs: 0 }),
    inject(world, { amount }) {
      world.devnet.fault({ backwards: 1 + Math.floor(amount * 4) });
      return true;
    },
  },
  {
    kind: 'chain-halts',
    share: 0.12,
    shape: shape(10_000, 40_000),
    inject(world, fault) {
      world.halted = true;
      world.keep(fault, () => {
        world.halted = false;
      });
      return true;
    },
  },
  {
    kind: 'chain-hurries',
    share: 0.1,
    shape: (draw, frame) => ({ ...shape(0, 0)(draw, frame), forMs: 0 }),
    inject(world, { amount }) {
      world.makeBlocks(2 + Math.floor(amount * 15));
      return true;
    },
  },
];
