import { describe, expect, it } from 'vitest';
import { ed25519PublicKey, ed25519Sign, sha256 } from '#crypto';
import { toHex, utf8 } from '../../../../src/core/bytes.ts';
import { encodeStatement } from '../../../../src/replication/index.ts';
import {
  agree,
  clusterId,
  createRosterWorld,
  type RosterNode,
  rosterIdentity,
  rosterOf,
  signedBy,
} from '../../../support/roster.ts';

const MINUTE = 60_000;

async function cluster(size: number, options: Parameters<typeof createRosterWorld>[0] = {}) {
  const world = createRosterWorld(options);
  const nodes: RosterNode[] = [await world.add(rosterIdentity('0'), { mayFound: true })];
  for (let n = 1; n < size; n++) nodes.push(await world.add(rosterIdentity(String(n))));
  await world.clock.advance(MINUTE);
  return { world, nodes };
}

describe('a roster between keepers', () => {
  it.each([2, 3, 4, 6])('is founded by a pair and joined by the rest, %i nodes', async (size) => {
    const { world, nodes } = await cluster(size);
    expect(agree(...nodes)).toBe(true);
    expect(nodes.map(({ keeper }) => keeper.view().self)).toEqual(nodes.map(() => 'member'));
    const hashes = nodes.map(({ keeper }) => toHex(keeper.view().rosterHash));
    expect(new Set(hashes).size).toBe(1);
    await world.stop();
  });

  it('waits where nobody may found', async () => {
    const world = createRosterWorld();
    const nodes = [await world.add(rosterIdentity('a')), await world.add(rosterIdentity('b'))];
    await world.clock.advance(MINUTE);
    expect(nodes.map(({ keeper }) => keeper.view().self)).toEqual(['waiting', 'waiting']);
    expect(nodes.map(rosterOf)).toEqual([[], []]);
    await world.stop();
  });

  it('has one genesis when both may found', async () => {
    const world = createRosterWorld();
    const nodes = [];
    for (const name of ['a', 'b', 'c']) nodes.push(await world.add(rosterIdentity(name), { mayFound: true }));
    await world.clock.advance(MINUTE);
    expect(agree(...nodes)).toBe(true);
    expect(nodes.flatMap(({ reports }) => reports.filter(({ kind }) => kind === 'other-genesis'))).toEqual([]);
    await world.stop();
  });

  it.each(['1', '2', '3', '4'])('converges over a network that loses and reorders, seed %s', async (seed) => {
    const { world, nodes } = await cluster(6, { seed, loss: 0.2, delayMsMax: 200 });
    world.setFaults({ loss: 0.2, delayMsMax: 200 });
    await world.clock.advance(5 * MINUTE);
    expect(agree(...nodes)).toBe(true);
    await world.stop();
  });

  it('grows from two to six one by one, and back', async () => {
    const { world, nodes } = await cluster(2);
    for (const name of ['2', '3', '4', '5']) {
      nodes.push(await world.add(rosterIdentity(name)));
      await world.clock.advance(MINUTE);
      expect(agree(...nodes)).toBe(true);
    }
    while (nodes.length > 2) {
      const last = nodes.pop()!;
      const left = last.keeper.leave();
      expect(await world.clock.settle(left)).toEqual({ kind: 'done' });
      world.crash(last);
      await world.clock.advance(MINUTE);
      expect(agree(...nodes)).toBe(true);
    }
    await world.stop();
  });

  it('is not left by a word that nobody heard, and is by one that is said again', async () => {
    const { world, nodes } = await cluster(3);
    const last = nodes.pop()!;
    world.setFaults({ loss: 1 });
    expect(await world.clock.settle(last.keeper.leave())).toMatchObject({ kind: 'not-yet', reason: 'nobody-heard' });
    expect(nodes.map((node) => rosterOf(node).length)).toEqual([3, 3]);
    world.setFaults({ loss: 0 });
    expect(await world.clock.settle(last.keeper.leave())).toEqual({ kind: 'done' });
    world.crash(last);
    await world.clock.advance(MINUTE);
    expect(nodes.map((node) => rosterOf(node).length)).toEqual([2, 2]);
    await world.stop();
  });

  it('is not left while the only nodes that would hear of it are no members', async () => {
    const { world, nodes } = await cluster(3);
    const last = nodes.pop()!;
    for (const node of nodes) world.crash(node);
    const stranger = await world.add(rosterIdentity('stranger'));
    await world.clock.advance(5_000);
    const refused = await world.clock.settle(last.keeper.leave());
    expect(refused).toMatchObject({ kind: 'not-yet', reason: 'nobody-connected' });
    expect(last.keeper.view().self).toBe('member');
    expect(rosterOf(last)).toHaveLength(3);
    world.crash(stranger);
    for (const node of nodes) await world.start(node);
    await world.clock.advance(MINUTE);
    expect(await world.clock.settle(last.keeper.leave())).toEqual({ kind: 'done' });
    await world.stop();
  });

  it('is the same after every node restarted at once, without a word to anybody', async () => {
    const { world, nodes } = await cluster(4);
    const before = rosterOf(nodes[0]!);
    for (const node of nodes) world.crash(node);
    for (const node of nodes) await world.start(node);
    expect(nodes.map(rosterOf)).toEqual(nodes.map(() => before));
    expect(nodes.map(({ keeper }) => keeper.view().self)).toEqual(nodes.map(() => 'member'));
    await world.stop();
  });

  it.each([2, 3, 4])('gives the place of a wiped node to its new id on the same platform, %i nodes', async (size) => {
    const { world, nodes } = await cluster(size);
    const wiped = nodes.pop()!;
    world.crash(wiped);
    await world.clock.advance(MINUTE);
    expect(rosterOf(nodes[0]!)).toHaveLength(size);
    const back = await world.add(rosterIdentity('wiped', String(size - 1)));
    await world.clock.advance(MINUTE);
    expect(agree(...nodes, back)).toBe(true);
    await world.stop();
  });

  it('does not replace a member that is connected', async () => {
    const { world, nodes } = await cluster(3);
    const twin = await world.add(rosterIdentity('twin', '2'));
    await world.clock.advance(MINUTE);
    expect(agree(...nodes)).toBe(true);
    const words = twin.reports.flatMap((report) => (report.kind === 'not-joined' ? report.outcome.words : []));
    expect(words.map(({ word }) => word)).toContain('replaced-is-connected');
    await world.stop();
  });

  it('does not grow by a minority', async () => {
    const { world, nodes } = await cluster(4);
    world.crash(nodes[2]!);
    world.crash(nodes[3]!);
    const late = await world.add(rosterIdentity('late'));
    await world.clock.advance(5 * MINUTE);
    expect(late.keeper.view().self).toBe('joining');
    expect(rosterOf(nodes[0]!)).toHaveLength(4);
    await world.start(nodes[2]!);
    await world.clock.advance(MINUTE);
    expect(late.keeper.view().self).toBe('member');
    await world.start(nodes[3]!);
    await world.clock.advance(MINUTE);
    expect(agree(...nodes, late)).toBe(true);
    await world.stop();
  });

  it('heals after a partition in which one side grew, however long it took', async () => {
    const { world, nodes } = await cluster(5);
    const [lone, ...rest] = nodes as [RosterNode, ...RosterNode[]];
    for (const other of rest) world.setCut(lone, other, true);
    const joined = [];
    for (const name of ['x', 'y']) {
      const node = await world.add(rosterIdentity(name));
      world.setCut(lone, node, true);
      joined.push(node);
      await world.clock.advance(MINUTE);
      world.rise(5_000);
    }
    expect(agree(...rest, lone, ...joined)).toBe(false);
    for (const other of [...rest, ...joined]) world.setCut(lone, other, false);
    await world.clock.advance(MINUTE);
    expect(agree(...nodes, ...joined)).toBe(true);
    await world.stop();
  });

  it('says loudly that two clusters were founded under one id', async () => {
    const world = createRosterWorld();
    const first = [await world.add(rosterIdentity('a'), { mayFound: true }), await world.add(rosterIdentity('b'))];
    await world.clock.advance(MINUTE);
    const second = [];
    for (const name of ['c', 'd']) {
      const node = await world.add(rosterIdentity(name), { mayFound: name === 'c' });
      for (const other of first) world.setCut(node, other, true);
      second.push(node);
    }
    // They may have adopted the first genesis before they were cut off: wipe them.
    for (const node of second) {
      world.crash(node);
      node.stored.clear();
    }
    for (const node of second) await world.start(node, { mayFound: true });
    await world.clock.advance(MINUTE);
    expect(agree(...second)).toBe(true);
    for (const one of first) for (const other of second) world.setCut(one, other, false);
    await world.clock.advance(MINUTE);
    expect(agree(...first)).toBe(true);
    expect(agree(...second)).toBe(true);
    for (const node of [...first, ...second]) {
      expect(node.reports.map(({ kind }) => kind)).toContain('other-genesis');
    }
    await world.stop();
  });

  it('keeps a second founder’s genesis when the first crashes before it hears the answer', async () => {
    for (const afterMs of [0, 1, 2, 3, 4, 5, 6, 8, 10]) {
      const world = createRosterWorld();
      const second = await world.add(rosterIdentity('b'));
      const first = await world.add(rosterIdentity('a'), { mayFound: true });
      await world.clock.advance(afterMs);
      world.crash(first);
      await world.clock.advance(10_000);
      await world.start(first, { mayFound: true });
      await world.clock.advance(MINUTE);
      expect(agree(first, second)).toBe(true);
      expect([...first.reports, ...second.reports].filter(({ kind }) => kind === 'other-genesis')).toEqual([]);
      await world.stop();
    }
  });

  it('is founded with another node when the one it was proposed to is gone', async () => {
    const world = createRosterWorld({ delayMsMax: 100 });
    const gone = await world.add(rosterIdentity('gone'));
    const first = await world.add(rosterIdentity('a'), { mayFound: true });
    await world.clock.advance(1);
    world.crash(gone);
    const other = await world.add(rosterIdentity('b'));
    await world.clock.advance(3 * MINUTE);
    expect(agree(first, other)).toBe(true);
    await world.stop();
  });

  it('is one node where the configuration allows it, and grows from there', async () => {
    const world = createRosterWorld({ allowUnbacked: true });
    const first = await world.add(rosterIdentity('a'), { mayFound: true });
    await world.clock.advance(1_000);
    expect(agree(first)).toBe(true);
    const second = await world.add(rosterIdentity('b'));
    await world.clock.advance(MINUTE);
    expect(agree(first, second)).toBe(true);
    await world.stop();
  });

  it('takes in several at once that all need the same members', async () => {
    const { world, nodes } = await cluster(3);
    const more = await Promise.all(['p', 'q', 'r'].map((name) => world.add(rosterIdentity(name))));
    await world.clock.advance(2 * MINUTE);
    expect(agree(...nodes, ...more)).toBe(true);
    await world.stop();
  });

  it.each(['1', '2', '3'])('survives crashes and restarts over a troubled network, seed %s', async (seed) => {
    const { world, nodes } = await cluster(5, { seed, loss: 0.1, delayMsMax: 100 });
    for (let i = 0; i < 20; i++) {
      const node = nodes[world.random.bytes(1)[0]! % nodes.length]!;
      world.crash(node);
      await world.clock.advance(world.random.bytes(1)[0]! * 20);
      await world.start(node, { mayFound: node === nodes[0] });
      await world.clock.advance(world.random.bytes(1)[0]! * 20);
      world.rise(100);
    }
    await world.clock.advance(3 * MINUTE);
    expect(agree(...nodes)).toBe(true);
    await world.stop();
  });
});

describe('an eviction', () => {
  it('happens when a majority of the members was told to, and the node does not come back by itself', async () => {
    const { world, nodes } = await cluster(3);
    const [one, two, bad] = nodes as [RosterNode, RosterNode, RosterNode];
    const first = await world.clock.settle(one.keeper.evict(bad.identity.nodeId));
    expect(first).toMatchObject({ kind: 'not-yet', reason: 'no-majority' });
    expect(rosterOf(one)).toHaveLength(3);
    // The first agreed a moment ago to its own proposal, at another height: the second waits that out.
    await world.clock.advance(20_000);
    expect(await world.clock.settle(two.keeper.evict(bad.identity.nodeId))).toEqual({ kind: 'done' });
    await world.clock.advance(MINUTE);
    expect(agree(one, two)).toBe(true);
    expect(bad.keeper.view().self).toBe('removed');
    const again = await world.add(rosterIdentity('bad again', '2'));
    await world.clock.advance(MINUTE);
    expect(again.keeper.view().self).toBe('joining');
    for (const node of [one, two]) node.keeper.readmit(again.identity.platform);
    await world.clock.advance(MINUTE);
    expect(agree(one, two, again)).toBe(true);
    await world.stop();
  });

  it('is refused for who is no member', async () => {
    const { world, nodes } = await cluster(2);
    await expect(nodes[0]!.keeper.evict(rosterIdentity('x').nodeId)).rejects.toMatchObject({ code: 'not-a-member' });
    await world.stop();
  });
});

describe('an operator', () => {
  it('takes a node off the roster, which does not ask to come back', async () => {
    const { world, nodes } = await cluster(3);
    const bad = nodes[2]!;
    const secret = sha256(utf8('operator'));
    world.operatorKeys.set(bad.identity.operator, [ed25519PublicKey(secret)]);
    const { nodeId } = bad.identity;
    const joinId = nodes[0]!.keeper.placeOf(nodeId)!;
    const genesisId = nodes[0]!.keeper.view().genesisId!;
    const leave = signedBy({ kind: 'leave', clusterId, genesisId, nodeId, joinId, reason: 'operator' }, { secret });
    expect(await nodes[0]!.keeper.submit(encodeStatement(leave))).toBeUndefined();
    await world.clock.advance(MINUTE);
    expect(agree(nodes[0]!, nodes[1]!)).toBe(true);
    expect(bad.keeper.view().self).toBe('removed');
    await world.stop();
  });
});

describe('a node that had another id', () => {
  const signAs = (secret: Uint8Array) => (message: Uint8Array) => ed25519Sign(secret, message);

  it('leaves under the old one with that one’s key, everywhere and once', async () => {
    const { world, nodes } = await cluster(3);
    const old = nodes.pop()!;
    world.crash(old);
    const { nodeId, secret } = old.identity;
    const moved = await world.add(rosterIdentity('moved'));
    await world.clock.advance(MINUTE);
    expect(rosterOf(moved)).toHaveLength(4);
    expect(await world.clock.settle(moved.keeper.leaveFor(nodeId, signAs(secret)))).toEqual({ kind: 'done' });
    await world.clock.advance(1_000);
    expect(agree(...nodes, moved)).toBe(true);
    const held = moved.stored.size;
    expect(await world.clock.settle(moved.keeper.leaveFor(nodeId, signAs(secret)))).toEqual({ kind: 'done' });
    expect(moved.stored.size).toBe(held);
    await world.stop();
  });

  it('leaves under it also when it has taken that place itself', async () => {
    const { world, nodes } = await cluster(3);
    const old = nodes.pop()!;
    world.crash(old);
    const fresh = await world.add(rosterIdentity('fresh', '2'));
    await world.clock.advance(MINUTE);
    const { nodeId, secret } = old.identity;
    expect(await world.clock.settle(fresh.keeper.leaveFor(nodeId, signAs(secret)))).toEqual({ kind: 'done' });
    await world.clock.advance(1_000);
    expect(agree(...nodes, fresh)).toBe(true);
    await world.stop();
  });

  it('cannot leave for another, nor for one that never was, nor for itself', async () => {
    const { world, nodes } = await cluster(3);
    const [one, two] = nodes.map(({ identity }) => identity) as [RosterNode['identity'], RosterNode['identity']];
    const { keeper } = nodes[0]!;
    const forged = await world.clock.settle(keeper.leaveFor(two.nodeId, signAs(one.secret)));
    expect(forged).toMatchObject({ kind: 'not-yet', reason: 'bad-signature' });
    const never = rosterIdentity('never');
    const unknown = await world.clock.settle(keeper.leaveFor(never.nodeId, signAs(never.secret)));
    expect(unknown).toMatchObject({ kind: 'not-yet', reason: 'not-a-member' });
    await expect(keeper.leaveFor(one.nodeId, signAs(one.secret))).rejects.toMatchObject({ code: 'own-id' });
    expect(agree(...nodes)).toBe(true);
    await world.stop();
  });
});

describe('what a node tells of its roster', () => {
  it('has earlier rosters by hash, with the heights they were held at, also after a restart', async () => {
    const { world, nodes } = await cluster(2);
    const early = nodes[0]!.keeper.view().rosterHash;
    world.rise(300);
    nodes.push(await world.add(rosterIdentity('2')));
    await world.clock.advance(MINUTE);
    world.crash(nodes[0]!);
    await world.start(nodes[0]!);
    const { keeper } = nodes[0]!;
    expect(keeper.byHash(early)).toMatchObject({ members: { length: 2 }, untilHeight: 800 });
    expect(keeper.byHash(keeper.view().rosterHash)?.members).toHaveLength(3);
    expect(keeper.byHash(new Uint8Array(32))).toBeUndefined();
    const [pair, three] = keeper.history().slice(-2);
    expect(pair).toMatchObject({ rosterHash: early, fromHeight: 500, untilHeight: 800 });
    expect(three).toMatchObject({ fromHeight: 800, untilHeight: undefined });
    await world.stop();
  });

  it('counts nothing that its store did not take', async () => {
    const { world, nodes } = await cluster(2);
    nodes[0]!.diskFails = true;
    const late = await world.add(rosterIdentity('late'));
    await world.clock.advance(MINUTE);
    expect(rosterOf(nodes[0]!)).toHaveLength(2);
    expect(agree(nodes[1]!, late)).toBe(false);
    nodes[0]!.diskFails = false;
    await world.clock.advance(MINUTE);
    expect(agree(...nodes, late)).toBe(true);
    await world.stop();
  });

  it('refuses to start from a store that was tampered with', async () => {
    const { world, nodes } = await cluster(3);
    const node = nodes[0]!;
    world.crash(node);
    node.stored.delete([...node.stored.keys()][0]!);
    await expect(world.start(node)).rejects.toMatchObject({ code: 'roster-corrupt' });
    await world.stop();
  });
});
