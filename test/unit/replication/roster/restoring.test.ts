import { describe, expect, it } from 'vitest';
import { ed25519PublicKey, ed25519Sign, sha256 } from '#crypto';
import { utf8 } from '../../../../src/core/bytes.ts';
import type { NodeId } from '../../../../src/core/ids.ts';
import { decodeRosterAnswer, decodeRosterRequest } from '../../../../src/replication/roster/messages.ts';
import {
  decodeBody,
  decodeStatement,
  encodeStatement,
  type Leave,
} from '../../../../src/replication/roster/statements.ts';
import {
  agree,
  clusterId,
  createRosterWorld,
  entryOf,
  type NetworkFaults,
  type RosterNode,
  rosterIdentity,
  rosterOf,
  signedBy,
} from '../../../support/roster.ts';

const MINUTE = 60_000;

async function cluster(size: number, options: NetworkFaults & { seed?: string } = {}) {
  const world = createRosterWorld(options);
  const nodes: RosterNode[] = [await world.add(rosterIdentity('0'), { mayFound: true })];
  for (let n = 1; n < size; n++) nodes.push(await world.add(rosterIdentity(String(n))));
  await world.clock.advance(MINUTE);
  expect(agree(...nodes)).toBe(true);
  /** Nodes of these numbers lose their disks, all at the same moment. */
  const lose = (...lost: number[]) => {
    for (const n of lost) world.crash(nodes[n]!);
  };
  /** They begin again on their platforms, under fresh ids. */
  const comeBack = async (...lost: number[]) => {
    const back = [];
    for (const n of lost) back.push(await world.add(rosterIdentity(`${n} again`, String(n))));
    return back;
  };
  return { world, nodes, lose, comeBack };
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);
const kinds = ({ stored }: RosterNode) => [...stored.values()].map((one) => decodeStatement(one.statement).body.kind);

/** How many signatures under restores these nodes have given when asked. */
function countSigned(nodes: readonly RosterNode[]): () => number {
  let signed = 0;
  for (const { keeper } of nodes) {
    const { handle } = keeper;
    keeper.handle = async (peer, payload) => {
      const answer = await handle.call(keeper, peer, payload);
      const request = decodeRosterRequest(payload);
      const isRestore = request.kind === 'sign' && decodeBody(request.body).kind === 'restore';
      if (isRestore && decodeRosterAnswer(answer).kind === 'signed') signed++;
      return answer;
    };
  }
  return () => signed;
}

/** The leave by which its operator ends the place of a node. */
const leaveByOperator = ({ keeper }: RosterNode, nodeId: NodeId): Leave => ({
  kind: 'leave',
  clusterId,
  genesisId: keeper.view().genesisId!,
  nodeId,
  joinId: keeper.placeOf(nodeId)!,
  reason: 'operator',
});

describe('a roster of which no majority is left', () => {
  it.each([
    [3, 1],
    [4, 1],
    [4, 2],
    [5, 1],
    [5, 2],
    [7, 3],
  ])('of %i nodes restores itself when %i kept their ids and all others are back', async (size, left) => {
    const { world, nodes, lose, comeBack } = await cluster(size);
    const lost = numbers(left, size);
    lose(...lost);
    await world.clock.advance(20_000);
    const back = await comeBack(...lost);
    await world.clock.advance(5_000);
    const whole = [...nodes.slice(0, left), ...back];
    expect(agree(...whole)).toBe(true);
    expect(whole.map(({ keeper }) => keeper.view().self)).toEqual(whole.map(() => 'member'));
    expect(whole.map((node) => kinds(node).filter((kind) => kind === 'restore').length)).toEqual(whole.map(() => 1));
    await world.stop();
  });

  it('uses joins while a majority is left, and for a pair', async () => {
    for (const [size, lost] of [
      [5, [3, 4]],
      [2, [1]],
    ] as const) {
      const { world, nodes, lose, comeBack } = await cluster(size);
      lose(...lost);
      const back = await comeBack(...lost);
      await world.clock.advance(MINUTE);
      const whole = [...nodes.slice(0, size - lost.length), ...back];
      expect(agree(...whole)).toBe(true);
      expect(kinds(nodes[0]!)).not.toContain('restore');
      await world.stop();
    }
  });

  it('waits for the one that does not come back, and says for whom', async () => {
    const { world, nodes, lose, comeBack } = await cluster(5);
    const before = rosterOf(nodes[0]!);
    lose(2, 3, 4);
    const back = await comeBack(2, 3);
    await world.clock.advance(5 * MINUTE);
    expect(rosterOf(nodes[0]!)).toEqual(before);
    const missing = [entryOf(nodes[4]!.identity)];
    for (const node of [nodes[0]!, nodes[1]!, ...back]) {
      expect(node.keeper.view().missing.map(entryOf)).toEqual(missing);
    }
    const late = await comeBack(4);
    await world.clock.advance(MINUTE);
    const whole = [nodes[0]!, nodes[1]!, ...back, ...late];
    expect(agree(...whole)).toBe(true);
    expect(whole.flatMap(({ keeper }) => keeper.view().missing)).toEqual([]);
    await world.stop();
  });

  it('goes on without the one that its operator took off', async () => {
    const { world, nodes, lose, comeBack } = await cluster(5);
    lose(2, 3, 4);
    const back = await comeBack(2, 3);
    await world.clock.advance(MINUTE);
    const [one, two] = nodes as [RosterNode, RosterNode];
    const { nodeId, operator } = nodes[4]!.identity;
    const secret = sha256(utf8('operator'));
    world.operatorKeys.set(operator, [ed25519PublicKey(secret)]);
    const body = leaveByOperator(one, nodeId);
    expect(await one.keeper.submit(encodeStatement(signedBy(body, { secret })))).toBeUndefined();
    await world.clock.advance(MINUTE);
    expect(agree(one, two, ...back)).toBe(true);
    await world.stop();
  });

  it('never replaces a member that is only disconnected', async () => {
    const { world, nodes, lose, comeBack } = await cluster(3);
    const [one, slow] = nodes as [RosterNode, RosterNode, RosterNode];
    lose(2);
    for (const other of [one]) world.setCut(slow, other, true);
    const [back] = await comeBack(2);
    world.setCut(slow, back!, true);
    await world.clock.advance(10 * MINUTE);
    expect(rosterOf(one)).toContain(slow.identity.nodeId);
    expect(kinds(one)).not.toContain('restore');
    for (const other of [one, back!]) world.setCut(slow, other, false);
    await world.clock.advance(MINUTE);
    expect(agree(one, slow, back!)).toBe(true);
    expect(kinds(one)).not.toContain('restore');
    await world.stop();
  });

  it('does not replace a member that one of the signers still sees', async () => {
    const { world, nodes, lose, comeBack } = await cluster(3);
    const [one, alive] = nodes as [RosterNode, RosterNode, RosterNode];
    lose(2);
    world.setCut(one, alive, true);
    // Its host started another node on its platform, and cut it off from the first; the third sees both.
    await comeBack(1, 2);
    await world.clock.advance(10 * MINUTE);
    expect(kinds(one)).not.toContain('restore');
    const words = one.reports.flatMap((event) => (event.kind === 'not-restored' ? event.outcome.words : []));
    expect(words.map(({ word }) => word)).toContain('replaced-is-connected');
    await world.stop();
  });

  it.each(['1', '2', '3', '4'])('restores itself over a network that loses and reorders, seed %s', async (seed) => {
    const { world, nodes, lose, comeBack } = await cluster(5, { seed, delayMsMax: 50 });
    world.setFaults({ loss: 0.1, delayMsMax: 200 });
    lose(1, 2, 3, 4);
    const back = await comeBack(1, 2, 3, 4);
    await world.clock.advance(10 * MINUTE);
    expect(agree(nodes[0]!, ...back)).toBe(true);
    await world.stop();
  });

  it.each([
    ['the first member that is left', 0],
    ['the second', 1],
    ['a fresh node', 3],
  ])('restores itself if %s crashes between any two signatures', async (_, victim) => {
    // The first attempt finds nodes that hold nothing yet; the second asks four others.
    for (const signatures of [1, 2, 3, 4]) {
      const { world, nodes, lose, comeBack } = await cluster(5);
      lose(2, 3, 4);
      const whole = [nodes[0]!, nodes[1]!, ...(await comeBack(2, 3, 4))];
      const signed = countSigned(whole);
      for (let ms = 0; signed() < signatures && ms < 20_000; ms++) await world.clock.advance(1);
      expect(signed()).toBe(signatures);
      expect(whole.flatMap(kinds)).not.toContain('restore');
      const crashed = whole[victim]!;
      world.crash(crashed);
      await world.clock.advance(3_000);
      await world.start(crashed);
      await world.clock.advance(MINUTE);
      expect(agree(...whole), `after ${signatures} signatures`).toBe(true);
      await world.stop();
    }
  });

  it('is restored by the next member when the first cannot reach everybody', async () => {
    const { world, nodes, lose, comeBack } = await cluster(4);
    const [first, second] = [nodes[0]!, nodes[1]!].sort((x, y) => (x.identity.nodeId < y.identity.nodeId ? -1 : 1));
    lose(2, 3);
    const back = await comeBack(2, 3);
    // Requests of the first get no answers any more: it is connected, and its proposals come to nothing.
    const { handle } = back[0]!.keeper;
    back[0]!.keeper.handle = (peer, payload) =>
      peer.nodeId === first!.identity.nodeId && payload.length > 300
        ? new Promise(() => undefined)
        : handle.call(back[0]!.keeper, peer, payload);
    await world.clock.advance(MINUTE);
    expect(agree(first!, second!, ...back)).toBe(true);
    await world.stop();
  });

  it('is restored once more when all but one lost their ids again', async () => {
    const { world, nodes, lose, comeBack } = await cluster(3);
    lose(1, 2);
    const back = await comeBack(1, 2);
    await world.clock.advance(MINUTE);
    for (const node of back) world.crash(node);
    const again = [];
    for (const n of [1, 2]) again.push(await world.add(rosterIdentity(`${n} once more`, String(n))));
    await world.clock.advance(MINUTE);
    expect(agree(nodes[0]!, ...again)).toBe(true);
    await world.stop();
  });

  it('is restored while nodes come and go, once they stay', async () => {
    const { world, nodes, lose, comeBack } = await cluster(4);
    lose(1, 2, 3);
    const back = await comeBack(1, 2, 3);
    for (let i = 0; i < 12; i++) {
      const node = back[i % 3]!;
      world.crash(node);
      await world.clock.advance(world.random.bytes(1)[0]! * 4);
      await world.start(node);
      await world.clock.advance(world.random.bytes(1)[0]!);
    }
    await world.clock.advance(MINUTE);
    expect(agree(nodes[0]!, ...back)).toBe(true);
    expect(kinds(nodes[0]!).filter((kind) => kind === 'restore')).toHaveLength(1);
    await world.stop();
  });

  it('takes a newcomer in with the rest, and a member that heard nothing', async () => {
    const { world, nodes, lose, comeBack } = await cluster(3);
    lose(1, 2);
    const newcomer = await world.add(rosterIdentity('new'));
    const back = await comeBack(1, 2);
    await world.clock.advance(MINUTE);
    expect(agree(nodes[0]!, ...back, newcomer)).toBe(true);
    await world.stop();
  });

  it('tells a node whose disk was put back that another has its place', async () => {
    const { world, nodes, lose, comeBack } = await cluster(3);
    lose(1, 2);
    const back = await comeBack(1, 2);
    await world.clock.advance(MINUTE);
    const old = nodes[1]!;
    await world.start(old);
    await world.clock.advance(MINUTE);
    expect(agree(nodes[0]!, ...back)).toBe(true);
    expect(rosterOf(old)).toEqual(rosterOf(nodes[0]!));
    expect(old.keeper.view().self).toBe('joining');
    expect(old.reports).toContainEqual({ kind: 'replaced', by: back[0]!.identity.nodeId });
    const words = old.reports.flatMap((event) => (event.kind === 'not-joined' ? event.outcome.words : []));
    expect(words.map(({ word }) => word)).toContain('replaced-is-connected');
    const { nodeId, secret } = old.identity;
    const gone = back[0]!.keeper.leaveFor(nodeId, (message) => ed25519Sign(secret, message));
    expect(await world.clock.settle(gone)).toEqual({ kind: 'done' });
    await world.clock.advance(MINUTE);
    expect(agree(nodes[0]!, ...back)).toBe(true);
    await world.stop();
  });
});
