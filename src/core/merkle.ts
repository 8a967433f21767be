// Merkle trees as in RFC 6962, section 2.1: leaves and nodes hashed under different prefixes, any number of leaves.

import { sha256 } from '#crypto';
import { concatBytes, equalBytes } from './bytes.ts';
import { KithError } from './errors.ts';

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** A proof for 2^32 leaves has 32 steps; nobody batches more. */
const PATH_STEPS_MAX = 32;

const leafHash = (leaf: Uint8Array): Uint8Array => sha256(concatBytes(LEAF, leaf));
const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => sha256(concatBytes(NODE, left, right));

/** The largest power of two below `count`; `count` is at least 2. */
function split(count: number): number {
  let k = 1;
  while (k * 2 < count) k *= 2;
  return k;
}

/** 32 bytes. The root of no leaves is SHA-256 of the empty string, as in RFC 6962. */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return sha256(new Uint8Array(0));
  if (leaves.length === 1) return leafHash(leaves[0]!);
  const k = split(leaves.length);
  return nodeHash(merkleRoot(leaves.slice(0, k)), merkleRoot(leaves.slice(k)));
}

/** The audit path of leaf `index`, from the leaf's sibling upwards (RFC 6962, section 2.1.1). */
export function merklePath(leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  if (!Number.isInteger(index) || index < 0 || index >= leaves.length) {
    throw new KithError('out-of-range', `leaf ${index} of ${leaves.length}`);
  }
  if (leaves.length === 1) return [];
  const k = split(leaves.length);
  return index < k
    ? [...merklePath(leaves.slice(0, k), index), merkleRoot(leaves.slice(k))]
    : [...merklePath(leaves.slice(k), index - k), merkleRoot(leaves.slice(0, k))];
}

/** Whether `leaf` is number `index` of the `count` leaves under `root`. Any input is answered, none throws. */
export function merkleVerify(
  root: Uint8Array,
  leaf: Uint8Array,
  index: number,
  count: number,
  path: readonly Uint8Array[],
): boolean {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(count) || index < 0 || index >= count) return false;
  if (path.length > PATH_STEPS_MAX || count > 2 ** PATH_STEPS_MAX) return false;
  const computed = fold(leafHash(leaf), index, count, path, path.length);
  return computed !== undefined && equalBytes(computed, root);
}

function fold(
  leaf: Uint8Array,
  index: number,
  count: number,
  path: readonly Uint8Array[],
  steps: number,
): Uint8Array | undefined {
  if (count === 1) return steps === 0 ? leaf : undefined;
  if (steps === 0) return undefined;
  const k = split(count);
  const sibling = path[steps - 1]!;
  if (sibling.length !== 32) return undefined;
  const below = index < k ? fold(leaf, index, k, path, steps - 1) : fold(leaf, index - k, count - k, path, steps - 1);
  if (!below) return undefined;
  return index < k ? nodeHash(below, sibling) : nodeHash(sibling, below);
}

export interface MerkleTree {
  /** 32 bytes. */
  readonly root: Uint8Array;
  /** As `merklePath`, without hashing again. */
  path(index: number): Uint8Array[];
}

/**
 * The whole tree at once: for whoever needs the paths of many leaves. Level by level, where what is left over at the
 * end of a level moves up as it is, which is the tree of RFC 6962.
 */
export function merkleTree(leaves: readonly Uint8Array[]): MerkleTree {
  const levels: Uint8Array[][] = [leaves.map(leafHash)];
  for (let below = levels[0]!; below.length > 1; ) {
    const level: Uint8Array[] = [];
    for (let i = 0; i < below.length; i += 2) {
      const right = below[i + 1];
      level.push(right ? nodeHash(below[i]!, right) : below[i]!);
    }
    levels.push(level);
    below = level;
  }
  return {
    root: levels.at(-1)![0] ?? merkleRoot([]),
    path(index) {
      if (!Number.isInteger(index) || index < 0 || index >= leaves.length) {
        throw new KithError('out-of-range', `leaf ${index} of ${leaves.length}`);
      }
      const siblings = levels.map((level, depth) => level[Math.floor(index / 2 ** depth) ^ 1]);
      return siblings.filter((sibling) => sibling !== undefined);
    },
  };
}
