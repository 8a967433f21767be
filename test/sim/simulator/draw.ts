// Chance of the simulator: a small generator whose stream is fixed by a text. Faster than the random bytes of nodes, of
// which every draw is a hash.

import { sha256 } from '#crypto';
import { utf8 } from '../../../src/core/bytes.ts';

export interface Draw {
  /** From 0 (included) to 1 (excluded). */
  unit(): number;
  /** A whole number from 0 to `limit - 1`. */
  below(limit: number): number;
  /** A whole number, both ends included. */
  between(from: number, to: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
  /** `count` different ones of them, or all if there are fewer, in an order of chance. */
  sample<T>(items: readonly T[], count: number): T[];
}

/** sfc32 (C. Doty-Humphrey, PractRand): 128 bits of state, passes the usual statistical tests. */
export function createDraw(seed: string): Draw {
  const view = new DataView(sha256(utf8(`kith/simulator/${seed}`)).buffer);
  let [a, b, c, counter] = [view.getInt32(0), view.getInt32(4), view.getInt32(8), 1];
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 12; i++) next();
  const unit = () => next() / 2 ** 32;
  const below = (limit: number) => Math.floor(unit() * limit);
  const draw: Draw = {
    unit,
    below,
    between: (from, to) => from + below(to - from + 1),
    chance: (probability) => unit() < probability,
    pick: (items) => items[below(items.length)]!,
    sample(items, count) {
      const left = [...items];
      const taken: (typeof left)[number][] = [];
      while (taken.length < count && left.length > 0) taken.push(...left.splice(below(left.length), 1));
      return taken;
    },
  };
  return draw;
}
