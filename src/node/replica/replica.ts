// The replica of a node: the port of replication over registrations and logs, both in the sealed store. What comes in is
// verified here, merged and synced by the batch writer, and only then answered.

import { equalBytes } from '../../core/bytes.ts';
import type { Ed25519Signer } from '../../core/crypto/door.ts';
import { type NodeId, nodeIdFromBytes, type OpId, opIdFromBytes, type RegId, regIdFromBytes } from '../../core/ids.ts';
import { type BatchReceipt, signReceipt } from '../../core/receipt.ts';
import { LIFETIME_BLOCKS, VERSION_AHEAD_BLOCKS_MAX } from '../../core/registration/limits.ts';
import { decodeOperation } from '../../core/registration/operation.ts';
import type { DeriveKeys } from '../../core/registration/payload.ts';
import type { JournalHead } from '../../keyserver/index.ts';
import {
  type AdmissionContext,
  type BodyOutcome,
  decodeLogEntry,
  type EntryOutcome,
  type EntryWithBodies,
  encodeLogEntry,
  type Heights,
  type OperationBody,
  type OperationRef,
  operationsOf,
  type Replica,
  type Writer,
  type WriterId,
  writerIdOf,
} from '../../replication/index.ts';
import type { Log as EventLog } from '../log.ts';
import type { Batch, BatchWriter } from '../registrations/batch-writer.ts';
import type { Merged } from '../registrations/merger.ts';
import {
  keysOf,
  type Origin,
  originOf,
  type StoredOperation,
  type StoredRegistration,
} from '../registrations/record.ts';
import type { Registrations } from '../registrations/registrations.ts';
import type { SealedStore } from '../store/index.ts';
import type { Heads } from './heads.ts';
import { BODIES_PER_WORK_MAX } from './limits.ts';
import type { Logs } from './logs.ts';
import { type CheckedBody, checkBodies, checkBody, checkEntry } from './verify-entry.ts';

export interface ReplicaDeps {
  readonly store: SealedStore;
  readonly writer: BatchWriter;
  readonly registrations: Registrations;
  readonly logs: Logs;
  readonly deriveKeys: DeriveKeys;
  readonly heights: () => Heights;
  readonly log: EventLog;
}

export interface ReplicaOptions {
  readonly clusterId: AdmissionContext['clusterId'];
  readonly nodeId: NodeId;
  /** Signs with the secret of the node. */
  readonly sign: Ed25519Signer;
  readonly incarnation: number;
  /** Whether the store is known to be the newest this node had: without that it gives no receipts. */
  readonly mayConfirm: () => boolean;
}

/** An operation in force and the entry that brought it. */
export interface OperationInForce {
  readonly opId: OpId;
  readonly origin: Origin | undefined;
}

export interface NodeReplica extends Replica, Pick<Heads, 'headOf' | 'noteHead'> {
  /** Whether it is one of those that count for their registration. From memory. */
  counts(ref: OperationRef): boolean;
  /** Calls back after operations were synced, from users or members. Returns what ends that. */
  onTaken(listener: (refs: readonly OperationRef[]) => void): () => void;
  /** The log of this boot; it has no position before its first entry. */
  readonly ownLog: WriterId;
  readonly stats: { readonly logs: number; readonly quarantined: number };
  /** The operations in force for a registration, as they are synced. */
  inForce(regId: RegId): Promise<OperationInForce[]>;
  /** The newest synced state of the store, for receipts and frontiers. */
  head(): JournalHead;
}

export function createReplica(deps: ReplicaDeps, options: ReplicaOptions): NodeReplica {
  const { store, writer, registrations, heights, log } = deps;
  const { book, own, heads } = deps.logs;
  const { clusterId } = options;
  writer.join(heads);

  const context = (): AdmissionContext => ({
    clusterId,
    heights: heights(),
    versionFloor: registrations.versionFloor,
  });
  const isInForce = ({ regId, opId }: OperationRef): boolean =>
    operationsOf(registrations.state(regId)).some((operation) => operation.opId === opId);

  /** What a work has to read: of an operation that is in force already nothing changes. */
  const needed = (bodies: readonly CheckedBody[]): RegId[] =>
    bodies
      .filter(({ operation, opId, keys }) => keys || !isInForce({ opId, regId: operation.regId }))
      .map(({ operation }) => operation.regId);

  const mergeAll = (batch: Batch, bodies: readonly CheckedBody[], origin: Origin | undefined): Merged[] =>
    bodies.map((body) => registrations.merge(batch, { ...body, origin }));

  /** Undefined: the entry that is kept has to be looked at. */
  function takeIntoBatch(batch: Batch, id: WriterId, { entry, encoded, bodies }: Checked): EntryOutcome | undefined {
    const place = book.placeOf(id, entry);
    switch (place.kind) {
      case 'gap':
        return place;
      case 'held':
      case 'conflict':
        return undefined;
      case 'quarantined':
        mergeAll(batch, bodies, undefined);
        return { kind: 'equivocation' };
      case 'next':
        mergeAll(batch, bodies, { writer: id, seq: entry.seq });
        book.append(batch, id, entry, encoded);
        return { kind: 'taken' };
    }
  }

  function quarantine(id: WriterId, { entry, encoded, bodies }: Checked, held: Uint8Array): Promise<EntryOutcome> {
    return writer.run({
      regIds: needed(bodies),
      operations: bodies.length,
      apply(batch) {
        mergeAll(batch, bodies, undefined);
        book.quarantine(batch, id, { held, other: encoded });
        const { incarnation, seq } = entry;
        const nodeId = nodeIdFromBytes(entry.nodeId);
        batch.onSynced(() => log.error('log-equivocation', { nodeId, incarnation, seq }));
        return { kind: 'equivocation' };
      },
    });
  }

  /** @param ahead how far the call brings each log, if everything before is taken. */
  async function takeEntry(one: EntryWithBodies, ahead: Map<WriterId, number>): Promise<EntryOutcome> {
    const { entry } = one;
    const by = writerOf(entry);
    const id = writerIdOf(by);
    const before = book.get(id);
    const seq = before?.seq ?? 0;
    if (id === own.id && entry.seq > seq) return { kind: 'invalid', why: 'an entry of this boot that it never wrote' };
    const reached = Math.max(seq, ahead.get(id) ?? 0);
    if (entry.seq > reached + 1) return { kind: 'gap', seq };
    ahead.set(id, Math.max(reached, entry.seq));

    const encoded = encodeLogEntry(entry);
    if (entry.seq <= seq && !before?.quarantined) {
      const kept = await book.entry(id, entry.seq);
      if (!kept || equalBytes(kept, encoded)) return { kind: 'taken' };
    }
    const bad = checkEntry(entry, context());
    if (bad) return bad;
    if (id === own.id) return { kind: 'invalid', why: 'this boot wrote another entry at its place' };
    const bodies = checkBodies(deps, one, context());
    if ('kind' in bodies) return bodies;
    const checked = { entry, encoded, bodies };
    const apply = (batch: Batch) => takeIntoBatch(batch, id, checked);
    const outcome = await writer.run({ regIds: needed(bodies), operations: bodies.length + 1, apply });
    return outcome ?? compareWithKept(id, checked);
  }

  /** The place is taken, or the entry before it is another than this one follows. */
  async function compareWithKept(id: WriterId, checked: Checked): Promise<EntryOutcome> {
    const { seq } = checked.entry;
    const kept = await book.entry(id, Math.min(seq, book.get(id)?.seq ?? 0));
    if (!kept || equalBytes(kept, checked.encoded)) return { kind: 'taken' };
    return quarantine(id, checked, kept);
  }

  async function takeBodies(bodies: readonly OperationBody[]): Promise<BodyOutcome[]> {
    const outcomes: BodyOutcome[] = [];
    let before: Promise<void> = Promise.resolve();
    for (let from = 0; from < bodies.length; from += BODIES_PER_WORK_MAX) {
      const verdicts = bodies.slice(from, from + BODIES_PER_WORK_MAX).map((body) => checkBody(deps, body, context()));
      const checked = verdicts.flatMap((verdict) => (verdict.kind === 'checked' ? [verdict.body] : []));
      // These were verified while the ones before were being synced.
      await before;
      const apply = (batch: Batch) => mergeAll(batch, checked, undefined);
      before = writer.run({ regIds: needed(checked), operations: checked.length, apply }).then((merged) => {
        const results = merged.values();
        for (const verdict of verdicts) {
          if (verdict.kind === 'refused') outcomes.push(verdict);
          else outcomes.push(results.next().value === 'taken' ? 'taken' : 'known');
        }
      });
    }
    await before;
    return outcomes;
  }

  /** As it is synced; undefined if it does not count. */
  async function body({ regId, opId }: OperationRef): Promise<OperationBody | undefined> {
    const recent = own.recentBody(opId);
    const inForce = isInForce({ regId, opId });
    const isKeyed = recent?.keys === undefined || registrations.keysHeld(regId);
    if (recent && inForce && isKeyed && !registrations.isPending(opId)) return recent;
    // Another may be in its place that is not synced yet.
    const replacing = operationsOf(registrations.state(regId)).some((other) => registrations.isPending(other.opId));
    if (!inForce && !replacing) return undefined;
    return bodiesIn(await registrations.record(regId)).find((found) => found.opId === opId)?.body;
  }

  async function read(id: WriterId, from: number, bytesMax: number): Promise<EntryWithBodies[]> {
    const found: EntryWithBodies[] = [];
    let bytes = 0;
    for (let seq = Math.max(from, book.get(id)?.first ?? 1); ; seq++) {
      const encoded = await book.entry(id, seq);
      if (!encoded) return found;
      const entry = decodeLogEntry(encoded);
      bytes += encoded.length;
      if (found.length > 0 && bytes > bytesMax) return found;
      const refs = entry.operations.map(refOf);
      const bodies = await Promise.all(refs.map(body));
      for (const one of bodies) bytes += one ? bodyBytes(one) : 0;
      if (found.length > 0 && bytes > bytesMax) return found;
      found.push({ entry, bodies });
    }
  }

  return {
    ownLog: own.id,
    counts: isInForce,
    onTaken: registrations.onTaken,
    get stats() {
      const all = [...book.all()];
      return { logs: all.length, quarantined: all.filter(({ quarantined }) => quarantined).length };
    },
    head: () => ({ incarnation: options.incarnation, sequence: store.head.batchSeq, hash: store.head.rootHash }),
    headOf: heads.headOf,
    noteHead: heads.noteHead,
    async inForce(regId) {
      const record = await registrations.record(regId);
      return operationsIn(record).map((stored) => ({ opId: opIdFromBytes(stored.opId), origin: originOf(stored) }));
    },
    positions: () => [...book.all()],
    position: (id) => book.get(id),
    read,
    async take(entries) {
      const ahead = new Map<WriterId, number>();
      const outcomes = await Promise.all(entries.map((one) => takeEntry(one, ahead)));
      // Gaps begin where the whole call has come to.
      const held = ({ entry }: EntryWithBodies) => book.get(writerIdOf(writerOf(entry)))?.seq ?? 0;
      return outcomes.map((one, i) => (one.kind === 'gap' ? { kind: 'gap', seq: held(entries[i]!) } : one));
    },
    takeBodies,
    async adopt(positions) {
      const { cluster } = heights();
      const expiryMax = cluster + VERSION_AHEAD_BLOCKS_MAX + LIFETIME_BLOCKS;
      await writer.run({
        regIds: [],
        operations: 1,
        apply(batch) {
          for (const position of positions) {
            book.adopt(batch, { ...position, expiryHeight: Math.min(position.expiryHeight, expiryMax) });
          }
        },
      });
    },
    body,
    bodiesOf: async (regId) => bodiesIn(await registrations.record(regId)).map((found) => found.body),
    holds: async (ref) =>
      !registrations.isPending(ref.opId) && (isInForce(ref) || registrations.wasOutranked(ref.opId)),
    *states() {
      for (const regId of registrations.regIds) {
        const opIds = operationsOf(registrations.state(regId)).map(({ opId }) => opId);
        yield { regId, opIds, keys: registrations.keysHeld(regId) };
      }
    },
    wanted: () => registrations.wanted(),
    receipt(opIds): BatchReceipt | undefined {
      if (!options.mayConfirm() || opIds.some((opId) => registrations.isPending(opId))) return undefined;
      const { nodeId, sign, incarnation } = options;
      const { batchSeq: sequence, rootHash: hash } = store.head;
      const signed = { clusterId, nodeId, incarnation, sequence, hash, height: heights().own };
      return signReceipt(sign, signed, opIds);
    },
    onAppended: own.onAppended,
  };
}

/** An entry whose signatures hold. */
interface Checked {
  readonly entry: EntryWithBodies['entry'];
  readonly encoded: Uint8Array;
  readonly bodies: readonly CheckedBody[];
}

const writerOf = ({ nodeId, incarnation, bootKey }: EntryWithBodies['entry']): Writer => ({
  nodeId: nodeIdFromBytes(nodeId),
  incarnation,
  bootKey,
});

const refOf = ({ opId, regId }: EntryWithBodies['entry']['operations'][number]): OperationRef => ({
  opId: opIdFromBytes(opId),
  regId: regIdFromBytes(regId),
});

/** The largest operation and what a message has around it; the keys beside it count by their length. */
const OPERATION_IN_MESSAGE_BYTES = 400;
const bodyBytes = ({ keys }: OperationBody): number =>
  OPERATION_IN_MESSAGE_BYTES + (keys ? 32 + keys.detectionKey.length : 0);

const operationsIn = (record: StoredRegistration | undefined): StoredOperation[] =>
  [record?.base, record?.renewal].filter((stored) => stored !== undefined);

const bodiesIn = (record: StoredRegistration | undefined): { opId: OpId; body: OperationBody }[] =>
  operationsIn(record).map((stored) => {
    const keys = stored.type === 'register' && record?.keys ? keysOf(record.keys) : undefined;
    return { opId: opIdFromBytes(stored.opId), body: { operation: decodeOperation(stored.signed), keys } };
  });
