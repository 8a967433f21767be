// Clusters of whole nodes as the simulations begin with them.

import { onTestFinished } from 'vitest';
import type { Cluster } from '../../src/attestation/index.ts';
import { createDevnet } from '../../src/devnet/index.ts';
import { madeUpLines, type ReplayLine, replayOf } from './replay.ts';
import { createSimCluster, type SimCluster, type SimMachine } from './sim-cluster.ts';
import { testCluster } from './test-cluster.ts';

const LINES = madeUpLines(1_000, 30).filter(({ flags }) => flags === null);

const backedOnly = () => testCluster({ allowUnbacked: false });

export interface WorldOptions {
  readonly cluster?: Cluster;
  /** What is on the chain, all of it from the beginning; in place of made-up blocks without flags. */
  readonly lines?: readonly ReplayLine[];
  /** Whether the test itself stops the machines: in hooks. */
  readonly lasting?: boolean;
}

/** A chain and a network without machines; they are stopped when the test is done. */
export function emptyWorld({ cluster = backedOnly(), lines, lasting = false }: WorldOptions = {}): SimCluster {
  const chain = lines ? { replay: replayOf(lines) } : { replay: replayOf(LINES), startAfter: 20 };
  const sim = createSimCluster(createDevnet(chain), cluster);
  if (!lasting) onTestFinished(() => sim.stopAll());
  return sim;
}

const allReady = (machines: readonly SimMachine[], members: number): boolean =>
  machines.every(({ ready, node }) => ready && node.service.node().members === members);

/** Whether the keys of all are kept as the number of members wants it. */
export const allBacked = (machines: readonly SimMachine[]): boolean =>
  machines.every(({ node }) => {
    const { custody } = node.service.node();
    return custody?.phase === 'backed' && custody.holders.length === custody.shares;
  });

/** Nodes that are ready, each with its key kept by the others. */
export async function foundedWorld(names: readonly string[] = ['a', 'b', 'c'], options: WorldOptions = {}) {
  const sim = emptyWorld(options);
  const machines = names.map((name) => sim.machine(name));
  for (const machine of machines) machine.boot();
  await sim.until(() => allReady(machines, names.length));
  await sim.until(() => allBacked(machines));
  return { sim, machines, network: sim.network, clock: sim.clock };
}

/** Lets time pass until everybody is ready and backed again. */
export const whole = ({ until }: SimCluster, machines: readonly SimMachine[], seconds?: number): Promise<number> =>
  until(() => machines.every(({ ready }) => ready) && allBacked(machines), seconds);
