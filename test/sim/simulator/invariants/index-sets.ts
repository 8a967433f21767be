// What users are told about their transactions, against the reference: nothing that is covered lacks a match.

import type { OpenedIndexSet } from '../../../../src/fmd/index-sets/blob.ts';
import type { Host } from '../host.ts';
import { expectedMatches } from '../people.ts';
import type { World } from '../world.ts';

/** An answer that a user has opened: complete wherever it claims to be, and nothing but matches. */
export function checkAnswer(world: World, host: Host, user: number, answer: OpenedIndexSet): void {
  const expected = expectedMatches(user);
  const name = (height: number, blockIndex: number) => `${height}/${blockIndex}`;
  const given = new Set(answer.entries.map(([height, blockIndex]) => name(height, blockIndex)));
  // Users are found from the first block on: what they are told is complete up to a height is so from there.
  const covered = (height: number) =>
    height <= answer.syncedTo || answer.covered.some(([from, to]) => from <= height && height <= to);
  for (const { height, blockIndex } of expected) {
    if (covered(height) && height > answer.since && !given.has(name(height, blockIndex))) {
      world.violate('index-set-complete', `${host.name} told user ${user} of ${height} as covered, without its match`);
    }
  }
  for (const [height, blockIndex] of answer.entries) {
    if (!expected.some((match) => match.height === height && match.blockIndex === blockIndex)) {
      world.violate(
        'index-set-complete',
        `${host.name} told user ${user} of ${height}/${blockIndex}, which is no match`,
      );
    }
  }
  if (answer.syncedTo > world.highest) {
    world.violate('index-set-complete', `${host.name} claims to be synced to ${answer.syncedTo}, above the tip`);
  }
}
