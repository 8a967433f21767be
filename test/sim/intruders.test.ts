// Whoever is not a node of this cluster as it should be, at the door of whole nodes: refused with its reason, in log
// and metrics, and nobody else notices.

import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createSimulatedSource } from '../../src/attestation/index.ts';
import { simulatedQuote } from '../../src/attestation/simulated/quote.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { ATTEST_PROTOCOL } from '../../src/p2p/handshake/messages.ts';
import type { Connection } from '../../src/p2p/index.ts';
import { measurements, pki } from '../support/attestation.ts';
import { otherBuild, quotesOf, replayed, wrapQuoter } from '../support/intruder-evidence.ts';
import type { TestNodeOptions } from '../support/mesh.ts';
import { rejectionOf } from '../support/outcome.ts';
import type { SimMachine } from '../support/sim-cluster.ts';
import { emptyWorld, foundedWorld } from '../support/sim-world.ts';
import { successorOf, testCluster } from '../support/test-cluster.ts';

type World = Awaited<ReturnType<typeof foundedWorld>>;

const refusedTotal = (code: string, by = 'us') => `kith_mesh_handshakes_refused_total{by="${by}",code="${code}"}`;

/** An intruder dials a node; the code both sides end with. */
async function atTheDoor({ sim, machines }: World, name: string, options: TestNodeOptions): Promise<string> {
  const target = machines[0]!;
  const intruder = await sim.intruder(name, options);
  const error = await sim.clock.settle(rejectionOf(intruder.mesh.dial(target.address)));
  await sim.clock.advance(100);
  await intruder.mesh.stop();
  return (error?.cause as { code?: string } | undefined)?.code ?? error?.code ?? 'let in';
}

/** Code of the refusal, then what the intruder is. */
const INTRUDERS: readonly (readonly [code: string, what: string, options: () => TestNodeOptions])[] = [
  ['unsupported', 'has no quote', () => ({ wrap: wrapQuoter(() => async () => utf8('believe me')) })],
  ['policy-measurement', 'runs another build', () => ({ measurements: otherBuild })],
  ['policy-debug', 'is in debug mode', () => ({ source: quotesOf({ tdAttributes: '0100001000000000' }) })],
  [
    'tcb-not-supported',
    'is on a platform older than all that is supported',
    () => ({ source: quotesOf({ teeTcbSvn: new Uint8Array(16) }) }),
  ],
  ['report-data', 'shows the quote of an earlier handshake', replayed],
  ['other-cluster', 'is of another cluster', () => ({ cluster: testCluster({ confirmations: 5 }) })],
  ['configuration-fork', 'has a successor that this cluster never had', () => ({ cluster: forged() })],
  ['fenced', 'is an older boot of a member', () => ({})],
];

/** A version 1 of this cluster, with another content under its id: what a forger without keys can make. */
function forged() {
  const cluster = testCluster({ allowUnbacked: false });
  return { ...cluster, hash: new Uint8Array(32).fill(7) };
}

describe('three nodes', () => {
  let world: World;
  beforeAll(async () => {
    world = await foundedWorld(['a', 'b', 'c'], { lasting: true });
  });
  afterAll(() => world.sim.stopAll());

  it.each(INTRUDERS.filter(([code]) => code !== 'fenced'))('refuse as %s who %s', async (code, what, options) => {
    const [a] = world.machines as [SimMachine];
    const before = {
      counted: await a.metric(refusedTotal(code)),
      logged: a.logged('not-attested').length,
      cut: a.logged('peer-cut').length,
    };
    expect(await atTheDoor(world, what.replaceAll(' ', '-'), options())).toBe(code);
    expect(await a.metric(refusedTotal(code))).toBe(before.counted + 1);
    expect(a.logged('not-attested').slice(before.logged)).toEqual([code]);
    expect(a.logged('not-attested', 'by').at(-1)).toBe('us');
    expect(world.machines.every(({ ready }) => ready)).toBe(true);
    expect(a.logged('peer-cut').slice(before.cut)).toEqual([]);
  });

  it('refuse who claims to be an older boot of a member, and do not take their own word for being fenced', async () => {
    const [a, b] = world.machines as [SimMachine, SimMachine];
    const identity = { nodeId: b.nodeId, incarnation: 1 };
    // The member restarts, so that there is an older boot.
    b.crash();
    b.boot();
    await world.sim.until(() => b.ready);
    // Cut off from everybody, `a` believes its own eyes only.
    const others = ['/memory/b', '/memory/c'];
    world.network.faults.dial = (from, to) => ![from, to].some((end) => others.includes(end));
    for (const other of others) world.network.cut(other);
    onTestFinished(() => void delete world.network.faults.dial);
    await world.sim.clock.advance(100);
    expect(await atTheDoor(world, 'old-boot', { identity })).toBe('fenced');
    expect(a.node.service.readiness().phase).not.toBe('fenced');
    delete world.network.faults.dial;
    await world.sim.until(() => a.node.service.node().quorum.reachable === 3);
  });

  it('refuse evidence that comes half a minute late', async () => {
    const late = (): TestNodeOptions => ({
      wrap: (deps) => ({
        ...deps,
        quoter: {
          async quote(claim, given) {
            await new Promise<void>((resolve) => void world.clock.schedule(30_500, resolve));
            return deps.quoter.quote(claim, given);
          },
        },
      }),
    });
    const [a] = world.machines as [SimMachine];
    const before = a.logged('not-attested').length;
    expect(await atTheDoor(world, 'late', late())).toBe('timeout');
    expect(a.logged('not-attested').slice(before)).toEqual(['timeout']);
  });

  it('refuse their own evidence sent back', async () => {
    const [a] = world.machines as [SimMachine];
    // Each chunk that comes goes back: what `a` said last.
    const mirror = world.network.transport({ bootKey: new Uint8Array(32).fill(66), address: '/memory/mirror' });
    mirror.onConnection((connection) =>
      connection.onStream(async (_protocol, stream) => {
        for (let chunk = await stream.read(); chunk; chunk = await stream.read()) await stream.write(chunk);
      }),
    );
    await mirror.start({});
    const before = await a.metric(refusedTotal('reflected'));
    // Somebody who is believed calls the mirror's address its own, and goes.
    const own = world.network.transport({ bootKey: new Uint8Array(32).fill(67), address: '/memory/learner' });
    const learner = await world.sim.intruder('learner', { transport: { ...own, addresses: () => ['/memory/mirror'] } });
    await world.sim.clock.settle(learner.mesh.dial(a.address));
    await world.sim.clock.advance(6_000);
    await learner.mesh.stop();
    await world.sim.until(() => a.logged('not-attested').includes('reflected'), 60);
    expect(await a.metric(refusedTotal('reflected'))).toBeGreaterThan(before);
    await mirror.stop();
  });

  it('do not believe one another through a relay with a boot key of its own', async () => {
    const [a, b] = world.machines as [SimMachine, SimMachine];
    const signal = new AbortController().signal;
    const relay = world.network.transport({ bootKey: new Uint8Array(32).fill(77), address: '/memory/relay' });
    await relay.start({});
    const [toA, toB]: Connection[] = [await relay.dial(a.address, { signal }), await relay.dial(b.address, { signal })];
    const [atA, atB] = [
      await toA!.openStream(ATTEST_PROTOCOL, { signal }),
      await toB!.openStream(ATTEST_PROTOCOL, { signal }),
    ];
    const before = [a.logged('not-attested').length, b.logged('not-attested').length];
    const pass = async (from: typeof atA, to: typeof atA) => {
      for (let chunk = await from.read(); chunk; chunk = await from.read()) await to.write(chunk);
    };
    void pass(atA, atB).catch(() => undefined);
    void pass(atB, atA).catch(() => undefined);
    await world.sim.clock.advance(40_000);
    // Both are responders here: each waits for the other to begin, and none is made to speak.
    expect(a.logged('not-attested').slice(before[0])).toEqual(['timeout']);
    expect(b.logged('not-attested').slice(before[1])).toEqual(['timeout']);
    await relay.stop();
  });
});

it('a node of a cluster that allows simulated quotes is another cluster to one that does not', () => {
  const simulated = testCluster();
  expect(() => testCluster({ allowSimulated: false })).toThrow(/development root/);
  expect(() => successorOf(simulated, { allowSimulated: false } as never)).toThrow();
});

it('a node whose own quote nobody would believe meets nobody and says why', async () => {
  const sim = emptyWorld();
  const lonely = sim.machine('lonely', { measurements: otherBuild });
  lonely.boot();
  await sim.clock.advance(10_000);
  expect(lonely.node.service.readiness()).toMatchObject({ ready: false, phase: 'attesting' });
  expect(lonely.node.service.readiness().reasons[0]).toContain('policy-measurement');
  expect(lonely.logged('not-attested')).toEqual(['not-believed']);
  expect(await lonely.metric('kith_node_phase{phase="attesting"}')).toBe(1);
});

it('a trust domain that is debugged after all is cut within a minute of a new version, and let in nowhere', async () => {
  let debugged = false;
  const { sim, machines } = await foundedWorld(['a', 'b']);
  const [a] = machines as [SimMachine];
  const platform = pki.platform({ operator: 'op-c', name: 'c' });
  const genuine = createSimulatedSource({ clock: sim.clock }, platform, measurements);
  const c = await sim.intruder('c', {
    source: {
      kind: 'simulated',
      quote: async (reportData, options) =>
        debugged
          ? simulatedQuote(platform, { reportData, measurements, tdAttributes: '0100001000000000' })
          : genuine.quote(reportData, options),
    },
  });
  await sim.clock.settle(c.mesh.dial(a.address));
  debugged = true;
  // Without it: after three quarters of an hour.
  const messenger = await sim.intruder('messenger', { cluster: successorOf(sim.cluster, { confirmations: 2 }) });
  await sim.clock.settle(messenger.mesh.dial(a.address));
  await sim.clock.advance(70_000);
  expect(a.logged('peer-cut')).toContainEqual(expect.stringMatching(/^(policy-debug|attestation-expired)$/));
  expect(a.node.service.members().map(({ operator }) => operator)).not.toContain('op-c');
  expect([...a.logged('not-attested'), ...machines[1]!.logged('not-attested')]).toContain('policy-debug');
});
