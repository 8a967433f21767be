import { describe, expect, it } from 'vitest';
import { nodeIdFromBytes } from '../../../src/core/ids.ts';
import { findRollback } from '../../../src/node/rollback.ts';

const hash = (value: number) => new Uint8Array(32).fill(value);
const own = { batchSeq: 10, rootHash: hash(1) };
const remembered = (incarnation: number, sequence: number, value = 1) => ({
  nodeId: nodeIdFromBytes(hash(sequence)),
  head: { incarnation, sequence, hash: hash(value) },
});

describe('a rollback', () => {
  it('is a store that ends before what any member remembers, or otherwise at the same number', () => {
    expect(findRollback(own, [])).toBeUndefined();
    expect(findRollback(own, [remembered(1, 9), remembered(1, 10)])).toBeUndefined();
    expect(findRollback(own, [remembered(1, 9, 7)])).toBeUndefined();
    expect(findRollback(own, [remembered(1, 9), remembered(1, 12)])).toEqual({ found: 10, remembered: 12 });
    expect(findRollback(own, [remembered(1, 10, 2)])).toEqual({ found: 10, remembered: 10 });
    expect(findRollback(own, [remembered(2, 9), remembered(1, 12)])).toBeUndefined();
  });
});
