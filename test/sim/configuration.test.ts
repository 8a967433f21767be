// A newer cluster configuration on its way through whole nodes.

import { describe, expect, it } from 'vitest';
import { defaultPolicy } from '../../src/attestation/index.ts';
import { simulatedMeasurements } from '../../src/attestation/simulated/quote.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { measurements } from '../support/attestation.ts';
import { rejectionOf } from '../support/outcome.ts';
import type { SimMachine } from '../support/sim-cluster.ts';
import { foundedWorld, whole } from '../support/sim-world.ts';
import { successorOf, testCluster } from '../support/test-cluster.ts';

type Three = [SimMachine, SimMachine, SimMachine];
const versionOf = ({ node }: SimMachine) => node.service.node().configVersion;
const nextBuild = simulatedMeasurements('next', utf8('next build'));

describe('three nodes', () => {
  it('all take a version that one of them was restarted with, and a limit of it is in force everywhere', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, b, c] = machines as Three;
    const limits = { ...sim.cluster.configuration.limits, registrationsMax: 7 };
    const newer = successorOf(successorOf(sim.cluster, { confirmations: 2 }), { limits });
    const before = machines.map(({ nodeId }) => nodeId);
    await b.stop();
    b.boot({ cluster: newer });
    await sim.until(() => machines.every((machine) => versionOf(machine) === 3));
    await whole(sim, machines);
    expect(machines.map(({ nodeId }) => nodeId)).toEqual(before);
    for (const machine of machines) {
      expect(await machine.metric('kith_registrations_max')).toBe(7);
      expect(await machine.metric('kith_node_configuration_version')).toBe(3);
    }
    for (const machine of [a, c]) expect(machine.logged('configuration', 'version')).toEqual([3]);
    // A node that is started with the older file again does not go back, whatever its host wants.
    a.crash();
    await sim.clock.advance(2_000);
    a.boot();
    await whole(sim, machines);
    expect(versionOf(a)).toBe(3);
  });

  it('hear of it from one another although all stay connected', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, b, c] = machines as Three;
    const messenger = await sim.intruder('messenger', { cluster: successorOf(sim.cluster, { confirmations: 2 }) });
    await sim.clock.settle(messenger.mesh.dial(a.address));
    expect(versionOf(a)).toBe(2);
    await sim.until(() => [b, c].every((machine) => versionOf(machine) === 2), 40);
    await sim.clock.advance(90_000);
    // Attestations were renewed where they stood.
    for (const machine of machines) expect(machine.logged('peer-cut')).not.toContain('attestation-expired');
    expect(machines.every(({ ready }) => ready)).toBe(true);
  });

  it('refuse a forged successor and a fork, typed, and stay where they are', async () => {
    const { sim, machines } = await foundedWorld();
    const [a] = machines as Three;
    const genuine = successorOf(sim.cluster, { confirmations: 2 });
    const unsigned = { ...genuine, versions: genuine.versions.map((version) => ({ ...version, signatures: [] })) };
    const liar = await sim.intruder('liar', { cluster: unsigned });
    expect((await sim.clock.settle(rejectionOf(liar.mesh.dial(a.address))))?.message).toContain(
      'configuration-refused',
    );
    await sim.clock.advance(100);
    expect(a.logged('not-attested').at(-1)).toBe('configuration-refused');
    expect(await a.metric('kith_mesh_handshakes_refused_total{by="us",code="configuration-refused"}')).toBe(1);
    expect(versionOf(a)).toBe(1);

    const messenger = await sim.intruder('messenger', { cluster: genuine });
    await sim.clock.settle(messenger.mesh.dial(a.address));
    expect(versionOf(a)).toBe(2);
    const forked = await sim.intruder('forked', { cluster: successorOf(sim.cluster, { confirmations: 3 }) });
    await sim.clock.settle(rejectionOf(forked.mesh.dial(a.address)));
    await sim.clock.advance(100);
    expect(a.logged('not-attested').at(-1)).toBe('configuration-fork');
    expect(versionOf(a)).toBe(2);
  });

  it('cut a member that a new version excludes, and go on without it', async () => {
    const both = testCluster({ allowUnbacked: false, policy: defaultPolicy([measurements, nextBuild]) });
    const { sim, machines } = await foundedWorld(['a', 'b', 'c'], { cluster: both });
    const [a, b, c] = machines as Three;
    for (const machine of [a, b]) {
      await machine.stop();
      machine.boot({ measurements: nextBuild });
      await whole(sim, machines);
    }
    const only = successorOf(both, { policy: defaultPolicy([nextBuild]) });
    const messenger = await sim.intruder('messenger', { cluster: only, measurements: nextBuild });
    await sim.clock.settle(messenger.mesh.dial(a.address));
    await sim.until(() =>
      [a, b].every(({ node }) => node.service.node().roster.some(({ standing }) => standing === 'away')),
    );
    expect(a.node.service.node().roster.find(({ nodeId }) => nodeId === c.nodeId)?.standing).toBe('away');
    const reasons = [...a.logged('peer-cut'), ...a.logged('not-attested')];
    expect(reasons).toContain('policy-measurement');
    expect([a.ready, b.ready]).toEqual([true, true]);
    // With the build that is allowed now, it comes back under its own id.
    const before = c.nodeId;
    await c.stop();
    c.boot({ measurements: nextBuild, cluster: only });
    await whole(sim, machines);
    expect(c.nodeId).toBe(before);
  });

  it('believe a build from a height on, and until one', async () => {
    const sets = [
      { ...measurements, untilHeight: 1_000_000 },
      { ...nextBuild, fromHeight: 1_000_000 },
    ];
    const cluster = testCluster({ allowUnbacked: false, policy: defaultPolicy(sets) });
    const { sim, machines } = await foundedWorld(['a', 'b'], { cluster });
    const early = sim.machine('early', { measurements: nextBuild });
    early.boot();
    await sim.clock.advance(20_000);
    expect(early.node.service.readiness().reasons[0]).toContain('policy-measurement');
    expect(machines.every(({ ready }) => ready)).toBe(true);
  });
});
