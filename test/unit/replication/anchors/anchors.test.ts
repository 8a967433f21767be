// Members on one chain, in virtual time: what is anchored, what a node that was away finds, what outages change.

import { afterEach, describe, expect, it } from 'vitest';
import { readAnchorText } from '../../../../src/replication/anchors/anchor.ts';
import { decodeLogKey, encodeLogKey, newLogKey } from '../../../../src/replication/anchors/log-key.ts';
import { decodeRequest } from '../../../../src/replication/anchors/messages.ts';
import { type AnchorNode, type AnchorWorld, bodyOf, createAnchorWorld, told } from '../../../support/anchor-world.ts';
import { clusterId } from '../../../support/registration.ts';
import { seededRandom } from '../../../support/seeded-random.ts';

let world: AnchorWorld;
afterEach(() => world?.end());

async function cluster(options: Parameters<typeof createAnchorWorld>[0] = {}): Promise<AnchorNode[]> {
  world = createAnchorWorld(options);
  await world.begin();
  await world.mine(2);
  return world.nodes;
}

const register = (nodes: readonly AnchorNode[], from: number, count: number) => {
  const bodies = Array.from({ length: count }, (_, i) => bodyOf(from + i));
  for (const node of nodes) node.replica.give(...bodies);
  return bodies;
};

const anchorsOnChain = () => world.texts().map((text) => readAnchorText(clusterId, text)!);

describe('anchors of a cluster', () => {
  it('come once an epoch, in one size, whether or not anybody registered', async () => {
    const nodes = await cluster();
    await world.mine(100);
    register(nodes, 0, 20);
    await world.mine(100);
    const anchors = anchorsOnChain();
    expect(anchors.map(({ epoch }) => epoch)).toEqual(Array.from({ length: 11 }, (_, i) => 50 + i));
    expect(new Set(anchors.map(({ tags, seq }) => `${tags.length} ${seq}`))).toEqual(new Set(['512 0']));
    for (const { anchors: part } of nodes) {
      expect(part.status()).toMatchObject({ pending: 0, wanted: 0, reasons: [], anchored: 1_200 });
    }
    expect(nodes.flatMap((node) => told(node, 'wrong-root'))).toEqual([]);
  });

  it('name more than 32 operations in 512 tags, and more than 512 in further anchors of the epoch', async () => {
    const nodes = await cluster();
    await world.mine(22);
    register(nodes, 0, 600);
    await world.mine(25);
    const sizes = anchorsOnChain().map(({ epoch, seq, tags }) => [epoch, seq, tags.length / 16]);
    expect(sizes.filter(([, , size]) => size === 512)).toHaveLength(2);
    expect(sizes.filter(([, seq]) => seq === 1)).toHaveLength(1);
    expect(nodes.map(({ anchors }) => anchors.status().pending)).toEqual([0, 0, 0]);
  });

  it('tell a node that was away exactly what it misses, and members give it by tag', async () => {
    const nodes = await cluster();
    const [a, b, away] = nodes as [AnchorNode, AnchorNode, AnchorNode];
    register(nodes, 0, 5);
    await world.mine(40);
    await world.stop(away);
    const missed = register([a, b], 100, 45);
    await world.mine(60);
    // Its sync pulls nothing at all in this test: what comes, comes by anchors.
    for (const other of [a, b]) world.setCut(away, other, true);
    await world.start(away);
    await world.mine(2);
    expect(away.anchors.wantedTags()).toHaveLength(45);
    expect(away.replica.held.size).toBe(5);
    for (const other of [a, b]) world.setCut(away, other, false);
    await world.mine(20);
    expect([...away.replica.held.keys()].slice(5).sort()).toEqual(missed.map(({ ref }) => ref.opId).sort());
    expect(away.anchors.status()).toMatchObject({ wanted: 0, pending: 0 });
    expect(told(away, 'wrong-root')).toEqual([]);
    expect([a, b].some((node) => node.asked.some(({ payload }) => decodeRequest(payload).kind === 'tags'))).toBe(true);
  });

  it('keep what is wanted over a restart, and look for it until somebody has it', async () => {
    const nodes = await cluster();
    const [a, b, away] = nodes as [AnchorNode, AnchorNode, AnchorNode];
    await world.mine(20);
    await world.stop(away);
    register([a, b], 100, 3);
    await world.mine(41);
    for (const other of [a, b]) world.setCut(away, other, true);
    await world.start(away);
    await world.mine(80);
    expect(away.anchors.status().wanted).toBe(3);
    await world.stop(away);
    await world.start(away);
    expect(away.anchors.status().wanted).toBe(3);
    for (const other of [a, b]) world.setCut(away, other, false);
    await world.mine(20);
    expect(away.anchors.status()).toMatchObject({ wanted: 0, pending: 0 });
    expect(away.replica.held.size).toBe(3);
  });

  it('leave nothing wanted that sync brings a little later than its anchor', async () => {
    const nodes = await cluster();
    const [a, b, slow] = nodes as [AnchorNode, AnchorNode, AnchorNode];
    for (const other of [a, b]) world.setCut(slow, other, true);
    const bodies = register([a, b], 0, 4);
    await world.mine(40);
    expect(slow.anchors.status().wanted).toBe(4);
    slow.replica.give(...bodies);
    await world.mine(1);
    expect(slow.anchors.status()).toMatchObject({ wanted: 0, pending: 0 });
  });

  it('give up what a quorum of the others says nobody needs, and not what one says', async () => {
    const nodes = await cluster();
    const [a, b, away] = nodes as [AnchorNode, AnchorNode, AnchorNode];
    await world.mine(20);
    await world.stop(away);
    const [body] = register([a, b], 0, 1);
    await world.mine(40);
    for (const node of [a, b]) node.replica.gone.add(body!.ref.opId);
    world.setCut(away, b, true);
    await world.start(away);
    await world.mine(60);
    expect(away.anchors.status().wanted).toBe(1);
    world.setCut(away, b, false);
    await world.mine(20);
    expect(away.anchors.status().wanted).toBe(0);
    expect(told(away, 'given-up')).toEqual([{ kind: 'given-up', tags: 1, why: 'gone' }]);
  });

  it('go on when the endpoint of one proposer takes nothing, and when one member is gone', async () => {
    const nodes = await cluster();
    nodes[0]!.sends = false;
    await world.stop(nodes[1]!);
    register([nodes[0]!, nodes[2]!], 0, 3);
    await world.mine(120);
    expect(anchorsOnChain().length).toBeGreaterThanOrEqual(6);
    expect(nodes[2]!.anchors.status()).toMatchObject({ pending: 0 });
    expect(told(nodes[0]!, 'send-failed').length).toBeGreaterThan(0);
  });

  it('stop without a quorum, say so, keep operations for later, and go on with it', async () => {
    const nodes = await cluster();
    await world.stop(nodes[1]!);
    await world.stop(nodes[2]!);
    register([nodes[0]!], 0, 3);
    await world.mine(120);
    expect(nodes[0]!.anchors.status()).toMatchObject({ pending: 3 });
    expect(nodes[0]!.anchors.status().reasons).toEqual(expect.arrayContaining(['no-anchors', 'no-quorum']));
    await world.start(nodes[1]!);
    nodes[1]!.replica.give(...[0, 1, 2].map(bodyOf));
    await world.mine(40);
    expect(nodes[0]!.anchors.status()).toMatchObject({ pending: 0, reasons: [] });
  });

  it('propose again what a censored or lost anchor carried', async () => {
    const nodes = await cluster();
    register(nodes, 0, 3);
    for (let i = 0; i < 30; i++) {
      world.dropMempool();
      await world.mine(1);
    }
    world.dropMempool();
    expect(nodes[0]!.anchors.status()).toMatchObject({ pending: 3 });
    await world.mine(30);
    expect(nodes.map(({ anchors }) => anchors.status().pending)).toEqual([0, 0, 0]);
  });

  it('are not signed by a node that may give no word about what it holds', async () => {
    const nodes = await cluster();
    for (const node of nodes.slice(1)) node.mayAttest = false;
    await world.mine(30);
    const before = anchorsOnChain().length;
    await world.mine(60);
    expect(anchorsOnChain().length).toBe(before);
    const words = nodes.flatMap((node) => told(node, 'no-quorum')).flatMap((event) => event.words);
    expect(words).toContain('rollback');
  });

  it('name operations that some members hold only once they can have them', async () => {
    const nodes = await cluster();
    register([nodes[0]!], 0, 4);
    await world.mine(60);
    // The proposer that has them names them; the others get them from it and sign.
    expect(nodes.map(({ replica }) => replica.held.size).filter((size) => size === 4).length).toBeGreaterThanOrEqual(2);
    expect(nodes[0]!.anchors.status().pending).toBe(0);
  });

  it('are exchanged by members where there is no chain', async () => {
    const nodes = await cluster({ chain: false });
    const [a, b, away] = nodes as [AnchorNode, AnchorNode, AnchorNode];
    await world.mine(20);
    await world.stop(away);
    register([a, b], 0, 40);
    await world.mine(80);
    expect(a.anchors.status()).toMatchObject({ pending: 0 });
    await world.start(away);
    await world.mine(20);
    expect(away.replica.held.size).toBe(40);
    expect(away.anchors.status()).toMatchObject({ wanted: 0, pending: 0, reasons: [] });
    expect(away.anchors.status().epoch).toBe(a.anchors.status().epoch);
  });

  it('work for one node alone, and for members that join later', async () => {
    const [first] = (await cluster({ count: 1 })) as [AnchorNode];
    register([first], 0, 3);
    await world.mine(30);
    expect(first.anchors.status()).toMatchObject({ pending: 0 });
    const second = await world.add('second');
    second.replica.give(...[0, 1, 2].map(bodyOf));
    await world.start(second);
    await world.mine(60);
    // What was anchored before it came is not proposed again.
    const proposed = [first, second].flatMap((node) => told(node, 'proposed'));
    expect(proposed.reduce((sum, { operations }) => sum + operations, 0)).toBe(3);
    expect(second.anchors.status()).toMatchObject({ pending: 0, wanted: 0, reasons: [] });
  });

  it('name nothing again when a new member gets old operations late', async () => {
    const [first, other] = (await cluster({ count: 2 })) as [AnchorNode, AnchorNode];
    const bodies = register([first, other], 0, 3);
    await world.mine(30);
    expect(first.anchors.status()).toMatchObject({ pending: 0 });
    const late = await world.add('late');
    await world.start(late);
    await world.mine(20);
    late.replica.give(...bodies);
    expect(late.anchors.status()).toMatchObject({ pending: 0, wanted: 0 });
    await world.stop(late);
    await world.start(late);
    expect(late.anchors.status()).toMatchObject({ pending: 0, wanted: 0 });
  });

  it('wait for a log key as long as a member that may have one is away', async () => {
    world = createAnchorWorld();
    for (const name of ['a', 'b', 'c']) await world.add(name);
    const [a, b, c] = world.nodes as [AnchorNode, AnchorNode, AnchorNode];
    c.up = false;
    await world.mine(1);
    for (const node of [a, b]) await world.start(node);
    await world.mine(100);
    expect(world.texts()).toEqual([]);
    expect(a.anchors.status().reasons).toContain('no-log-key');
    await world.start(c);
    await world.mine(30);
    expect(world.nodes.flatMap((node) => told(node, 'log-key-made'))).toHaveLength(1);
    for (const { anchors } of world.nodes) expect(anchors.status().reasons).toEqual([]);
  });

  it('go on with one log key when two were made', async () => {
    world = createAnchorWorld();
    for (const name of ['a', 'b', 'c']) await world.add(name);
    await world.mine(1);
    for (const [i, node] of world.nodes.entries()) {
      const record = newLogKey(seededRandom(`key of ${i}`), world.genesisId, 45 + (i % 2));
      node.disk.set('6b0000000000000000', Uint8Array.from(encodeLogKey(record)));
      await world.start(node);
    }
    register(world.nodes, 0, 3);
    await world.mine(200);
    const lineages = world.nodes.map(({ disk }) => decodeLogKey(disk.get('6b0000000000000000')!).lineage.join());
    expect(new Set(lineages).size).toBe(1);
    expect(world.nodes.map(({ anchors }) => anchors.status().pending)).toEqual([0, 0, 0]);
  });

  it('leave a captured node without a key to old tags', async () => {
    const nodes = await cluster();
    register(nodes, 0, 3);
    await world.mine(140);
    const records = [...nodes[0]!.disk].filter(([key]) => key.startsWith('6b'));
    expect(records).toHaveLength(1);
    // All that is anchored was anchored in epochs before the only key there is.
    const named = told(nodes[0]!, 'accepted').filter(({ operations }) => operations !== 0);
    expect(named.length).toBeGreaterThan(0);
    for (const { epoch } of named) expect(epoch).toBeLessThan(decodeLogKey(records[0]![1]).epoch);
  });
});
