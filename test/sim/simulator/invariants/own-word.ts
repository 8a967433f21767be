// A node that serves has what it gave receipts for, in this boot or an earlier one, whatever was done to its disk
// meanwhile; and one that knows that its disk was put back does not serve.

import { readyHosts, type World } from '../world.ts';

export function checkOwnWord(world: World): void {
  for (const { name, machine, tampered } of readyHosts(world)) {
    const { running, service } = machine.node;
    if (tampered && machine.node.stats().rolledBack) {
      world.violate('own-word', `${name} serves although it knows that its disk was put back`);
    }
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
