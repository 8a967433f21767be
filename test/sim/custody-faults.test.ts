// Custody of whole nodes among members that lie or ask for what is not theirs, and crashes at every point of a deal.

import { describe, expect, it } from 'vitest';
import { createSimulatedSource } from '../../src/attestation/index.ts';
import { createCustodian, createIncarnations, storeIdHashOf } from '../../src/keyserver/index.ts';
import { custodyPeer, type LinkDeps, serveCustody } from '../../src/node/custody/link.ts';
import { headerReader } from '../../src/node/custody/read-header.ts';
import { readHeader } from '../../src/node/store/index.ts';
import { refusalOf } from '../../src/p2p/index.ts';
import { measurements, NOW, pki } from '../support/attestation.ts';
import type { TestNode } from '../support/mesh.ts';
import { rejectionOf } from '../support/outcome.ts';
import type { SimCluster, SimMachine } from '../support/sim-cluster.ts';
import { foundedWorld, whole } from '../support/sim-world.ts';

type Three = [SimMachine, SimMachine, SimMachine];

/** What an intruder needs to speak custody. */
function linkOf({ cluster }: SimCluster, { deps, bootKey }: TestNode): LinkDeps {
  return {
    ...deps,
    cluster: () => cluster,
    context: () => ({ nowSeconds: NOW, height: undefined, newestCollateral: deps.collateral.newest()! }),
    ownBootKey: bootKey,
    ownHpkeKey: deps.identity().hpkeKeyPair.publicKey,
    report: () => undefined,
  };
}

describe('an attested node that asks for another’s share', () => {
  it('gets it neither with the store’s id nor without, in the open or under its own name', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, b] = machines as Three;
    const header = readHeader((await b.disk.header.read())!);
    const thief = await sim.intruder('thief', { identity: { incarnation: 0 } });
    await sim.clock.settle(thief.mesh.dial(a.address));
    await sim.clock.advance(100);
    const way = custodyPeer(linkOf(sim, thief), thief.mesh.peer(a.nodeId)!);
    const { signal } = new AbortController();
    const ask = (request: Parameters<typeof way.request>[0]) => sim.clock.settle(way.request(request, { signal }));
    const release = { kind: 'release', nodeId: b.nodeId, incarnation: 9 } as const;
    const requests = 'kith_custody_requests_total{side="answered",kind="release",outcome=';

    expect(await ask({ ...release, storeIdHash: storeIdHashOf(header.storeId) })).toMatchObject({ reason: 'platform' });
    expect(await ask({ ...release, storeIdHash: new Uint8Array(32) })).toMatchObject({ reason: 'wrong-store' });
    expect(await a.metric(`${requests}"platform"}`)).toBe(1);
    expect(await a.metric(`${requests}"wrong-store"}`)).toBe(1);
    // Before its own store is open it has no business with anybody's deals.
    const probed = await sim.clock.settle(rejectionOf(way.request({ kind: 'probe' }, { signal })));
    expect(refusalOf(probed)?.code).toBe('no-identity');
    expect(a.logged('custody-refused', 'reason').slice(-3)).toEqual(['platform', 'wrong-store', 'no-identity']);
    await sim.clock.advance(5_000);
    expect(b.ready).toBe(true);
  });
});

describe('a key server that gives back another share than it was given', () => {
  it('is named in the log, and the shares of the others do', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, b, c] = machines as Three;
    const before = a.nodeId;
    // Somebody broke the platform of b: its next boot runs what the attacker likes.
    const id = b.nodeId;
    b.crash();
    const source = createSimulatedSource(sim, pki.platform({ operator: 'op-b', name: 'b' }), measurements);
    const liar = await sim.intruder('broken', { source, identity: { nodeId: id, incarnation: 9, phase: 'ready' } });
    const custodian = createCustodian({
      self: id,
      readHeader: headerReader(sim.cluster.id),
      incarnations: createIncarnations(),
      migration: { movesFreely: () => true, operatorKey: () => undefined, height: () => undefined },
    });
    serveCustody(
      liar.mesh,
      linkOf(sim, liar),
      {
        ...custodian,
        release(context, request) {
          const answer = custodian.release(context, request);
          if (answer.kind === 'released') for (const { share } of answer.deals) share.expose()[7]! ^= 1;
          return answer;
        },
      },
      () => undefined,
    );
    for (const { address } of [a, c]) await sim.clock.settle(liar.mesh.dial(address));
    await sim.until(() => custodian.owners().length === 2);
    await whole(sim, [a, c]);
    a.crash();
    await sim.clock.advance(1_000);
    a.boot();
    await sim.until(() => a.logged('key-released', 'incarnation').length > 0);
    expect(a.logged('faulty-key-server', 'peer')).toEqual([id]);
    expect(a.logged('faulty-key-server', 'fault')).toEqual(['bad-share']);
    await sim.until(() => a.nodeId === before);
  });
});

describe('an owner that comes back', () => {
  it('and reaches too few servers at first, waits with what it has, and goes on with the next', async () => {
    const { sim, machines, network } = await foundedWorld(['a', 'b', 'c', 'd']);
    const [a, b] = machines as Three;
    const before = a.nodeId;
    a.crash();
    network.faults.dial = (from, to) => ![from, to].includes(a.address) || [from, to].includes(b.address);
    await sim.clock.advance(500);
    a.boot();
    await sim.until(() => (a.node.service.readiness().reasons[0] ?? '').startsWith('1 of 2 shares of the sealing key'));
    await sim.clock.advance(10_000);
    expect(a.ready).toBe(false);
    expect(a.disk.asides()).toBe(0);
    delete network.faults.dial;
    await whole(sim, machines, 240);
    expect(a.nodeId).toBe(before);
  });
});
