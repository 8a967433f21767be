// Replays for tests: the recorded chain, and small ones made up.

import { readFileSync } from 'node:fs';
import { toHex } from '../../src/core/bytes.ts';
import { parseReplay, type Replay } from '../../src/devnet/index.ts';
import type { ChainBlock } from '../../src/indexer/index.ts';
import { seededRandom } from './seeded-random.ts';

const chainPath = new URL('../vectors/chain/chain.jsonl', import.meta.url);

export interface ReplayLine {
  readonly height: number;
  readonly block_index: number;
  readonly flags: readonly string[] | null;
}

export const recordedText = (): string => readFileSync(chainPath, 'utf8');
export const recordedChain = (): Replay => parseReplay(recordedText());

/** Every line of the recorded chain. */
export const recordedLines = (): ReplayLine[] =>
  recordedText()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as ReplayLine);

/** Hex of something with the frame of a flag. */
export function flagHex(seed: string): string {
  const bytes = seededRandom(seed).bytes(111);
  bytes.set([3, 0, 0, 0, 0, 0, 0, 0], 100);
  bytes[110] = bytes[110]! & 0x0f;
  return toHex(bytes);
}

/** One transaction in each second height from `first` on, every seventh of them without flags. */
export function madeUpLines(first: number, heights: number): ReplayLine[] {
  const lines: ReplayLine[] = [];
  for (let height = first; height < first + heights; height += 2) {
    const flags = height % 7 === 0 ? null : [flagHex(`${height}/0`), flagHex(`${height}/1`)];
    lines.push({ height, block_index: height % 3, flags });
  }
  return lines;
}

export const replayOf = (lines: readonly ReplayLine[]): Replay =>
  parseReplay(lines.map((line) => JSON.stringify(line)).join('\n'));

/** What blocks say, in the form of a replay file. */
export function linesOf(blocks: readonly ChainBlock[]): ReplayLine[] {
  return blocks.flatMap(({ height, transactions }) =>
    transactions.map(({ blockIndex, flags }) => ({
      height,
      block_index: blockIndex,
      flags: flags?.map(toHex) ?? null,
    })),
  );
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
