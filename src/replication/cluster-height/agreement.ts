// What several members' statements come to: a height that a minority of operators cannot move, and whether this node
// has another chain than most. Pure functions; each operator counts once, however many platforms it runs.

import { toBase64Url } from '../../core/bytes.ts';
import { OPERATORS_MIN } from './limits.ts';
import type { StatedBlock } from './statement.ts';

/** The newest that one member says. */
export interface Voice {
  readonly operator: string;
  readonly height: number;
  readonly blocks: readonly StatedBlock[];
}

/** Of an even number the lower of the two in the middle: half of the operators cannot raise it. */
function lowerMedian(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}

function byOperator<V extends Voice>(voices: readonly V[]): Map<string, V[]> {
  const groups = new Map<string, V[]>();
  for (const voice of voices) groups.set(voice.operator, [...(groups.get(voice.operator) ?? []), voice]);
  return groups;
}

export const operatorsOf = (voices: readonly { readonly operator: string }[]): number =>
  new Set(voices.map(({ operator }) => operator)).size;

/** The median over operators, each with the median of its own members; undefined if nobody speaks. */
export function medianHeight(voices: readonly Voice[]): number | undefined {
  const heights = [...byOperator(voices).values()].map((own) => lowerMedian(own.map(({ height }) => height))!);
  return lowerMedian(heights);
}

export interface Comparison {
  /** The highest height at which most operators have another block than this node. */
  readonly against: number | undefined;
  /** The highest height at which most operators, and at least OPERATORS_MIN of them, have the same block. */
  readonly agreed: number | undefined;
  /** The highest height at which anybody has another block. */
  readonly disputed: number | undefined;
}

const higherOf = (a: number | undefined, b: number): number => Math.max(a ?? b, b);

/**
 * Compares this node's blocks with those of all voices, its own among them. Fewer than OPERATORS_MIN operators with a
 * block at a height are no majority against anybody: of two that differ, either may be the one with the wrong chain.
 */
export function compareBlocks(own: readonly StatedBlock[], voices: readonly Voice[]): Comparison {
  let comparison: Comparison = { against: undefined, agreed: undefined, disputed: undefined };
  for (const { height, hash } of own) {
    const mine = toBase64Url(hash);
    const votes = [...byOperator(voices).values()].map((members) => voteOf(members, height));
    const cast = votes.filter((vote) => vote !== undefined);
    const counts = new Map<string, number>();
    for (const vote of cast) counts.set(vote, (counts.get(vote) ?? 0) + 1);
    const [winner] = [...counts].find(([, count]) => 2 * count > cast.length) ?? [];
    if (cast.length >= OPERATORS_MIN && winner !== undefined) {
      const key = winner === mine ? 'agreed' : 'against';
      comparison = { ...comparison, [key]: higherOf(comparison[key], height) };
    }
    const differs = voices.some(({ blocks }) =>
      blocks.some((b) => b.height === height && toBase64Url(b.hash) !== mine),
    );
    if (differs) comparison = { ...comparison, disputed: higherOf(comparison.disputed, height) };
  }
  return comparison;
}

/** The block most members of an operator have at a height; undefined if none has one, or they are divided. */
function voteOf(members: readonly Voice[], height: number): string | undefined {
  const hashes = members.flatMap(({ blocks }) =>
    blocks.filter((block) => block.height === height).map(({ hash }) => toBase64Url(hash)),
  );
  return hashes.find((hash) => 2 * hashes.filter((other) => other === hash).length > hashes.length);
}
