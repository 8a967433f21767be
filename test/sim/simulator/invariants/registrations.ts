// What nodes say of registrations: nothing that ended comes back within a boot, nothing expired is served, and what a
// node has confirmed it has after each restart.

import type { RegId } from '../../../../src/core/ids.ts';
import type { Host } from '../host.ts';
import { type Meaning, rank, type Signed } from '../oracle.ts';
import { readyHosts, upHosts, type World } from '../world.ts';

/** What a node holds of a registration, at whatever height. */
export function meaningAt({ machine }: Host, regId: RegId): Meaning {
  const standing = machine.node.running?.registrations.standing(regId);
  if (!standing || standing.kind === 'unknown') return { kind: 'unknown' };
  if (standing.kind === 'revoked') return { kind: 'revoked' };
  return { kind: 'open', expiryHeight: standing.expiryHeight };
}

/** By boot and registration: the highest version it showed. */
export interface Shown {
  check(world: World): void;
}

export function createShown(): Shown {
  const highest = new Map<string, number>();
  return {
    check(world) {
      for (const host of upHosts(world)) {
        const registrations = host.machine.node.running?.registrations;
        if (!registrations) continue;
        for (let user = 0; user < world.plan.users; user++) {
          const regId = world.oracle.idOf(user);
          if (!regId) continue;
          const { base, renewal } = registrations.state(regId);
          const version = Math.max(base?.version ?? -1, renewal?.version ?? -1);
          const key = `${host.name} ${host.boots} ${user}`;
          const before = highest.get(key) ?? -1;
          if (version < before && host.diskMode === 'well') {
            world.violate('never-back', `${host.name} went from version ${before} of user ${user} back to ${version}`);
          }
          highest.set(key, Math.max(version, before));
        }
      }
    },
  };
}

/** Nothing is served of what has ended at the height that the node itself has indexed. */
export function checkServed(world: World): void {
  for (const host of readyHosts(world)) {
    const { running } = host.machine.node;
    const indexed = host.machine.node.service.node().heights.indexed;
    for (let user = 0; user < world.plan.users; user++) {
      const regId = world.oracle.idOf(user);
      if (!regId || running?.registrations.serialOf(regId) === undefined) continue;
      const meaning = meaningAt(host, regId);
      if (meaning.kind !== 'open') world.violate('ended-visible', `${host.name} serves user ${user}: ${meaning.kind}`);
      else if (indexed > meaning.expiryHeight) {
        world.violate(
          'ended-visible',
          `${host.name} at ${indexed} serves user ${user} that ended ${meaning.expiryHeight}`,
        );
      }
    }
  }
}

/** What users have in the end: everything that was confirmed to them, the same at every node, and nothing else. */
export function notYetAgreed(world: World): string | undefined {
  const hosts = upHosts(world);
  for (let user = 0; user < world.plan.users; user++) {
    const regId = world.oracle.idOf(user);
    if (!regId) continue;
    const meanings = hosts.map((host) => meaningAt(host, regId));
    for (const [i, meaning] of meanings.entries()) {
      if (world.oracle.isPossible(user, meaning)) continue;
      const sure = confirmedOf(world, user);
      return `${hosts[i]!.name} says of user ${user} ${JSON.stringify(meaning)}, to whom was confirmed: ${sure}`;
    }
    const texts = new Set(meanings.map((meaning) => JSON.stringify(meaning)));
    if (texts.size > 1) return `user ${user} is ${[...texts].join(' and ')}`;
  }
  return undefined;
}

const confirmedOf = (world: World, user: number): string =>
  world.oracle
    .signedBy(user)
    .filter(({ acknowledged }) => acknowledged)
    .sort((a: Signed, b: Signed) => rank(b, a))
    .map(({ operation: { type, version, expiryHeight } }) => `${type} ${version} to ${expiryHeight}`)
    .join(', ') || 'nothing';
