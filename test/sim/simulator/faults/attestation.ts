// Who is no member and would like to be believed, and members whose platform gives no evidence for a while.

import { utf8 } from '../../../../src/core/bytes.ts';
import { storeIdHashOf } from '../../../../src/keyserver/index.ts';
import { custodyPeer, type LinkDeps } from '../../../../src/node/custody/link.ts';
import { readHeader } from '../../../../src/node/store/index.ts';
import { NOW } from '../../../support/attestation.ts';
import { otherBuild, quotesOf, replayed, wrapQuoter } from '../../../support/intruder-evidence.ts';
import type { TestNode, TestNodeOptions } from '../../../support/mesh.ts';
import type { Host, QuoteMode } from '../host.ts';
import { readyHosts, type World } from '../world.ts';
import { allHosts, type FaultKind, type PlannedFault } from './kind.ts';

/** The genuine quote of the platform with some bits of it changed. */
const forged = (world: World): TestNodeOptions => ({
  wrap: wrapQuoter((deps) => async (claim, given) => {
    const quote = (await deps.quoter.quote(claim, given)).slice();
    const at = 48 + world.draw.below(quote.length - 48);
    quote[at] = quote[at]! ^ (1 << world.draw.below(8));
    return quote;
  }),
});

/** Evidence that comes when its challenge is over. */
const late = ({ sim }: World): TestNodeOptions => ({
  wrap: wrapQuoter((deps) => async (claim, given) => {
    await new Promise<void>((resolve) => void sim.clock.schedule(30_500, resolve));
    return deps.quoter.quote(claim, given);
  }),
});

/** Somebody dials every node; whoever lets it in breaks an invariant. */
async function knock(world: World, name: string, options: TestNodeOptions): Promise<void> {
  const intruder = await world.sim.intruder(name, { cluster: world.cluster, ...options });
  const believed: string[] = [];
  await Promise.all(
    world.hosts.map(async ({ machine, name: host }) => {
      await intruder.mesh.dial(machine.address).catch(() => undefined);
      // It may be off, and in the first seconds not have been on yet.
      const members = machine.alive && machine.node.running ? machine.node.service.members() : [];
      if (members.some(({ operator }) => operator === `op-${name}` || operator === 'op-x')) believed.push(host);
    }),
  );
  world.say(name, believed.length > 0 ? `is believed by ${believed.join(', ')}` : 'is believed by nobody');
  if (believed.length > 0) world.violate('attested-only', `${name} is believed by ${believed.join(', ')}`);
  await intruder.mesh.stop();
}

function intruder(
  kind: string,
  share: number,
  options: (world: World, fault: PlannedFault) => TestNodeOptions,
): FaultKind {
  return {
    kind,
    share,
    shape: (draw) => ({ forMs: 0, hosts: [], amount: draw.unit() }),
    inject(world, fault) {
      world.detach(kind, () => knock(world, `${kind}-${Math.round(fault.amount * 1e6)}`, options(world, fault)));
      return true;
    },
  };
}

/** What somebody needs who is attested, and no member, to speak custody. */
function linkOf({ sim }: World, { deps, bootKey }: TestNode): LinkDeps {
  return {
    ...deps,
    cluster: () => sim.cluster,
    context: () => ({ nowSeconds: NOW, height: undefined, newestCollateral: deps.collateral.newest()! }),
    ownBootKey: bootKey,
    ownHpkeKey: deps.identity().hpkeKeyPair.publicKey,
    report: () => undefined,
  };
}

/** An attested stranger asks each node for the share of another; whoever gives it breaks an invariant. */
async function steal(world: World, victim: Host, name: string): Promise<void> {
  const header = readHeader(await victim.disk.header.read());
  const thief = await world.sim.intruder(name, { cluster: world.cluster, identity: { incarnation: 0 } });
  const { nodeId } = victim.machine;
  const { signal } = new AbortController();
  for (const { machine, name: host } of world.hosts.filter((other) => other !== victim)) {
    try {
      await thief.mesh.dial(machine.address);
      const peer = thief.mesh.peer(machine.nodeId);
      if (!peer) continue;
      const answer = await custodyPeer(linkOf(world, thief), peer).request(
        { kind: 'release', nodeId, incarnation: 900, storeIdHash: storeIdHashOf(header.storeId) },
        { signal },
      );
      if (answer.kind === 'released')
        world.violate('released-to-owner', `${host} gave ${name} a share of ${victim.name}`);
    } catch {
      // Refused, or not there.
    }
  }
  await thief.mesh.stop();
}

/** The evidence of a member is not what it should be for a while; its connections begin anew meanwhile. */
function ofMember(kind: string, mode: QuoteMode): FaultKind {
  return {
    kind,
    share: 0.12,
    shape: (draw, frame) => ({
      forMs: draw.between(5_000, 30_000),
      hosts: [draw.pick(allHosts(frame))],
      amount: draw.unit(),
    }),
    inject(world, fault) {
      const host = world.hosts[fault.hosts[0]!]!;
      host.quoteMode = mode;
      world.keep(fault, () => {
        host.quoteMode = 'well';
      });
      if (host.standing !== 'up') return false;
      world.network.cut(host.machine.address);
      return true;
    },
  };
}

export const ATTESTATION_FAULTS: readonly FaultKind[] = [
  intruder('attestation-none', 0.1, () => ({ wrap: wrapQuoter(() => async () => utf8('believe me')) })),
  intruder('attestation-other-build', 0.1, () => ({ measurements: otherBuild })),
  intruder('attestation-debug', 0.1, () => ({ source: quotesOf({ tdAttributes: '0100001000000000' }) })),
  intruder('attestation-outdated', 0.1, () => ({ source: quotesOf({ teeTcbSvn: new Uint8Array(16) }) })),
  intruder('attestation-forged', 0.12, forged),
  intruder('attestation-replayed', 0.12, replayed),
  intruder('attestation-expired', 0.12, late),
  ofMember('attestation-unavailable', 'none'),
  ofMember('attestation-changed', 'changed'),
  {
    kind: 'attestation-thief',
    share: 0.15,
    shape: (draw, frame) => ({ forMs: 0, hosts: [draw.pick(allHosts(frame))], amount: draw.unit() }),
    inject(world, fault) {
      const victim = world.hosts[fault.hosts[0]!]!;
      if (!readyHosts(world).includes(victim)) return false;
      world.detach('a thief', () => steal(world, victim, `thief-${Math.round(fault.amount * 1e6)}`));
      return true;
    },
  },
];
