import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../src/core/bytes.ts';
import { merklePath, merkleRoot, merkleTree, merkleVerify } from '../../../src/core/merkle.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { codeOf } from '../../support/outcome.ts';

/** The eight leaves of the reference tests of Certificate Transparency, and the roots of their first n. */
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map(
  fromHex,
);
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

const leaf = fc.uint8Array({ maxLength: 6 });
const tree = fc
  .array(leaf, { minLength: 1, maxLength: 40 })
  .chain((leaves) => fc.record({ leaves: fc.constant(leaves), index: fc.nat({ max: leaves.length - 1 }) }));

describe('a Merkle tree', () => {
  it.each(ROOTS.map((root, count) => [count, root] as const))('has the known root of %d leaves', (count, root) => {
    expect(toHex(merkleRoot(LEAVES.slice(0, count)))).toBe(root);
  });

  it('gives every leaf a path that verifies', () => {
    fc.assert(
      fc.property(tree, ({ leaves, index }) => {
        const path = merklePath(leaves, index);
        expect(merkleVerify(merkleRoot(leaves), leaves[index]!, index, leaves.length, path)).toBe(true);
      }),
      { numRuns: fuzzRuns(300) },
    );
  });

  it('hashed as a whole has the same root and paths, for every size up to 70', () => {
    for (let count = 0; count <= 70; count++) {
      const leaves = Array.from({ length: count }, (_, i) => Uint8Array.of(i));
      const tree = merkleTree(leaves);
      expect(tree.root).toEqual(merkleRoot(leaves));
      expect(leaves.map((_, i) => tree.path(i))).toEqual(leaves.map((_, i) => merklePath(leaves, i)));
      for (const index of [-1, count, 0.5]) expect(codeOf(() => tree.path(index))).toBe('out-of-range');
    }
  });

  it('gives paths for every leaf of every size up to 70', () => {
    for (let count = 1; count <= 70; count++) {
      const leaves = Array.from({ length: count }, (_, i) => Uint8Array.of(i));
      const root = merkleRoot(leaves);
      const verified = leaves.filter((value, i) => merkleVerify(root, value, i, count, merklePath(leaves, i)));
      expect(verified.length).toBe(count);
    }
  });

  it('refuses a path under another leaf, index or root', () => {
    fc.assert(
      fc.property(tree, leaf, fc.nat({ max: 50 }), fc.nat({ max: 255 }), ({ leaves, index }, other, place, bit) => {
        const root = merkleRoot(leaves);
        const path = merklePath(leaves, index);
        const value = leaves[index]!;
        const count = leaves.length;
        fc.pre(toHex(other) !== toHex(value) && place !== index);
        expect(merkleVerify(root, other, index, count, path)).toBe(false);
        // Two equal leaves may share a path; then the claim about the other place is true.
        const claim = place < count && toHex(leaves[place]!) === toHex(value);
        if (!claim) expect(merkleVerify(root, value, place, count, path)).toBe(false);
        const flipped = root.slice();
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        expect(merkleVerify(flipped, value, index, count, path)).toBe(false);
      }),
      { numRuns: fuzzRuns(500) },
    );
  });

  it('refuses an altered, shortened, lengthened or reordered path', () => {
    const edit = fc.record({ at: fc.nat({ max: 5 }), bit: fc.nat({ max: 255 }) });
    fc.assert(
      fc.property(tree, edit, ({ leaves, index }, { at, bit }) => {
        const root = merkleRoot(leaves);
        const path = merklePath(leaves, index);
        const verify = (altered: readonly Uint8Array[]) =>
          merkleVerify(root, leaves[index]!, index, leaves.length, altered);
        expect(verify([...path, new Uint8Array(32)])).toBe(false);
        expect(verify([new Uint8Array(32), ...path])).toBe(false);
        if (path.length === 0) return;
        expect(verify(path.slice(1))).toBe(false);
        expect(verify(path.slice(0, -1))).toBe(false);
        const step = at % path.length;
        const flipped = path[step]!.slice();
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        expect(verify(path.with(step, flipped))).toBe(false);
        expect(verify(path.with(step, path[step]!.subarray(1)))).toBe(false);
        const reversed = path.toReversed();
        if (reversed.map(toHex).join() !== path.map(toHex).join()) expect(verify(reversed)).toBe(false);
      }),
      { numRuns: fuzzRuns(500) },
    );
  });

  it('refuses a count whose tree has another shape on the way to the leaf', () => {
    const leaves = Array.from({ length: 5 }, (_, i) => Uint8Array.of(i));
    const root = merkleRoot(leaves);
    // Leaf 4 of 5 hangs directly below the root: no other count gives it a path of one step.
    const path = merklePath(leaves, 4);
    for (let count = 0; count < 64; count++) {
      expect(merkleVerify(root, leaves[4]!, 4, count, path)).toBe(count === 5);
    }
  });

  it('does not take an inner node for a leaf', () => {
    const [a, b] = [Uint8Array.of(1), Uint8Array.of(2)];
    const [left] = merklePath([b, a], 0);
    const [right] = merklePath([a, b], 0);
    const forged = Uint8Array.from([...left!, ...right!]);
    expect(merkleVerify(merkleRoot([a, b]), forged, 0, 1, [])).toBe(false);
  });

  it.each([
    [-1, 4],
    [4, 4],
    [0.5, 4],
    [0, 0],
    [Number.NaN, 4],
    [0, Number.NaN],
    [0, 2 ** 53],
    [0, 2 ** 33],
    [0, Number.POSITIVE_INFINITY],
  ])('answers index %d of %d leaves with no', (index, count) => {
    const path = merklePath(LEAVES.slice(0, 4), 0);
    expect(merkleVerify(merkleRoot(LEAVES.slice(0, 4)), LEAVES[0]!, index, count, path)).toBe(false);
  });

  it('has no path for a leaf it lacks', () => {
    for (const index of [-1, 4, 0.5, Number.NaN]) {
      expect(codeOf(() => merklePath(LEAVES.slice(0, 4), index))).toBe('out-of-range');
    }
  });

  it('refuses a path of a million steps without folding it', () => {
    const path = new Array<Uint8Array>(1_000_000).fill(new Uint8Array(32));
    expect(merkleVerify(new Uint8Array(32), LEAVES[0]!, 0, 2 ** 32, path)).toBe(false);
  });
});
