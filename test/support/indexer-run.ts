// An indexer over the simulated chain on a clock that stands still until the test moves it.

import { onTestFinished } from 'vitest';
import type { Devnet } from '../../src/devnet/index.ts';
import {
  type ChainSource,
  createCometSource,
  createIndexer,
  createMaspSource,
  createMemoryStore,
  type Indexer,
  type IndexerEvent,
  type IndexerOptions,
  type NoteStore,
  openNoteStore,
  type Store,
} from '../../src/indexer/index.ts';
import { createManualClock, type ManualClock } from './manual-clock.ts';
import { collect, linesOf, madeUpLines, type ReplayLine } from './replay.ts';
import { seededRandom } from './seeded-random.ts';

export const FIRST = 1_000;
export const POLL_MS = 1_000;
export const LINES = madeUpLines(FIRST, 201);
export const TIP = FIRST + 200;

export interface Run {
  readonly clock: ManualClock;
  readonly indexer: Indexer;
  readonly notes: NoteStore;
  readonly events: IndexerEvent[];
}

export type MakeSource = (clock: ManualClock) => ChainSource;
export const comet =
  (devnet: Devnet, name = 'comet'): MakeSource =>
  (clock) =>
    createCometSource({ transport: devnet.transport(name), clock }, { textPrefix: 'kith/' });
export const masp =
  (devnet: Devnet): MakeSource =>
  (clock) =>
    createMaspSource({ transport: devnet.transport('masp'), clock });

/** In a test, with which it ends. */
export async function begin(
  sources: readonly MakeSource[],
  options: Partial<IndexerOptions> & { store?: Store; clock?: ManualClock } = {},
): Promise<Run> {
  const clock = options.clock ?? createManualClock();
  const notes = await openNoteStore(options.store ?? createMemoryStore());
  const events: IndexerEvent[] = [];
  const indexer = createIndexer(
    {
      clock,
      random: seededRandom('indexer'),
      notes,
      sources: sources.map((make) => make(clock)),
      report: (event) => events.push(event),
    },
    { chainId: 'kith-devnet', pollMs: POLL_MS, ...options },
  );
  onTestFinished(() => indexer.stop());
  await indexer.start();
  return { clock, indexer, notes, events };
}

export const reach = ({ clock, notes }: Run, height: number) =>
  clock.settle(notes.reached(height, new AbortController()));

export const stored = async ({ notes }: Run): Promise<ReplayLine[]> => {
  const { start, cursor } = notes.checkpoint!;
  return linesOf(await collect(notes.read(start, cursor)));
};

/** Lets time pass until the indexer has stopped; what for. */
export async function stopCode({ clock, indexer }: Run): Promise<string | undefined> {
  for (let i = 0; i < 200 && indexer.status().phase !== 'stopped'; i++) await clock.advance(POLL_MS);
  return indexer.status().error?.code;
}

export const linesTo = (tip: number): ReplayLine[] => LINES.filter(({ height }) => height <= tip);
