// Five nodes in their daily life: they start, serve, die, stop, hang, and lose sight of one another and of the chain.
// Each scenario runs alone: npx vitest run --project scenarios -t NAME. KITH_CLUSTER_DRIVER chooses what machines are.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../support/cluster-processes.ts';
import '../../support/processes.ts';
import { systemRandom } from '../../../src/core/system.ts';
import { makeOperation, makeWallet, openTarget } from '../../support/load.ts';
import { type Fleet, SCENARIO_MS, START_MS, startFleet, WAIT_MS } from '../driver/fleet.ts';

let fleet: Fleet;
/** A node that does not answer is cut by the others within this; and is still a member. */
const UNSEEN_MS = 60_000;

const five = ['node-1', 'node-2', 'node-3', 'node-4', 'node-5'];
const reachable = async (name: string) => (await fleet.info(name))?.quorum.reachable;

/** Two at a time: the others are a quorum. */
const PAIRS = ['node-1 and node-2', 'node-3 and node-4', 'node-5'];
const namesIn = (who: string) => who.split(' and ');

/** Ends these nodes, registers at the others, and starts them again. @returns what each said before and after. */
async function awayAndBack(names: readonly string[], end: (name: string) => Promise<unknown>) {
  const before = await Promise.all(names.map(fleet.facts));
  await Promise.all(names.map(end));
  for (const name of names) fleet.members.delete(name);
  await fleet.register(2);
  await Promise.all(names.map(fleet.driver.start));
  for (const name of names) fleet.members.add(name);
  await fleet.waitReady(...names);
  const after = await Promise.all(names.map(fleet.facts));
  expect(after.map(({ nodeId }) => nodeId)).toEqual(before.map(({ nodeId }) => nodeId));
  await fleet.check();
  return names.map((_, i) => ({ before: before[i]!, after: after[i]! }));
}

beforeAll(async () => {
  fleet = await startFleet();
}, START_MS);
afterAll(() => fleet?.close(), SCENARIO_MS);

describe('five nodes of three operators', { timeout: SCENARIO_MS }, () => {
  it('start, find one another and become ready', async () => {
    const infos = await Promise.all(five.map(fleet.info));
    expect(infos.map((node) => node?.members)).toEqual([5, 5, 5, 5, 5]);
    expect(new Set(infos.map((node) => node?.nodeId)).size).toBe(5);
    await fleet.check();
  });

  it('take a registration anywhere and have it everywhere', async () => {
    for (const name of five) await fleet.register(3, name);
    await fleet.check();
  });

  it.each(PAIRS)('go on while %s are killed, and have them back as the same nodes', async (who) => {
    for (const { before, after } of await awayAndBack(namesIn(who), fleet.driver.kill)) {
      expect(after.incarnation).toBeGreaterThan(before.incarnation);
    }
  });

  it.each(PAIRS)('go on while %s stop, which end in time, and have them back as the same nodes', async (who) => {
    await awayAndBack(namesIn(who), async (name) => expect(await fleet.driver.stop(name)).toBe(0));
  });

  it.each(PAIRS)('go on while %s hang, and have them back', async (who) => {
    const hanging = namesIn(who);
    const others = five.filter((name) => !hanging.includes(name));
    const paused: string[] = [];
    try {
      for (const name of hanging) {
        await fleet.driver.pause(name);
        paused.push(name);
        fleet.members.delete(name);
      }
      const missed = async () => (await reachable(others[0]!)) === others.length;
      await until(`${who} missed`, missed, UNSEEN_MS);
      await fleet.register(2, ...others);
    } finally {
      for (const name of paused) {
        await fleet.driver.resume(name);
        fleet.members.add(name);
      }
    }
    await fleet.check();
  });

  it.each([1, 2, 3])('are whole again after %i of them were cut off from all others', async (count) => {
    const cut = five.slice(5 - count);
    const rest = five.slice(0, 5 - count);
    for (const name of cut) await fleet.driver.disconnect(name);
    for (const name of cut) await until(`${name} is alone`, async () => (await reachable(name)) === 1, UNSEEN_MS);
    await until('the rest knows', async () => (await reachable('node-1')) === 5 - count, UNSEEN_MS);
    const wallet = makeWallet(systemRandom, 10);
    const { heights } = await fleet.facts('node-1');
    const operation = makeOperation(fleet.cluster().id, wallet, 'register', { version: heights.chain });
    const target = await openTarget({ random: systemRandom }, fleet.cluster().id, fleet.driver.url('node-1'));
    const post = async () => (await target.post(operation, target.seal(operation))).status;
    // Two of five are no quorum: they keep it, and nobody says that it is safe.
    if (count === 3) expect(await post()).toBe(202);
    else await until('the rest confirms it', async () => (await post()) < 202, WAIT_MS);
    const told = async (name: string) =>
      (await fetch(`${fleet.driver.url(name)}/v1/registrations/${operation.id}`)).status;
    for (const name of rest) await until(`${name} knows it`, async () => (await told(name)) === 200, WAIT_MS);
    for (const name of cut) expect(await told(name)).toBe(404);
    for (const name of cut) await fleet.driver.connect(name);
    await until('it is confirmed', async () => (await post()) < 202, WAIT_MS);
    target.close();
    fleet.acknowledged(operation);
    await fleet.check();
  });
});

describe('a chain that', { timeout: SCENARIO_MS }, () => {
  const fault = async (request: unknown) => {
    const answer = await fetch(`${fleet.driver.chainUrl}/devnet/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
      signal: AbortSignal.timeout(30_000),
    });
    expect(answer.status).toBe(200);
  };

  it('stops keeps nobody from serving, and is followed again when it goes on', async () => {
    const before = (await fleet.facts('node-1')).heights.detected;
    await fleet.driver.pauseChain();
    try {
      await fleet.register(3);
      await until(
        'it is missed',
        async () => (await fleet.reasons('node-1')).some((reason) => reason.includes('chain')),
        WAIT_MS,
      );
      for (const name of five) expect((await fleet.facts(name)).phase).toBe('ready');
      await fleet.register(3);
    } finally {
      await fleet.driver.resumeChain();
    }
    await until('blocks go by', async () => (await fleet.facts('node-1')).heights.detected > before + 10, WAIT_MS);
    await fleet.check();
  });

  it('lies costs no index set an entry', async () => {
    const before = (await fleet.facts('node-1')).heights.detected;
    await fault({ rates: { errors: 0.2, truncated: 0.2, garbage: 0.2, duplicated: 0.2, reordered: 0.2 } });
    await until('blocks go by', async () => (await fleet.facts('node-1')).heights.detected > before + 10, WAIT_MS);
    await fault({ rates: {}, backwards: 5 });
    await fleet.check();
  });

  // The last one: no node follows anything any more, until its operator has found it the right chain.
  it('is replaced by another is followed by nobody, and what is known is still told', async () => {
    await fault({ chainId: 'another' });
    for (const name of five) {
      const readyz = () => fetch(`${fleet.driver.url(name)}/readyz`, { signal: AbortSignal.timeout(30_000) });
      await until(`${name} stops following`, async () => (await readyz()).status === 503, WAIT_MS);
      expect((await fleet.reasons(name)).join()).toContain('wrong-chain');
    }
    await fleet.check({ following: false });
  });
});
