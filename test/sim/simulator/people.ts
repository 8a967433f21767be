// The users of all runs and the chain they are found on: made once a process, for making flags and keys is what costs
// most here. Which of them a run has, and what they do, is the plan's.

import type { Replay } from '../../../src/devnet/index.ts';
import { type Seeded, seededUser } from '../../support/node-user.ts';
import { replayOf } from '../../support/replay.ts';
import { matches } from './detection.ts';

/** As many as any run has. */
export const USERS_MAX = 8;
/** One flag in 32 matches somebody it is not for. */
const SUBKEYS = 5;
const FIRST_HEIGHT = 1_000;
const FLAGGED_HEIGHTS = 30;

const users: Seeded[] = [];

/** The user of a number. */
export function userAt(index: number): Seeded {
  for (let next = users.length; next <= index; next++) users.push(seededUser(`simulated user ${next}`, SUBKEYS));
  return users[index]!;
}

let made: Replay | undefined;

/** A transaction in most blocks, each with one flag for one of the users in turn. */
export function chainOfAll(): Replay {
  if (made) return made;
  const lines = Array.from({ length: FLAGGED_HEIGHTS }, (_, i) => ({
    height: FIRST_HEIGHT + i * 2 + (i % 3 === 0 ? 1 : 0),
    block_index: i % 3,
    flags: [userAt(i % USERS_MAX).flag(`flag ${i}`)],
  }));
  made = replayOf(lines.sort((a, b) => a.height - b.height));
  return made;
}

export interface Match {
  readonly height: number;
  readonly blockIndex: number;
}

const matchesOf = new Map<number, Match[]>();

/** Every transaction of the chain that the key of a user matches, by the reference. */
export function expectedMatches(index: number): readonly Match[] {
  const known = matchesOf.get(index);
  if (known) return known;
  const { indices, subkeys } = userAt(index).wallet.detectionKey;
  const row = new Uint8Array(indices.length * 33);
  for (const [i, subkey] of subkeys.entries()) row.set([indices[i]!, ...subkey], i * 33);
  const found: Match[] = [];
  for (const [height, transactions] of chainOfAll().transactions) {
    for (const { blockIndex, flags } of transactions) {
      if (flags?.some((flag) => matches(flag, row))) found.push({ height, blockIndex });
    }
  }
  matchesOf.set(index, found);
  return found;
}
