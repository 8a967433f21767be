// Compaction: many match records of all users become few, without the registrations that are gone. It is due by height
// alone, so that what is written when tells nothing about anybody.

import { compareEntries, unionEntries } from './entries.ts';
import { COMPACTED_BYTES_WANTED, COMPACTION_BLOCKS } from './limits.ts';
import type { Match, MatchRecord, Span } from './match-record.ts';
import { type Ranges, unionRanges } from './ranges.ts';

/** Whether a head batch that ends at `to` ends a stretch of COMPACTION_BLOCKS begun after `previousTo`. */
export const compactionDue = (previousTo: number, to: number): boolean =>
  Math.floor(previousTo / COMPACTION_BLOCKS) !== Math.floor(to / COMPACTION_BLOCKS);

/**
 * The union of `records` in as few records as sizes allow, cut between heights. Written in one batch with the deletion
 * of its sources it changes no answer.
 * @param keep whether a registration still exists; matches of others are left out.
 */
export function compactRecords(
  records: readonly MatchRecord[],
  keep: (serial: number) => boolean,
  options: { bytesWanted?: number } = {},
): MatchRecord[] {
  const merged: MatchRecord = {
    spans: mergeSpans(records.flatMap(({ spans }) => spans)),
    everybody: records.reduce<MatchRecord['everybody']>((all, { everybody }) => unionEntries(all, everybody), []),
    matches: mergeMatches(
      records.flatMap(({ matches }) => matches),
      keep,
    ),
  };
  const cuts = cutHeights(merged, options.bytesWanted ?? COMPACTED_BYTES_WANTED);
  return cuts.map((above, i) => slice(merged, above, cuts[i + 1] ?? Number.MAX_SAFE_INTEGER));
}

/** Spans with the same registrations become one where they touch. */
function mergeSpans(spans: readonly Span[]): Span[] {
  const bySerials = new Map<string, { serials: Ranges; heights: Ranges }>();
  for (const { from, to, serials } of [...spans].sort((a, b) => a.from - b.from)) {
    const key = serials.join(' ');
    const known = bySerials.get(key);
    if (known) known.heights = unionRanges(known.heights, [[from, to]]);
    else bySerials.set(key, { serials, heights: [[from, to]] });
  }
  const merged = [...bySerials.values()].flatMap(({ serials, heights }) =>
    heights.map(([from, to]) => ({ from, to, serials })),
  );
  return merged.sort((a, b) => a.from - b.from || a.to - b.to || a.serials[0]![0] - b.serials[0]![0]);
}

function mergeMatches(matches: readonly Match[], keep: (serial: number) => boolean): Match[] {
  const out: { entry: Match['entry']; serials: number[] }[] = [];
  for (const { entry, serials } of [...matches].sort((a, b) => compareEntries(a.entry, b.entry))) {
    const kept = serials.filter(keep);
    const last = out.at(-1);
    if (last && compareEntries(last.entry, entry) === 0) last.serials.push(...kept);
    else out.push({ entry, serials: kept });
  }
  return out
    .filter(({ serials }) => serials.length > 0)
    .map(({ entry, serials }) => ({ entry, serials: [...new Set(serials)].sort((a, b) => a - b) }));
}

/** Each piece holds what is above its cut, up to the next one. */
function cutHeights({ everybody, matches }: MatchRecord, bytesWanted: number): number[] {
  const cuts = [-1];
  let bytes = 0;
  let height = -1;
  const weights = [
    ...everybody.map((entry): [number, number] => [entry[0], 4]),
    ...matches.map(({ entry, serials }): [number, number] => [entry[0], 6 + 3 * serials.length]),
  ].sort((a, b) => a[0] - b[0]);
  for (const [at, weight] of weights) {
    if (at > height && bytes >= bytesWanted) {
      cuts.push(height);
      bytes = 0;
    }
    bytes += weight;
    height = at;
  }
  return cuts;
}

function slice({ spans, everybody, matches }: MatchRecord, above: number, upTo: number): MatchRecord {
  const inside = (height: number) => height > above && height <= upTo;
  return {
    spans: spans
      .filter(({ from, to }) => to > above && from <= upTo)
      .map(({ from, to, serials }) => ({ from: Math.max(from, above + 1), to: Math.min(to, upTo), serials })),
    everybody: everybody.filter(([height]) => inside(height)),
    matches: matches.filter(({ entry }) => inside(entry[0])),
  };
}
