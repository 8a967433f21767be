// Whole nodes of which one is shown another chain.

import { expect, it } from 'vitest';
import { fromUtf8, utf8 } from '../../src/core/bytes.ts';
import { createDevnet, type Devnet } from '../../src/devnet/index.ts';
import { madeUpLines, replayOf } from '../support/replay.ts';
import type { SimMachine } from '../support/sim-cluster.ts';
import { holdsAll, statusAt, userAt, usersOf } from '../support/sim-replication.ts';
import { emptyWorld } from '../support/sim-world.ts';

type Two = [SimMachine, SimMachine];

/** The chain of the others up to height 1,019, another one from there on. */
const otherChain = () =>
  createDevnet({ replay: replayOf(madeUpLines(1_000, 30).filter(({ flags }) => flags === null)), startAfter: 20 });

/** Two nodes on the chain of all, a third whose endpoint can be made to show something else. */
async function oddWorld(oddOf: (honest: Devnet) => Devnet = otherChain) {
  const sim = emptyWorld();
  const odd = oddOf(sim.devnet);
  const machines = ['a', 'b'].map((name) => sim.machine(name));
  const c = sim.machine('c', { devnet: odd });
  for (const machine of [...machines, c]) machine.boot();
  await sim.until(() => [...machines, c].every(({ ready, node }) => ready && node.service.node().members === 3));
  return { sim, odd, honest: machines as unknown as Two, c };
}

it('a node whose chain runs far ahead makes nobody end a registration, and is not made to itself', async () => {
  const { sim, odd, honest, c } = await oddWorld();
  const [a] = honest;
  const users = usersOf('kept', 3);
  for (const who of users) await userAt(sim, a, who).register({ expiryHeight: sim.devnet.tip + 100 });
  await sim.until(() => holdsAll(c, sim, users), 10);
  odd.advance(600);
  await sim.until(() => c.node.service.node().heights.detected > sim.devnet.tip + 500, 120);
  await sim.clock.advance(90_000);
  sim.devnet.advance(3);
  odd.advance(3);
  await sim.clock.advance(20_000);
  const keysHeld = ({ node }: SimMachine) =>
    users.every((who) => node.running!.registrations.keysHeld(userAt(sim, a, who).id));
  for (const machine of [...honest, c]) expect(keysHeld(machine)).toBe(true);
  for (const machine of honest) {
    expect(holdsAll(machine, sim, users)).toBe(true);
    expect(await statusAt(sim, machine, users[0]!)).toMatchObject({ status: 'confirmed' });
  }
  // The same when it is gone and back: what its chain says is in nobody's records.
  c.crash();
  await sim.clock.advance(1_000);
  c.boot();
  await sim.clock.advance(60_000);
  for (const machine of [...honest, c]) expect(keysHeld(machine)).toBe(true);
});

it('a node with another block than two operators stops detection and says so, and the others go on', async () => {
  const { sim, odd, honest, c } = await oddWorld();
  const users = usersOf('served', 2);
  for (const who of users) await userAt(sim, honest[0], who).register();
  await sim.until(() => holdsAll(c, sim, users), 10);
  // Anchors come into the blocks of the one chain and not of the other: from there on all hashes differ.
  for (let block = 0; block < 30; block++) {
    sim.devnet.advance(1);
    odd.advance(1);
    await sim.clock.advance(3_000);
  }
  await sim.until(() => c.logged('chain-disagreement', 'height').length > 0, 60);
  odd.advance(2);
  await sim.until(() => c.logged('detection-held').length > 0, 60);
  expect(c.node.service.readiness().reasons.join()).toContain('detection waits (chain-disagreement)');
  const stopped = c.node.service.node().heights.detected;
  sim.devnet.advance(5);
  odd.advance(5);
  await sim.clock.advance(20_000);
  expect(c.node.service.node().heights.detected).toBe(stopped);
  for (const machine of honest) {
    expect(machine.ready).toBe(true);
    expect(machine.logged('chain-disagreement', 'height')).toEqual([]);
    expect(machine.node.service.node().heights.detected).toBe(sim.devnet.tip);
  }
  // What it found before is served on.
  expect(await userAt(sim, c, users[0]!).read()).toBeDefined();
});

it('a node that waits for others to agree says that its chain endpoint has ended the index meanwhile', async () => {
  const { sim, odd, c } = await oddWorld();
  for (let block = 0; block < 30; block++) {
    sim.devnet.advance(1);
    odd.advance(1);
    await sim.clock.advance(3_000);
  }
  await sim.until(() => c.logged('detection-held').length > 0, 60);
  const { tip } = odd;
  odd.fault({ reset: true });
  odd.advance(tip - odd.tip);
  await sim.until(() => c.logged('indexer-stopped', 'reason').length > 0, 60);
  const { ready, reasons } = c.node.service.readiness();
  expect(ready).toBe(false);
  expect(reasons[0]).toMatch(/^detection stopped \((chain-disagreement|went-backwards)\)/);
  expect(c.node.stats().detection.stopped).toBe(true);
});

/** The same chain, but for the hash that an endpoint gives the block of a height, also as the parent of the next. */
function withOtherHash(honest: Devnet, height: number): Devnet {
  const { signal } = new AbortController();
  let hash: string | undefined;
  async function findHash(): Promise<void> {
    if (hash !== undefined || honest.tip < height) return;
    const { body } = await honest.answer({ method: 'GET', target: `/block?height=${height}` }, { signal });
    hash = JSON.parse(fromUtf8(body)).result.block_id.hash;
  }
  const answer: Devnet['answer'] = async (request, options) => {
    await findHash();
    const response = await honest.answer(request, options);
    if (hash === undefined) return response;
    return { ...response, body: utf8(fromUtf8(response.body).replaceAll(hash, [...hash].reverse().join(''))) };
  };
  return { ...honest, answer, transport: (name = 'odd') => ({ name, request: answer }) };
}

it('detection goes on where it stopped once most operators have the same block again', async () => {
  const { sim, honest, c } = await oddWorld((chain) => withOtherHash(chain, 1_024));
  const [who] = usersOf('resumed', 1) as [ReturnType<typeof usersOf>[0]];
  await userAt(sim, honest[0], who).register();
  for (let block = 0; block < 10; block++) {
    sim.devnet.advance(1);
    await sim.clock.advance(5_000);
  }
  expect(c.logged('chain-disagreement', 'height')).toEqual([1_024]);
  expect(c.node.service.node().heights.detected).toBeLessThan(sim.devnet.tip);
  for (let block = 0; block < 15; block++) {
    sim.devnet.advance(1);
    await sim.clock.advance(5_000);
  }
  expect(c.logged('chain-agreement')).toHaveLength(1);
  expect(c.logged('detection-resumed')).toHaveLength(1);
  await sim.until(() => c.node.service.node().heights.detected === sim.devnet.tip, 20);
  expect(c.node.service.readiness().reasons.join()).not.toContain('chain-disagreement');
  expect(await userAt(sim, c, who).read()).toEqual(await userAt(sim, honest[0], who).read());
});
