// A node that serves has what it gave receipts for, in this boot or an earlier one, whatever was done to its disk
// meanwhile; and one that knows that its disk was put back does not serve.

import type { NodeId } from '../../../../src/core/ids.ts';
import type { Signed } from '../oracle.ts';
import { readyHosts, type World } from '../world.ts';

export interface OwnWord {
  /** An operation was confirmed by these members' receipts. */
  note(signed: Signed, givers: readonly NodeId[]): void;
  check(world: World): void;
}

export function createOwnWord(): OwnWord {
  const givenBy = new Map<NodeId, Set<Signed>>();
  return {
    note(signed, givers) {
      for (const giver of givers) givenBy.set(giver, (givenBy.get(giver) ?? new Set()).add(signed));
    },
    check(world) {
      for (const { name, machine } of readyHosts(world)) {
        const { running, service } = machine.node;
        if (machine.node.stats().rolledBack) {
          world.violate('own-word', `${name} serves although it knows that its disk was put back`);
        }
        for (const { user, operation } of givenBy.get(service.node().nodeId as NodeId) ?? []) {
          const { base, renewal } = running!.registrations.state(operation.regId);
          if (Math.max(base?.version ?? -1, renewal?.version ?? -1) >= operation.version) continue;
          const what = `the ${operation.type} ${operation.version} of user ${user}`;
          world.violate('own-word', `${name} serves without ${what}, for which it gave a receipt`);
        }
      }
    },
  };
}
