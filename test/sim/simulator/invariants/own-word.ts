// A node that serves has what it gave receipts for, in this boot or an earlier one, whatever was done to its disk
// meanwhile; and one that knows that its disk was put back does not serve.

import type { Host } from '../host.ts';
import { readyHosts, upHosts, type World } from '../world.ts';

/** Two boots of one node have one name for their receipts, until one of them is fenced. */
const hasTwin = (world: World, host: Host): boolean =>
  upHosts(world).some((other) => other !== host && other.twinOf === host.twinOf);

export function checkOwnWord(world: World): void {
  for (const host of readyHosts(world)) {
    const { name, machine, tampered } = host;
    const { running, service } = machine.node;
    if (tampered && machine.node.stats().rolledBack) {
      world.violate('own-word', `${name} serves although it knows that its disk was put back`);
    }
    if (hasTwin(world, host)) continue;
    const { nodeId } = service.node();
    for (const { user, operation, givers } of world.oracle.acknowledged) {
      if (!givers.has(nodeId)) continue;
      const { base, renewal } = running!.registrations.state(operation.regId);
      if (Math.max(base?.version ?? -1, renewal?.version ?? -1) >= operation.version) continue;
      const what = `the ${operation.type} ${operation.version} of user ${user}`;
      world.violate('own-word', `${name} serves without ${what}, for which it gave a receipt`);
    }
  }
}
