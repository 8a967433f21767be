// What this node lacks of what others announced: the one place that says which logs do not count (forked ones, those
// whose operations are all expired, this boot's own, and what nobody gives although announced).

import { equalBytes } from '../../core/bytes.ts';
import type { NodeId } from '../../core/ids.ts';
import { type LogEntry, type WriterId, writerIdOf } from '../log-entry.ts';
import type { LogPosition, Replica } from '../replica.ts';
import { type AnnouncedFrontiers, type Frontier, frontierOf, missingOf, NO_FRONTIER } from './frontier.ts';
import { FORKS_MAX } from './limits.ts';
import { writerOf } from './wire.ts';

export interface Missing {
  readonly writer: WriterId;
  readonly position: LogPosition;
  /** The highest entry of it that is held. */
  readonly held: number;
}

export interface Logs {
  own(): Frontier;
  missingFrom(nodeId: NodeId): Missing[];
  /** What of `frontier` this node lacks. */
  missingOf(frontier: Frontier): Missing[];
  /** What a member lacks of `frontier`, as it announced last. */
  lackedBy(nodeId: NodeId, frontier: Frontier): Missing[];
  /** There are two entries at one place of this log. @returns its writer, if that is news. */
  forked(entry: LogEntry): WriterId | undefined;
  readonly forks: number;
  /** Logs whose last entry there is another one than here: their writer signed two. */
  suspectsOf(nodeId: NodeId): Missing[];
}

export function createLogs(deps: {
  readonly replica: Replica;
  readonly announced: AnnouncedFrontiers;
  readonly writerId: WriterId;
  /** The lower of own and cluster height. */
  readonly height: () => number;
}): Logs {
  const { replica, announced, writerId } = deps;
  const forks = new Set<WriterId>();

  const ignored = (writer: WriterId, position: LogPosition): boolean =>
    writer === writerId || forks.has(writer) || position.expiryHeight < deps.height();

  const lacking = (frontier: Frontier) => missingOf((writer) => replica.position(writer), frontier, ignored);

  return {
    own: () => frontierOf(replica.positions()),
    missingFrom: (nodeId) => lacking(announced.of(nodeId) ?? NO_FRONTIER),
    missingOf: lacking,
    lackedBy(nodeId, frontier) {
      const theirs = announced.of(nodeId) ?? NO_FRONTIER;
      return missingOf(
        (writer) => theirs.get(writer),
        frontier,
        (writer, position) => forks.has(writer) || position.expiryHeight < deps.height(),
      );
    },
    forked(entry) {
      const writer = writerIdOf(writerOf(entry));
      if (forks.has(writer) || forks.size >= FORKS_MAX) return undefined;
      forks.add(writer);
      return writer;
    },
    suspectsOf(nodeId) {
      const suspects: Missing[] = [];
      for (const [writer, position] of announced.of(nodeId) ?? NO_FRONTIER) {
        const own = replica.position(writer);
        if (!own || own.seq !== position.seq || own.seq === 0 || ignored(writer, position)) continue;
        if (!equalBytes(own.hash, position.hash)) suspects.push({ writer, position, held: own.seq - 1 });
      }
      return suspects;
    },
    get forks() {
      return forks.size;
    },
  };
}
