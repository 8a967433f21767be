// Blocks of the simulated chain are a function of their plan.

import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/core/bytes.ts';
import { buildBlock } from '../../../src/devnet/block.ts';
import { seededBytes, seededChance } from '../../../src/devnet/seeded.ts';
import { decodeNamadaTransaction } from '../../../src/indexer/namada/transaction.ts';
import { flagHex, replayOf } from '../../support/replay.ts';

const replay = replayOf([
  { height: 30, block_index: 2, flags: [flagHex('a'), flagHex('b'), flagHex('c')] },
  { height: 30, block_index: 3, flags: [flagHex('d')] },
  { height: 30, block_index: 5, flags: null },
]);

const plan = {
  chainId: 'c',
  height: 30,
  parentHash: new Uint8Array(32),
  generation: 0,
  replay: replay.transactions.get(30)!,
  submitted: [Uint8Array.of(1, 2, 3)],
};

describe('a simulated block', () => {
  it('is the same for the same plan', () => {
    expect(buildBlock(plan)).toEqual(buildBlock(plan));
  });

  it('has another hash after a reset, on another parent, with other transactions, or on another chain', () => {
    const hashes = [
      plan,
      { ...plan, generation: 1 },
      { ...plan, parentHash: new Uint8Array(32).fill(1) },
      { ...plan, submitted: [] },
      { ...plan, chainId: 'd' },
    ].map((one) => toHex(buildBlock(one).hash));
    expect(new Set(hashes).size).toBe(5);
  });

  it('puts each replayed transaction at its index, fillers between them, and what was submitted last', () => {
    const block = buildBlock(plan);
    expect(block.transactions.length).toBe(7);
    expect(block.shielded.map(({ blockIndex }) => blockIndex)).toEqual([2, 3, 5]);
    for (const transaction of block.transactions.slice(0, 6))
      expect(decodeNamadaTransaction(transaction).chainId).toBe('c');
    expect(block.transactions[6]).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('announces flags by events, in one section or two or in an IBC memo, and none for a transaction without', () => {
    const { events } = buildBlock(plan);
    const seen = events.map(({ type, attributes }) => {
      const { block_index: index } = JSON.parse(attributes.find(({ key }) => key === 'indexed-tx')!.value) as {
        block_index: number;
      };
      const ciphertext = attributes.find(({ key }) => key === 'ciphertext')?.value;
      return [type, index, ciphertext ? Object.keys(JSON.parse(ciphertext) as object)[0] : undefined];
    });
    expect(seen).toEqual([
      ['masp/transfer', 2, undefined],
      ['masp/flag', 2, 'FmdSection'],
      ['masp/flag', 2, 'FmdSection'],
      ['masp/transfer', 3, undefined],
      ['masp/flag', 3, 'FmdSection'],
      ['masp/transfer', 5, undefined],
    ]);
    const ibc = buildBlock({ ...plan, replay: [{ height: 30, blockIndex: 0, flags: plan.replay[1]!.flags }] });
    expect(ibc.events[1]!.attributes[0]!.value).toMatch(/^\{"IbcData":"[0-9A-F]{64}"\}$/);
  });

  it('carries a decoy in each flagged transaction: a list of flags that no event names', () => {
    const block = buildBlock(plan);
    const { sections } = decodeNamadaTransaction(block.transactions[3]!);
    expect(sections.filter(({ kind }) => kind === 'extra-data').length).toBe(2);
  });
});

describe('chance by seed', () => {
  it('repeats for the same seed and differs for another', () => {
    expect(seededBytes(7)(33)).toEqual(seededBytes(7)(33));
    expect(seededBytes(7)(33)).not.toEqual(seededBytes(8)(33));
    const next = seededChance(1);
    const drawn = Array.from({ length: 1_000 }, next);
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...drawn)).toBeLessThan(1);
    expect(new Set(drawn).size).toBeGreaterThan(990);
  });
});
