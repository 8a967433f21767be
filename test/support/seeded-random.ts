// Randomness that is the same in each run: SHAKE256 of a seed and a counter.

import { shake256 } from '#crypto';
import { utf8 } from '../../src/core/bytes.ts';
import type { Random } from '../../src/core/ports.ts';

export function seededRandom(seed: string): Random {
  let calls = 0;
  return { bytes: (length) => shake256(utf8(`${seed}/${calls++}`), length) };
}
