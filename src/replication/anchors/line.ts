// The line of anchors that count, from the first known here to the newest: who follows whom. In memory, 100 bytes each.

import { toHex } from '../../core/bytes.ts';
import { type Anchor, NO_ANCHOR_HASH, positionOf } from './anchor.ts';
import { ANCESTORS_MAX } from './limits.ts';

export interface LinePlace {
  readonly position: number;
  /** Hex. */
  readonly hash: string;
  readonly previous: string;
}

/** An anchor that a later one names and that is not known. */
export interface MissingAnchor {
  /** Hex. */
  readonly hash: string;
  /** It comes before this position. */
  readonly below: number;
}

export interface Line {
  readonly size: number;
  readonly head: LinePlace | undefined;
  at(position: number): LinePlace | undefined;
  byHash(hash: string): LinePlace | undefined;
  positions(): IterableIterator<number>;
  insert(place: LinePlace): void;
  remove(position: number): void;
  /** The newest gap on the way from the head to `base`, if it is not too far back. */
  missing(base: number): MissingAnchor | undefined;
  /** Which places do not belong to the line any more once `place` does, as `next` (or as the head) says it must. */
  contradicting(place: LinePlace, below: number): number[];
}

export const FIRST: string = toHex(NO_ANCHOR_HASH);

export const placeOf = (anchor: Anchor, hash: Uint8Array): LinePlace => ({
  position: positionOf(anchor),
  hash: toHex(hash),
  previous: toHex(anchor.previous),
});

export function createLine(): Line {
  const places = new Map<number, LinePlace>();
  const hashes = new Map<string, LinePlace>();
  let head: LinePlace | undefined;

  return {
    get size() {
      return places.size;
    },
    get head() {
      return head;
    },
    at: (position) => places.get(position),
    byHash: (hash) => hashes.get(hash),
    positions: () => places.keys(),
    insert(place) {
      places.set(place.position, place);
      hashes.set(place.hash, place);
      if (!head || place.position >= head.position) head = place;
    },
    remove(position) {
      const place = places.get(position);
      if (!place) return;
      places.delete(position);
      hashes.delete(place.hash);
      if (head?.position !== position) return;
      head = undefined;
      for (const other of places.values()) if (!head || other.position > head.position) head = other;
    },
    missing(base) {
      let at = head;
      for (let steps = 0; at && steps < ANCESTORS_MAX; steps++) {
        if (at.position <= base || at.previous === FIRST) return undefined;
        const before = hashes.get(at.previous);
        if (!before) return { hash: at.previous, below: at.position };
        at = before;
      }
      return undefined;
    },
    contradicting(place, below) {
      const before = place.previous === FIRST ? -1 : (hashes.get(place.previous)?.position ?? place.position - 1);
      return [...places.values()]
        .filter(({ position, hash }) => position > before && position < below && hash !== place.hash)
        .map(({ position }) => position);
    },
  };
}
