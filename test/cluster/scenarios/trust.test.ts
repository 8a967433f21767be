// Who belongs to a cluster of five: nodes of another measurement, an upgrade to one, members that come and go.
// Each scenario runs alone: npx vitest run --project scenarios -t NAME. KITH_CLUSTER_DRIVER chooses what machines are.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../support/cluster-processes.ts';
import { runKith } from '../../support/processes.ts';
import { type Fleet, SCENARIO_MS, START_MS, startFleet, WAIT_MS } from '../driver/fleet.ts';

let fleet: Fleet;
const five = ['node-1', 'node-2', 'node-3', 'node-4', 'node-5'];
const governance = () => ['--key', join(fleet.driver.keysHere, 'cluster.governance-1.key')];
const clusterFile = () => join(fleet.driver.keysHere, 'cluster.json');

beforeAll(async () => {
  fleet = await startFleet();
}, START_MS);
afterAll(() => fleet?.close(), SCENARIO_MS);

/** Starts a machine that is to stay outside, and waits until it was refused by itself or by the others. */
async function refused(name: string, build: 'now' | 'next' | 'lying', word: string): Promise<void> {
  await fleet.add(name, { platform: `stranger/${name}`, build });
  await fleet.driver.start(name);
  await until(`${name} is refused`, async () => (await fleet.driver.log(name)).includes(word), WAIT_MS);
  await fleet.register(2);
  const there = await fleet.info(name);
  expect(there?.members ?? 0).toBe(0);
  expect(['attesting', 'recovering']).toContain(there?.phase);
  for (const member of fleet.members) expect((await fleet.facts(member)).members).toBe(fleet.members.size);
  await fleet.driver.kill(name);
}

describe('a cluster of five nodes', { timeout: SCENARIO_MS }, () => {
  it('does not meet a node of another measurement, which does not believe itself', async () => {
    await refused('unlisted', 'next', 'policy-measurement');
    await fleet.check();
  });

  it('refuses a node of another measurement that believes itself', async () => {
    await refused('liar', 'lying', 'not-attested');
    const said = await Promise.all(five.map((name) => fleet.driver.log(name)));
    expect(said.some((log) => log.includes('policy-measurement'))).toBe(true);
    await fleet.check();
  });

  it('grows by three under load, and loses two that leave, and nothing else', async () => {
    const load = fleet.startLoad();
    const more = ['node-6', 'node-7', 'node-8'];
    for (const name of more) await fleet.add(name);
    await Promise.all(more.map(fleet.driver.start));
    await fleet.waitReady(...more);
    for (const name of more) fleet.members.add(name);
    expect(await load.stop()).toBeGreaterThan(0);
    await fleet.check();
    for (const name of ['node-2', 'node-7']) {
      const again = fleet.startLoad();
      fleet.members.delete(name);
      const { exitCode, err } = await fleet.driver.run(name, 'leave', '--json');
      expect(exitCode, err).toBe(0);
      expect(await fleet.driver.ended(name)).toBe(0);
      await again.stop();
      await fleet.check();
    }
    expect((await fleet.facts('node-1')).members).toBe(6);
    // Whoever left may come back.
    await fleet.driver.start('node-2');
    fleet.members.add('node-2');
    await fleet.check();
  });

  it('is rid of a member that never comes back, once its operator has taken it off', async () => {
    await fleet.add('lost', { platform: 'c/lost' });
    await fleet.driver.start('lost');
    await fleet.waitReady('lost');
    fleet.members.add('lost');
    await fleet.waitWhole();
    const { nodeId } = await fleet.facts('lost');
    await fleet.driver.kill('lost');
    fleet.members.delete('lost');
    const takeOff = (operator: string) => {
      const words = ['--node', fleet.driver.url('node-2'), '--cluster', fleet.driver.clusterPath, '--json'];
      const key = join(fleet.driver.keysFolder, `cluster.operator-${operator}.key`);
      return runKith('leave', `--lost=${nodeId}`, '--key', key, ...words);
    };
    expect((await takeOff('b')).exitCode).toBe(1);
    await until('it is taken off', async () => (await takeOff('c')).exitCode === 0, WAIT_MS);
    await fleet.check();
    expect((await fleet.facts('node-1')).members).toBe(fleet.members.size);
  });

  it('is upgraded node by node to a build of another measurement, and then believes that one only', async () => {
    const load = fleet.startLoad();
    const old = fleet.cluster().configuration.policy.measurements;
    await fleet.keys('next', 'cluster', 'update', clusterFile(), '--measure-build', ...governance());
    fleet.publish();
    expect(fleet.cluster().configuration.policy.measurements).toHaveLength(2);
    const before = new Map<string, string>();
    for (const name of [...fleet.members]) {
      before.set(name, (await fleet.facts(name)).nodeId);
      fleet.members.delete(name);
      expect(await fleet.driver.stop(name)).toBe(0);
      fleet.driver.setBuild(name, 'next');
      await fleet.driver.start(name);
      fleet.members.add(name);
      await fleet.waitWhole();
    }
    await load.stop();
    await fleet.check();
    for (const [name, nodeId] of before) expect((await fleet.facts(name)).nodeId).toBe(nodeId);

    const { policy } = fleet.cluster().configuration;
    const measurements = policy.measurements.filter(({ rtmr2 }) => old.every((one) => one.rtmr2 !== rtmr2));
    const changes = join(fleet.driver.keysFolder, 'changes.json');
    writeFileSync(changes, JSON.stringify({ policy: { ...policy, measurements } }), { mode: 0o644 });
    const words = ['--changes', join(fleet.driver.keysHere, 'changes.json'), ...governance()];
    await fleet.keys('next', 'cluster', 'update', clusterFile(), ...words);
    fleet.publish();
    // One member is started with it; the others hear of it.
    expect(await fleet.driver.stop('node-1')).toBe(0);
    await fleet.driver.start('node-1');
    for (const name of fleet.members) {
      await until(`${name} has version 3`, async () => (await fleet.info(name))?.configVersion === 3, WAIT_MS);
    }
    await fleet.check();
    await refused('outdated', 'now', 'policy-measurement');
    await fleet.check();
  });
});
