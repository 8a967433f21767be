// The logs of all writers as this node holds them: positions in memory, everything sealed. A log is held without gaps
// from `first` to `seq`. Changes are made within a batch of the writer and count once it is synced.

import { equalBytes, fromBase64Url } from '../../core/bytes.ts';
import { idBytes, type NodeId, nodeIdFromBytes } from '../../core/ids.ts';
import { HEIGHT_MAX } from '../../core/registration/limits.ts';
import { bytes, bytesUpTo, closed, shape, Type, uint } from '../../core/schema.ts';
import {
  ENTRY_BYTES_MAX,
  type Heights,
  type LogEntry,
  type LogPosition,
  logEntryHashOf,
  mustWipe,
  NO_ENTRY_HASH,
  type WriterId,
  writerIdOf,
} from '../../replication/index.ts';
import type { Batch } from '../registrations/batch-writer.ts';
import type { Ending } from '../registrations/registrations.ts';
import type { SealedStore, StoreWrite } from '../store/index.ts';
import { createEntryRecords } from './entry-records.ts';
import { ENDED_RECORDS_MAX, EVIDENCE_MAX, LOGS_PER_MEMBER_MAX } from './limits.ts';

const positionShape = shape(
  closed({
    nodeId: bytes(32),
    incarnation: uint(HEIGHT_MAX, 1),
    bootKey: bytes(32),
    seq: uint(HEIGHT_MAX),
    hash: bytes(32),
    first: uint(HEIGHT_MAX + 1, 1),
    expiryHeight: uint(HEIGHT_MAX),
    quarantined: Type.Optional(Type.Literal(true)),
  }),
);
const entryBytes = bytesUpTo(ENTRY_BYTES_MAX, 1);
/** Two signed entries of one writer that cannot both be of one log. */
const evidenceShape = shape(closed({ held: entryBytes, other: entryBytes }));

/** A log and how far it is held. */
export interface Log extends LogPosition {
  readonly id: WriterId;
}

/** Where an entry would go. */
export type Place =
  | { readonly kind: 'next' }
  /** There is an entry, or was. */
  | { readonly kind: 'held' }
  | { readonly kind: 'gap'; readonly seq: number }
  /** It follows another entry than the one that is held. */
  | { readonly kind: 'conflict' }
  | { readonly kind: 'quarantined' };

export interface LogBook {
  /** As of the last synced batch. */
  all(): Iterable<Log>;
  get(id: WriterId): Log | undefined;
  /** As the batch under way leaves it. */
  inBatch(id: WriterId): Log | undefined;
  /** In the batch under way. */
  placeOf(id: WriterId, entry: LogEntry): Place;
  /** The entry must be the next of its log. Of a member with too many logs the oldest goes, if need be this one. */
  append(batch: Batch, id: WriterId, entry: LogEntry, encoded: Uint8Array): void;
  /** Takes nothing more into this log, and keeps the two entries as evidence. */
  quarantine(batch: Batch, id: WriterId, evidence: { held: Uint8Array; other: Uint8Array }): void;
  /** Counts a log as held up to there, without its entries; never lowers. */
  adopt(batch: Batch, position: LogPosition): void;
  /** Adds to the batch what its works changed. */
  complete(batch: Batch): Promise<void>;
  /** The bytes of an entry that is kept and synced. */
  entry(id: WriterId, seq: number): Promise<Uint8Array | undefined>;
  /** What ends as heights pass. To be called while no batch is under way. */
  ending(heights: Heights): Promise<Ending>;
}

/** Reads the positions that the store holds. @param own the log of this boot: never adopted, never dropped. */
export async function openLogBook({ store }: { store: SealedStore }, own: WriterId): Promise<LogBook> {
  const positions = store.namespace('log-positions', positionShape);
  const evidences = store.namespace('log-evidence', evidenceShape);
  const records = createEntryRecords({ store });

  const logs = new Map<WriterId, Log>();
  for await (const [, { nodeId, incarnation, bootKey, ...rest }] of positions.entries()) {
    const writer = { nodeId: nodeIdFromBytes(nodeId), incarnation, bootKey };
    const id = writerIdOf(writer);
    logs.set(id, { ...rest, writer, id } as Log);
  }

  /** What the batch under way changes; undefined: dropped. */
  const changed = new Map<WriterId, Log | undefined>();
  /** Entries of that batch. */
  const added = new Map<WriterId, Map<number, Uint8Array>>();

  const now = (id: WriterId): Log | undefined => (changed.has(id) ? changed.get(id) : logs.get(id));

  function change(batch: Batch, id: WriterId, next: Log | undefined): void {
    const [had, before] = [changed.has(id), changed.get(id)];
    changed.set(id, next);
    batch.onUndo(() => {
      if (had) changed.set(id, before);
      else changed.delete(id);
    });
  }

  function ofMember(nodeId: NodeId): Log[] {
    const ids = new Set([...logs.keys(), ...changed.keys()]);
    return [...ids].map(now).filter((log) => log !== undefined && log.writer.nodeId === nodeId) as Log[];
  }

  /** Makes room for one more log of its member. False if it is itself the oldest of too many. */
  function makeRoom(batch: Batch, log: Log): boolean {
    const all = [...ofMember(log.writer.nodeId), log].filter(({ id }) => id !== own);
    if (all.length <= LOGS_PER_MEMBER_MAX) return true;
    const older = (a: Log, b: Log) => a.writer.incarnation - b.writer.incarnation || (a.id < b.id ? -1 : 1);
    const oldest = all.sort(older)[0]!;
    if (oldest.id === log.id) return false;
    const stored = logs.get(oldest.id);
    if (stored) batch.write(...records.deleteAll(stored), positions.delete(fromBase64Url(oldest.id)));
    added.delete(oldest.id);
    change(batch, oldest.id, undefined);
    return true;
  }

  function positionWrite({ id, writer, ...rest }: Log): StoreWrite {
    const { nodeId, incarnation, bootKey } = writer;
    return positions.put(fromBase64Url(id), { ...rest, nodeId: idBytes(nodeId), incarnation, bootKey });
  }

  async function complete(batch: Batch): Promise<void> {
    for (const [id, log] of changed) {
      if (!log) continue;
      const fresh = added.get(id);
      batch.write(positionWrite(log), ...(fresh ? await records.add(id, log.first, fresh) : []));
    }
    const settled = [...changed];
    changed.clear();
    added.clear();
    batch.onSynced(() => {
      for (const [id, log] of settled) setLog(id, log);
    });
  }

  function setLog(id: WriterId, log: Log | undefined): void {
    if (log) logs.set(id, log);
    else logs.delete(id);
  }

  /** Whether its member began another log since: nobody will ever ask what comes next in this one. */
  const isClosed = ({ id, writer }: Log): boolean =>
    id !== own && ofMember(writer.nodeId).some((other) => other.writer.incarnation > writer.incarnation);

  async function withoutEnded(log: Log, heights: Heights, recordsMax: number): Promise<[Log, StoreWrite[]]> {
    const writes: StoreWrite[] = [];
    let { first } = log;
    while (first <= log.seq && writes.length < recordsMax) {
      const record = await records.firstRecord({ ...log, first });
      if (!mustWipe(record.expiryHeight, heights)) break;
      writes.push(record.delete);
      first = record.to + 1;
    }
    return [{ ...log, first }, writes];
  }

  return {
    all: () => logs.values(),
    get: (id) => logs.get(id),
    inBatch: now,
    placeOf(id, { seq, previous }) {
      const log = now(id);
      if (log?.quarantined) return { kind: 'quarantined' };
      const held = log?.seq ?? 0;
      if (seq <= held) return { kind: 'held' };
      if (seq > held + 1) return { kind: 'gap', seq: held };
      const follows = equalBytes(previous, log?.hash ?? NO_ENTRY_HASH);
      // The hash of a position that was adopted is hearsay: only an entry that is kept, hence signed, can contradict.
      if (!follows && log && log.first <= log.seq) return { kind: 'conflict' };
      return { kind: 'next' };
    },
    append(batch, id, entry, encoded) {
      const before = now(id);
      const { nodeId, incarnation, bootKey, seq } = entry;
      const next: Log = {
        id,
        writer: before?.writer ?? { nodeId: nodeIdFromBytes(nodeId), incarnation, bootKey },
        seq,
        hash: logEntryHashOf(encoded),
        first: before?.first ?? seq,
        expiryHeight: Math.max(before?.expiryHeight ?? 0, entry.expiryHeight),
      };
      if (!before && !makeRoom(batch, next)) return;
      const fresh = added.get(id) ?? new Map<number, Uint8Array>();
      added.set(id, fresh.set(seq, encoded));
      batch.onUndo(() => void fresh.delete(seq));
      change(batch, id, next);
    },
    quarantine(batch, id, evidence) {
      const log = now(id);
      if (!log || log.quarantined) return;
      if (evidences.size < EVIDENCE_MAX) batch.write(evidences.put(fromBase64Url(id), evidence));
      change(batch, id, { ...log, quarantined: true });
    },
    adopt(batch, { writer, seq, hash, expiryHeight }) {
      const id = writerIdOf(writer);
      const before = now(id);
      if (id === own || before?.quarantined || seq <= (before?.seq ?? 0)) return;
      const ends = Math.max(before?.expiryHeight ?? 0, expiryHeight);
      const next: Log = { id, writer, seq, hash, first: seq + 1, expiryHeight: ends };
      if (!before && !makeRoom(batch, next)) return;
      const stored = logs.get(id);
      if (stored) batch.write(...records.deleteAll(stored));
      added.delete(id);
      change(batch, id, next);
    },
    complete,
    async entry(id, seq) {
      for (;;) {
        const log = logs.get(id);
        if (!log || seq < log.first || seq > log.seq) return undefined;
        const encoded = await records.read(log, seq);
        // It may have been dropped, or have moved into a segment, meanwhile.
        if (encoded || logs.get(id) === log) return encoded;
      }
    },
    async ending(heights) {
      const writes: StoreWrite[] = [];
      const settled: [WriterId, Log | undefined][] = [];
      for (const log of logs.values()) {
        const [kept, deletes] = await withoutEnded(log, heights, ENDED_RECORDS_MAX - writes.length);
        const isOver = kept.first > kept.seq && mustWipe(kept.expiryHeight, heights) && isClosed(kept);
        if (isOver) deletes.push(positions.delete(fromBase64Url(log.id)));
        else if (deletes.length > 0) deletes.push(positionWrite(kept));
        if (deletes.length > 0) settled.push([log.id, isOver ? undefined : kept]);
        writes.push(...deletes);
      }
      return {
        writes,
        done: () => {
          for (const [id, log] of settled) setLog(id, log);
        },
      };
    },
  };
}
