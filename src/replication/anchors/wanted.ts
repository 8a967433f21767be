// Tags of operations that anchors name and this node does not hold: kept until each is found, gone or out of date.

import { concatBytes, toHex } from '../../core/bytes.ts';
import { idBytes, type NodeId } from '../../core/ids.ts';
import { Secret } from '../../core/secret.ts';
import type { OperationRef } from '../log-entry.ts';
import { tagsOf } from './anchor.ts';
import { SEQ_LIMIT, WANTED_TAGS_MAX } from './limits.ts';
import type { WantedRecord } from './records.ts';
import { tagOf } from './tags.ts';

/** What is looked for of one anchor. */
export interface WantedAnchor {
  readonly position: number;
  readonly epoch: number;
  readonly root: Uint8Array;
  /** Of the epoch: outlives the log key, and leads to no other epoch. */
  readonly tagKey: Secret;
  /** Some of its tags were given up: its root cannot be checked any more. */
  readonly partial: boolean;
  /** By their hex. */
  readonly tags: ReadonlyMap<string, Uint8Array>;
  /** Members that said that nobody needs it any more. */
  readonly gone: Map<string, Set<NodeId>>;
}

export interface WantedTags {
  readonly size: number;
  all(): Iterable<WantedAnchor>;
  get(position: number): WantedAnchor | undefined;
  /** Whether so many more may be looked for. */
  hasRoom(tags: number): boolean;
  /** Takes a record that is in the store; what was wanted at its place before is not any more. */
  set(position: number, record: WantedRecord): void;
  /** Those of the operations that are looked for, with their tags. */
  match(anchor: WantedAnchor, refs: readonly OperationRef[]): { readonly ref: OperationRef; readonly tag: string }[];
  /** What is left of an anchor's record without these; undefined if nothing. To be stored, then `set`. */
  without(anchor: WantedAnchor, tags: ReadonlySet<string>, givenUp: boolean): WantedRecord | undefined;
  delete(position: number): void;
}

export function createWantedTags(): WantedTags {
  const anchors = new Map<number, WantedAnchor>();
  let size = 0;

  function drop(position: number): void {
    const anchor = anchors.get(position);
    if (!anchor) return;
    anchor.tagKey.wipe();
    size -= anchor.tags.size;
    anchors.delete(position);
  }

  function set(position: number, { root, tagKey, tags, partial }: WantedRecord): void {
    const named = new Map(tagsOf({ tags }).map((tag) => [toHex(tag), tag]));
    const gone = anchors.get(position)?.gone ?? new Map<string, Set<NodeId>>();
    const key = Secret.copy(tagKey);
    drop(position);
    if (named.size === 0) {
      key.wipe();
      return;
    }
    const epoch = Math.floor(position / SEQ_LIMIT);
    anchors.set(position, { position, epoch, root, tagKey: key, partial, tags: named, gone });
    size += named.size;
  }

  return {
    get size() {
      return size;
    },
    all: () => anchors.values(),
    get: (position) => anchors.get(position),
    hasRoom: (tags) => size + tags <= WANTED_TAGS_MAX,
    set,
    match(anchor, refs) {
      const named = refs.map((ref) => ({ ref, tag: toHex(tagOf(anchor.tagKey.expose(), idBytes(ref.opId))) }));
      return named.filter(({ tag }) => anchor.tags.has(tag));
    },
    without(anchor, tags, givenUp) {
      const left = [...anchor.tags].filter(([name]) => !tags.has(name)).map(([, tag]) => tag);
      if (left.length === 0) return undefined;
      const { root, tagKey, partial } = anchor;
      const secret = tagKey.expose().slice();
      return { root, tagKey: secret, tags: concatBytes(...left), partial: partial || givenUp };
    },
    delete: drop,
  };
}
