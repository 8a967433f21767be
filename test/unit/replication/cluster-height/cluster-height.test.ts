import { describe, expect, it } from 'vitest';
import { toBase64Url } from '../../../../src/core/bytes.ts';
import { encodeCbor } from '../../../../src/core/cbor.ts';
import { HEIGHT_MAX } from '../../../../src/core/registration/limits.ts';
import {
  HEIGHTS_BYTES_MAX,
  RELAY_AGE_MS,
  STATEMENT_AGE_MS,
  STATEMENT_BYTES_MAX,
  STATEMENTS_MAX,
} from '../../../../src/replication/cluster-height/limits.ts';
import {
  decodeHeightStatement,
  decodeHeights,
  encodeHeights,
} from '../../../../src/replication/cluster-height/statement.ts';
import { createRecentBlocks, decodeEnvelope, encodeEnvelope } from '../../../../src/replication/index.ts';
import { blockOf, chainAt, createHeightWorld, statementOf, told } from '../../../support/heights.ts';
import { codeOf } from '../../../support/outcome.ts';
import { entriesOf, signerNamed } from '../../../support/receipts.ts';

const names = (count: number) => Array.from({ length: count }, (_, i) => signerNamed(`n${i}`));
const sameOperator = (count: number) => Array.from({ length: count }, (_, i) => signerNamed(`m${i}`, `m${i}`, 'many'));

/** The first of these runs; the others say what the test makes up for them. */
function alone(signers = names(3), height = 100) {
  const world = createHeightWorld(signers);
  const [node] = world.nodes;
  node!.chain = chainAt(height);
  const says = (who: number, over: Parameters<typeof statementOf>[1] = {}, from = who) =>
    node!.heights.handle(signers[from]!.nodeId, told(statementOf(signers[who]!, over)));
  return { ...world, node: node!, heights: node!.heights, signers, says };
}

describe('the cluster height', () => {
  it('is the own one in a cluster of one, and nothing before the first block', () => {
    const { heights, node } = alone(names(1));
    expect([heights.height(), heights.settledHeight()]).toEqual([100, 100]);
    node.chain = chainAt(101);
    expect([heights.height(), heights.settledHeight()]).toEqual([101, 101]);
    node.chain = undefined;
    expect([heights.height(), heights.settledHeight()]).toEqual([0, 101]);
  });

  it('is the median of all operators once they have told one another', async () => {
    const world = createHeightWorld(names(5));
    for (const [i, node] of world.nodes.entries()) node.chain = chainAt(100 + 10 * i);
    world.start();
    await world.clock.advance(3_500);
    expect(world.nodes.map(({ heights }) => heights.height())).toEqual([120, 120, 120, 120, 120]);
    expect(world.nodes[0]!.heights.report().operators).toEqual({ heard: 5, needed: 3, all: 5 });
    world.nodes[0]!.chain = chainAt(200);
    world.nodes[0]!.heights.ownChanged();
    await world.clock.advance(1_000);
    expect(world.nodes.map(({ heights }) => heights.height())).toEqual([130, 130, 130, 130, 130]);
    world.stop();
    expect(world.clock.pending).toBe(0);
  });

  it('reaches members that are not connected, through those that are', async () => {
    const world = createHeightWorld(names(3));
    for (const [i, node] of world.nodes.entries()) node.chain = chainAt(100 + 10 * i);
    world.setCut(0, 2, true);
    world.start();
    await world.clock.advance(10_000);
    expect(world.nodes.map(({ heights }) => heights.height())).toEqual([110, 110, 110]);
    expect(world.nodes[0]!.heights.report().members.length).toBe(2);
    world.stop();
  });

  it('does not count who has been silent for a minute, and destroys nothing once most are', async () => {
    const world = createHeightWorld(names(3));
    for (const node of world.nodes) node.chain = chainAt(100);
    world.start();
    await world.clock.advance(4_000);
    for (const [a, b] of [
      [0, 1],
      [0, 2],
    ] as const) {
      world.setCut(a, b, true);
    }
    const [node] = world.nodes;
    node!.chain = chainAt(900);
    await world.clock.advance(4_000);
    expect([node!.heights.height(), node!.heights.settledHeight()]).toEqual([100, 100]);
    await world.clock.advance(STATEMENT_AGE_MS);
    expect([node!.heights.height(), node!.heights.settledHeight()]).toEqual([900, 100]);
    expect(node!.heights.report().operators).toEqual({ heard: 1, needed: 2, all: 3 });
    world.stop();
  });

  it('asks nobody twice at once, and no more often than it should', async () => {
    const world = createHeightWorld(names(2));
    for (const node of world.nodes) node.chain = chainAt(100);
    world.start();
    for (let i = 0; i < 200; i++) {
      world.nodes[0]!.chain = chainAt(100 + i);
      world.nodes[0]!.heights.ownChanged();
      await world.clock.advance(50);
    }
    expect(world.state.requests).toBeLessThanOrEqual(16);
    expect(world.state.requests).toBeGreaterThanOrEqual(8);
    expect(world.nodes[1]!.heights.report().members[0]!.height).toBeGreaterThanOrEqual(280);
    world.stop();
  });

  it('asks each other member once a round while the chain stands still, whichever of two asks', async () => {
    const world = createHeightWorld(names(3));
    for (const [i, node] of world.nodes.entries()) {
      node.chain = chainAt(100);
      world.clock.schedule(700 * i, () => node.heights.start());
    }
    await world.clock.advance(2_000);
    const before = world.state.requests;
    await world.clock.advance(30_000);
    expect(world.state.requests - before).toBeLessThanOrEqual(3 * 11);
    expect(world.nodes[0]!.heights.report().members.map(({ counts }) => counts)).toEqual([true, true]);
    world.stop();
  });

  it('signs one statement for all, and another one only for another height or after a while', async () => {
    const world = createHeightWorld(names(5));
    for (const node of world.nodes) node.chain = chainAt(100);
    world.start();
    await world.clock.advance(8_000);
    expect(world.state.signed).toBe(5);
    world.nodes[0]!.chain = chainAt(101);
    world.nodes[0]!.heights.ownChanged();
    await world.clock.advance(100);
    expect(world.state.signed).toBe(6);
    await world.clock.advance(60_000);
    expect(world.state.signed).toBeGreaterThan(6 + 5 * 4);
    expect(world.state.signed).toBeLessThanOrEqual(6 + 5 * 7);
    world.stop();
  });

  it('tells nobody what it has told it before, nor what it was told by it', () => {
    const { heights, says, signers } = alone(names(4));
    const countOf = (answer: Uint8Array) => decodeHeights(answer).length;
    expect(countOf(says(1))).toBe(1);
    expect(countOf(says(2))).toBe(2);
    expect(countOf(says(2))).toBe(1);
    expect(countOf(says(1))).toBe(2);
    const both = told(statementOf(signers[1]!), statementOf(signers[2]!));
    expect(countOf(heights.handle(signers[3]!.nodeId, both))).toBe(1);
    says(2, { sequence: 2 });
    expect(countOf(heights.handle(signers[3]!.nodeId, both))).toBe(2);
  });

  it('tells again whatever was in a request that failed', async () => {
    const world = createHeightWorld(names(3));
    for (const [i, node] of world.nodes.entries()) node.chain = chainAt(100 + i);
    const [first, second, third] = world.nodes;
    first!.heights.handle(second!.signer.nodeId, told(statementOf(second!.signer, chainAt(101))));
    world.state.failing = true;
    first!.heights.start();
    await world.clock.advance(1_000);
    expect(third!.heights.report().members).toEqual([]);
    world.state.failing = false;
    await world.clock.advance(3_000);
    expect(
      third!.heights
        .report()
        .members.map(({ height }) => height)
        .sort(),
    ).toEqual([100, 101]);
    world.stop();
  });
});

describe('attacks on the height', () => {
  it('a huge height of a minority moves nothing', () => {
    const { heights, says } = alone(names(5));
    says(1, { ...chainAt(102) });
    says(2, { ...chainAt(103) });
    for (const liar of [3, 4]) says(liar, { height: HEIGHT_MAX, blocks: [] });
    expect([heights.height(), heights.settledHeight()]).toEqual([103, 103]);
    expect(says(3, { sequence: 2, height: 0, blocks: [] }).length).toBeGreaterThan(0);
    says(4, { sequence: 2, height: 0, blocks: [] });
    expect([heights.height(), heights.settledHeight()]).toEqual([100, 103]);
  });

  it('a huge height of the only other operator is not followed, and its low one delays only what destroys', () => {
    const { heights, says } = alone(names(2));
    says(1, { height: HEIGHT_MAX, blocks: [] });
    expect([heights.height(), heights.settledHeight()]).toEqual([100, 100]);
    says(1, { sequence: 2, height: 3, blocks: [] });
    expect([heights.height(), heights.settledHeight()]).toEqual([3, 100]);
  });

  it('an operator with many platforms has one voice', () => {
    const { heights, says, signers } = alone([...names(2), signerNamed('other'), ...sameOperator(12)]);
    says(1);
    says(2);
    for (let i = 3; i < signers.length; i++) says(i, { height: HEIGHT_MAX, blocks: [] });
    expect(heights.height()).toBe(100);
    expect(heights.report().operators).toEqual({ heard: 4, needed: 3, all: 4 });
  });

  it('old statements replayed count for nothing, also after they have grown old', async () => {
    const { clock, heights, says } = alone(names(2));
    says(1, { sequence: 5, height: 90, blocks: [] });
    says(1, { sequence: 4, height: 5, blocks: [] });
    says(1, { incarnation: 0x7fff, sequence: 1, height: 95, blocks: [] });
    says(1, { sequence: 9_999, height: 6, blocks: [] });
    expect(heights.height()).toBe(95);
    await clock.advance(STATEMENT_AGE_MS + 1_000);
    expect(heights.height()).toBe(100);
    says(1, { incarnation: 0x7fff, sequence: 1, height: 95, blocks: [] });
    says(1, { sequence: 9_999, height: 6, blocks: [] });
    expect(heights.height()).toBe(100);
    expect(heights.report().members).toMatchObject([{ height: 95, counts: false }]);
  });

  it('a statement told on ages on its way, and is taken only while it is young', async () => {
    const { clock, heights, signers } = alone(names(3));
    const relay = (ageMs: number, statement: Uint8Array) =>
      heights.handle(signers[1]!.nodeId, encodeHeights([{ ageMs, statement }]));
    relay(RELAY_AGE_MS + 1, statementOf(signers[2]!, { height: 50, blocks: [] }));
    expect(heights.report().members).toEqual([]);
    relay(RELAY_AGE_MS, statementOf(signers[2]!, { height: 50, blocks: [] }));
    expect(heights.height()).toBe(50);
    relay(0, statementOf(signers[2]!, { height: 50, blocks: [] }));
    await clock.advance(STATEMENT_AGE_MS - RELAY_AGE_MS + 1_000);
    expect(heights.height()).toBe(100);
  });

  it('two statements of one boot under one number end its say until it starts again', () => {
    const { heights, node, says, signers } = alone(names(2));
    says(1, { height: 90, blocks: [] });
    const answer = says(1, { height: 80, blocks: [] });
    expect(node.events).toEqual([{ kind: 'equivocation', nodeId: signers[1]!.nodeId, incarnation: 1 }]);
    says(1, { height: 80, blocks: [] });
    says(1, { sequence: 2, height: 70, blocks: [] });
    expect([heights.height(), node.events.length, decodeHeights(answer).length]).toEqual([100, 1, 1]);
    says(1, { incarnation: 2, height: 60, blocks: [] });
    expect(heights.height()).toBe(60);
  });

  it('a forged second statement accuses nobody', () => {
    const { heights, node, signers, says } = alone(names(2));
    says(1, { height: 90, blocks: [] });
    const forged = statementOf({ ...signers[1]!, secret: signers[0]!.secret }, { height: 80, blocks: [] });
    heights.handle(signers[1]!.nodeId, told(forged));
    expect([heights.height(), node.events]).toEqual([90, []]);
  });

  it('strangers, forgeries, statements about this node, and garbage are left', () => {
    const { heights, signers } = alone(names(2));
    const stranger = signerNamed('stranger');
    const as = (statement: Uint8Array, from = signers[1]!) => heights.handle(from.nodeId, told(statement));
    const broken = statementOf(signers[1]!, { height: 1, blocks: [] });
    broken[broken.length - 1]! ^= 1;
    as(statementOf(stranger, { height: 1, blocks: [] }), stranger);
    as(statementOf({ ...signers[1]!, secret: stranger.secret }, { height: 1, blocks: [] }));
    as(statementOf(signers[0]!, { height: 1, blocks: [] }));
    as(broken);
    as(Uint8Array.of(1, 2, 3));
    expect([heights.height(), heights.report().members]).toEqual([100, []]);
    for (const body of [new Uint8Array(0), encodeCbor({}), encodeCbor({ statements: [{ ageMs: -1 }] })]) {
      expect(codeOf(() => heights.handle(signers[1]!.nodeId, body))).toMatch(/malformed|bad-shape/);
    }
    expect(codeOf(() => heights.handle(signers[1]!.nodeId, new Uint8Array(HEIGHTS_BYTES_MAX + 1)))).toBe('too-large');
  });

  it('somebody who left the roster is forgotten', () => {
    const { heights, says, state, signers } = alone(names(2));
    says(1, { height: 4, blocks: [] });
    expect(heights.height()).toBe(4);
    state.roster = entriesOf(signers.slice(0, 1));
    expect(heights.report().members).toEqual([]);
    expect(heights.height()).toBe(100);
  });

  it('a clock that jumps moves nothing', () => {
    const { heights, says } = alone(names(2));
    says(1, { height: 99, timeMs: Number.MAX_SAFE_INTEGER, blocks: [] });
    says(1, { sequence: 2, height: 99, timeMs: 0, blocks: [] });
    expect(heights.height()).toBe(99);
  });
});

describe('another chain than most', () => {
  const other = chainAt(100, 'another chain');

  it('is a disagreement with two of three operators, until most have the same at a height as high', () => {
    const { heights, node, says } = alone();
    says(1, other);
    expect([heights.disagreement(), heights.report().disputed]).toEqual([undefined, 96]);
    says(2, other);
    expect(heights.disagreement()).toBe(96);
    says(1, { sequence: 2, height: 100, blocks: [] });
    expect(heights.disagreement()).toBe(96);
    says(1, { sequence: 3, ...chainAt(100) });
    says(2, { sequence: 3, ...chainAt(100) });
    expect(heights.disagreement()).toBeUndefined();
    expect(node.events.map((event) => event.kind === 'chain-disagreement' && event.height)).toEqual([96, undefined]);
  });

  it('does not come and go with members that do', async () => {
    const { clock, heights, node, says } = alone();
    for (let sequence = 1; sequence < 10; sequence++) {
      for (const who of [1, 2]) says(who, { sequence, ...other });
      await clock.advance(STATEMENT_AGE_MS + 2_000);
      expect(heights.disagreement()).toBe(96);
    }
    expect(node.events.length).toBe(1);
  });

  it('is no disagreement for a minority, nor with one operator of many platforms', () => {
    const minority = alone(names(5));
    for (const who of [1, 2]) minority.says(who, other);
    for (const who of [3, 4]) minority.says(who);
    expect([minority.heights.disagreement(), minority.heights.report().disputed]).toEqual([undefined, 96]);
    const many = alone([...names(2), ...sameOperator(9)]);
    many.says(1);
    for (let who = 2; who < 11; who++) many.says(who, other);
    expect(many.heights.disagreement()).toBeUndefined();
  });
});

describe('a statement of a height', () => {
  it('is small enough with all its blocks, and many of them fit', () => {
    const statement = statementOf(signerNamed('a'), {
      ...chainAt(HEIGHT_MAX - (HEIGHT_MAX % 16)),
      incarnation: HEIGHT_MAX,
      sequence: HEIGHT_MAX,
      timeMs: Number.MAX_SAFE_INTEGER,
    });
    expect(statement.length).toBeLessThanOrEqual(STATEMENT_BYTES_MAX);
    expect(decodeHeightStatement(statement).blocks.length).toBe(8);
    const aged = Array.from({ length: STATEMENTS_MAX }, () => ({ ageMs: RELAY_AGE_MS, statement }));
    expect(encodeHeights(aged).length).toBeLessThanOrEqual(HEIGHTS_BYTES_MAX);
    expect(decodeHeights(encodeHeights(aged)).length).toBe(STATEMENTS_MAX);
    expect(codeOf(() => decodeHeights(encodeHeights([...aged, aged[0]!])))).toBe('bad-shape');
  });

  it.each([
    ['no multiple of 16', [{ height: 95, hash: blockOf(95) }]],
    ['above the height', [{ height: 112, hash: blockOf(112) }]],
    [
      'ascending',
      [
        { height: 80, hash: blockOf(80) },
        { height: 96, hash: blockOf(96) },
      ],
    ],
    [
      'twice',
      [
        { height: 96, hash: blockOf(96) },
        { height: 96, hash: blockOf(96, 'x') },
      ],
    ],
  ])('has no blocks that are %s', (_name, blocks) => {
    const statement = statementOf(signerNamed('a'), { height: 100, blocks });
    expect(codeOf(() => decodeHeightStatement(statement))).toBe('bad-shape');
  });

  it('has the newest blocks at multiples of 16 as they were indexed', () => {
    const recent = createRecentBlocks();
    for (let height = 1; height <= 300; height++) recent.note(height, height === 160 ? undefined : blockOf(height));
    expect(recent.blocks.map(({ height }) => height)).toEqual([288, 272, 256, 240, 224, 208, 192, 176]);
    expect(toBase64Url(recent.blocks[0]!.hash)).toBe(toBase64Url(blockOf(288)));
  });
});

describe('the envelope of replication', () => {
  it('names the part that reads the body, and no other', () => {
    const envelope = { kind: 'heights' as const, body: Uint8Array.of(1, 2) };
    expect(decodeEnvelope(encodeEnvelope(envelope))).toEqual(envelope);
    expect(codeOf(() => decodeEnvelope(encodeCbor({ kind: 'other', body: new Uint8Array(1) })))).toBe('bad-shape');
    expect(codeOf(() => decodeEnvelope(new Uint8Array(300_000)))).toBe('too-large');
  });
});
