// Users and partitions of clusters of whole nodes, for the tests of replication.

import { fromBase64Url } from '../../src/core/bytes.ts';
import { nodeIdFromBytes } from '../../src/core/ids.ts';
import { decodeReceipt } from '../../src/core/receipt.ts';
import type { OperationAnswer, RegistrationStatus } from '../../src/node/service.ts';
import { type Seeded, seededUser, userOf } from './node-user.ts';
import type { SimCluster, SimMachine } from './sim-cluster.ts';

/** A user as one node of a cluster knows it. */
export const userAt = ({ cluster, clock }: SimCluster, { node }: SimMachine, seeded: Seeded) =>
  userOf({ node, cluster, clock }, seeded);

/** A cluster takes no crowd with less. */
const CROWD = { users: 1_000, n: 8 };

/** Users `prefix 0` to `prefix count - 1`. */
export const usersOf = (prefix: string, count: number): Seeded[] =>
  Array.from({ length: count }, (_, i) => seededUser(`${prefix} ${i}`, count < CROWD.users ? undefined : CROWD.n));

/** Above any height that a test comes to. */
export const FAR_HEIGHT = 100_000;

/** What a node says of a registration, which may cost it questions to others. */
export const statusAt = (sim: SimCluster, machine: SimMachine, who: Seeded): Promise<RegistrationStatus | undefined> =>
  sim.clock.settle(userAt(sim, machine, who).status());

/** Whether a node holds all of these open, with their keys. From memory, whatever its phase; no before its store is. */
export const holdsAll = ({ node }: SimMachine, sim: SimCluster, users: readonly Seeded[]): boolean => {
  const registrations = node.running?.registrations;
  if (!registrations) return false;
  return users.every((who) => {
    const { id } = userOf({ node, cluster: sim.cluster, clock: sim.clock }, who);
    return registrations.standing(id).kind === 'open' && registrations.keysHeld(id);
  });
};

/** Names of the machines that gave the receipts of an answer, in order. */
export const confirmedBy = ({ machines }: SimCluster, { receipts }: OperationAnswer): string[] =>
  receipts
    .map((receipt) => nodeIdFromBytes(decodeReceipt(fromBase64Url(receipt)).nodeId))
    .map((nodeId) => machines.find((machine) => machine.nodeId === nodeId)?.name ?? nodeId)
    .sort();

/** The network falls apart into groups of addresses, in both directions, until it is healed. */
export function partition({ network }: SimCluster, ...groups: readonly (readonly SimMachine[])[]): void {
  const groupOf = (address: string) => groups.findIndex((group) => group.some((one) => one.address === address));
  network.faults.dial = (from, to) => groupOf(from) === groupOf(to);
  for (const [i, group] of groups.entries()) {
    for (const other of groups.slice(i + 1).flat()) for (const one of group) network.cut(one.address, other.address);
  }
}

export function heal({ network }: SimCluster): void {
  delete network.faults.dial;
}

/** Blocks are made, and a last one once the members have told one another of them: with it ends what has ended. */
export async function blocksPass(sim: SimCluster, count: number): Promise<void> {
  sim.devnet.advance(count);
  await sim.clock.advance(15_000);
  sim.devnet.advance(1);
  await sim.clock.advance(5_000);
}
