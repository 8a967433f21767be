// Frontiers: how far a member holds each log. Digests and pages of the own one, and what others announced of theirs.

import { sha256 } from '#crypto';
import { concatBytes, equalBytes, fromBase64Url, toBase64Url, u64be, utf8 } from '../../core/bytes.ts';
import type { NodeId } from '../../core/ids.ts';
import { LABEL_FRONTIER } from '../../core/labels.ts';
import { type WriterId, writerIdOf } from '../log-entry.ts';
import type { LogPosition } from '../replica.ts';
import { FRONTIERS_MAX, POSITIONS_MAX, POSITIONS_PER_PAGE } from './limits.ts';
import type { SyncAnswer } from './messages.ts';
import { positionToWire } from './wire.ts';

export type Frontier = ReadonlyMap<WriterId, LogPosition>;

export const NO_FRONTIER: ReadonlyMap<WriterId, LogPosition> = new Map<WriterId, LogPosition>();

/** @param positions one for each log. */
export const frontierOf = (positions: readonly LogPosition[]): Frontier =>
  new Map(positions.slice(0, POSITIONS_MAX).map((position) => [writerIdOf(position.writer), position]));

const ascending = (frontier: Frontier): WriterId[] => [...frontier.keys()].sort();

/** SHA-256("kith/frontier/v1" || for each log, ascending by writer id as text: writer id || u64 seq || hash). */
export function digestOf(frontier: Frontier): Uint8Array {
  const parts: Uint8Array[] = [utf8(LABEL_FRONTIER)];
  for (const writer of ascending(frontier)) {
    const { seq, hash } = frontier.get(writer)!;
    parts.push(fromBase64Url(writer), u64be(seq), hash);
  }
  return sha256(concatBytes(...parts));
}

/** One page of a frontier, or `same` if the asker's memory of it is right. */
export function answerFrontier(
  own: Frontier,
  request: { readonly digest: Uint8Array; readonly after?: Uint8Array },
): SyncAnswer {
  if (!request.after && equalBytes(request.digest, digestOf(own))) return { kind: 'same' };
  const after = request.after && toBase64Url(request.after);
  const writers = ascending(own).filter((writer) => after === undefined || writer > after);
  const positions = writers.slice(0, POSITIONS_PER_PAGE).map((writer) => positionToWire(own.get(writer)!));
  return { kind: 'frontier', positions, more: writers.length > POSITIONS_PER_PAGE };
}

/** What of `theirs` is not covered by `own`, without the logs that `ignored` names. */
export function missingOf(
  own: (writer: WriterId) => LogPosition | undefined,
  theirs: Frontier,
  ignored: (writer: WriterId, position: LogPosition) => boolean,
): { readonly writer: WriterId; readonly position: LogPosition; readonly held: number }[] {
  const missing = [];
  for (const [writer, position] of theirs) {
    const held = own(writer)?.seq ?? 0;
    if (position.seq > held && !ignored(writer, position)) missing.push({ writer, position, held });
  }
  return missing;
}

interface Announced {
  frontier: Map<WriterId, LogPosition>;
  /** Of the frontier; undefined after it changed. */
  digest: Uint8Array | undefined;
  /** Acknowledged pushes, counted: an answer that was made before one must not take it back. */
  acknowledged: number;
  /** It announced itself at least once; else there is nothing but acknowledged pushes. */
  whole: boolean;
}

/** What the other members announced last. Bounded: FRONTIERS_MAX members, POSITIONS_MAX logs each. */
export interface AnnouncedFrontiers {
  of(nodeId: NodeId): Frontier | undefined;
  digest(nodeId: NodeId): Uint8Array;
  /** Members that said they hold the log up to `seq` or further. */
  holdersOf(writer: WriterId, seq: number): NodeId[];
  /** A mark for `replace`. */
  mark(nodeId: NodeId): number;
  /** @param mark taken before the member was asked. */
  replace(nodeId: NodeId, frontier: Frontier, mark: number, keep: WriterId): void;
  /** An acknowledged push. */
  raise(nodeId: NodeId, writer: WriterId, position: LogPosition): void;
  onChange(listener: (nodeId: NodeId) => void): () => void;
}

/** @param deps.connected those that are kept before others. */
export function createAnnouncedFrontiers(deps: {
  readonly connected: (nodeId: NodeId) => boolean;
}): AnnouncedFrontiers {
  const members = new Map<NodeId, Announced>();
  const listeners = new Set<(nodeId: NodeId) => void>();
  const emptyDigest = digestOf(NO_FRONTIER);

  function entryOf(nodeId: NodeId): Announced {
    const known = members.get(nodeId);
    if (known) return known;
    if (members.size >= FRONTIERS_MAX) {
      const gone = [...members.keys()].find((id) => !deps.connected(id)) ?? [...members.keys()][0]!;
      members.delete(gone);
    }
    const fresh: Announced = { frontier: new Map(), digest: undefined, acknowledged: 0, whole: false };
    members.set(nodeId, fresh);
    return fresh;
  }

  const tell = (nodeId: NodeId) => {
    for (const listener of listeners) listener(nodeId);
  };

  return {
    of: (nodeId) => {
      const entry = members.get(nodeId);
      return entry?.whole ? entry.frontier : undefined;
    },
    digest(nodeId) {
      const entry = members.get(nodeId);
      if (!entry?.whole) return emptyDigest;
      entry.digest ??= digestOf(entry.frontier);
      return entry.digest;
    },
    holdersOf(writer, seq) {
      const holders: NodeId[] = [];
      for (const [nodeId, { frontier }] of members) {
        if ((frontier.get(writer)?.seq ?? 0) >= seq) holders.push(nodeId);
      }
      return holders;
    },
    mark: (nodeId) => members.get(nodeId)?.acknowledged ?? 0,
    replace(nodeId, frontier, mark, keep) {
      const entry = entryOf(nodeId);
      const acknowledged = entry.acknowledged === mark ? undefined : entry.frontier.get(keep);
      entry.frontier = new Map(frontier);
      if (acknowledged && (frontier.get(keep)?.seq ?? 0) < acknowledged.seq) entry.frontier.set(keep, acknowledged);
      entry.digest = undefined;
      entry.whole = true;
      tell(nodeId);
    },
    raise(nodeId, writer, position) {
      const entry = entryOf(nodeId);
      entry.acknowledged += 1;
      if ((entry.frontier.get(writer)?.seq ?? 0) >= position.seq) return;
      entry.frontier.set(writer, position);
      entry.digest = undefined;
      tell(nodeId);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
