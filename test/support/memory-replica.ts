// A replica in memory: what src/node does over the sealed store, with the same admission and merging, and nothing on
// disk. Its limbs can be twisted: forget bodies, answer with others, refuse to be written.

import { sha256 } from '#crypto';
import { equalBytes, utf8 } from '../../src/core/bytes.ts';
import { KithError } from '../../src/core/errors.ts';
import { idBytes, nodeIdFromBytes, type OpId, opIdFromBytes, type RegId } from '../../src/core/ids.ts';
import { type BatchReceipt, signReceipt } from '../../src/core/receipt.ts';
import { type Operation, operationId } from '../../src/core/registration/operation.ts';
import type { RegistrationKeys } from '../../src/core/registration/payload.ts';
import {
  admitFromMember,
  type BodyOutcome,
  checkLogEntry,
  createRegistry,
  type EntryOutcome,
  type EntryWithBodies,
  type Heights,
  type LogEntry,
  logEntryHash,
  NO_ENTRY_HASH,
  type OperationBody,
  type OperationRef,
  operationsOf,
  type Replica,
  signLogEntry,
  summarise,
  type Writer,
  type WriterId,
  writerIdOf,
} from '../../src/replication/index.ts';
import { encodeEntry } from '../../src/replication/sync/wire.ts';
import { clusterId, deriveTestKeys } from './registration.ts';
import type { RosterIdentity } from './roster.ts';

interface Log {
  readonly writer: Writer;
  seq: number;
  hash: Uint8Array;
  first: number;
  expiryHeight: number;
  readonly entries: Map<number, LogEntry>;
  forked: boolean;
}

export interface MemoryReplica extends Replica {
  readonly writer: Writer;
  readonly writerId: WriterId;
  readonly heights: { own: number; cluster: number };
  /** Makes an entry of this boot's own log. */
  append(operations: readonly { operation: Operation; keys?: RegistrationKeys }[]): LogEntry;
  /** Signs an entry of the own log without taking it: two of them at one place are an equivocation. */
  signEntry(seq: number, previous: Uint8Array, operations: readonly Operation[]): LogEntry;
  sweep(): void;
  /** Forgets the entries below `first` of a log, as expiry does. */
  forgetEntries(writer: WriterId, first: number): void;
  /** The keys of a registration are lost. */
  loseKeys(regId: RegId): void;
  /** Changes records behind the replica's back. */
  flip(regId: RegId, operation: Operation): void;
  /** A state that only audits see: for sets too large to sign. */
  plant(regId: RegId, opId: OpId): void;
  /** A store without the last of what it had, after which it boots anew. */
  rollback: boolean;
  failing: boolean;
  /** Everything that counts, as one comparable text. */
  readonly digest: string;
  /** Calls of the store, one synced batch each. */
  readonly batches: number;
  readonly evidence: readonly LogEntry[];
}

export function createMemoryReplica(
  identity: RosterIdentity,
  options: { incarnation?: number; boot?: string; heights?: Heights } = {},
): MemoryReplica {
  const incarnation = options.incarnation ?? 1;
  const writer: Writer = {
    nodeId: identity.nodeId,
    incarnation,
    bootKey: sha256(utf8(`boot ${options.boot ?? ''}${identity.nodeId}${incarnation}`)),
  };
  const writerId = writerIdOf(writer);
  const heights = { ...(options.heights ?? { own: 1_000, cluster: 1_000 }) };
  const registry = createRegistry();
  const logs = new Map<WriterId, Log>();
  const bodies = new Map<OpId, Operation>();
  const keysOf = new Map<RegId, RegistrationKeys>();
  const planted = new Map<RegId, OpId>();
  const known = new Set<OpId>();
  const listeners = new Set<() => void>();
  const evidence: LogEntry[] = [];
  let batches = 0;

  const logOf = (of: Writer): Log => {
    const id = writerIdOf(of);
    const log = logs.get(id) ?? {
      writer: of,
      seq: 0,
      hash: NO_ENTRY_HASH,
      first: 1,
      expiryHeight: 0,
      entries: new Map(),
      forked: false,
    };
    logs.set(id, log);
    return log;
  };

  function admit(body: OperationBody) {
    const payload = body.keys && { kind: 'keys' as const, ...body.keys };
    return admitFromMember({ deriveKeys: deriveTestKeys }, body.operation, payload, {
      clusterId,
      heights,
      versionFloor: registry.versionFloor,
    });
  }

  /** @returns whether anything changed. */
  function merge({ operation, keys }: OperationBody, opId: OpId): boolean {
    const hadKeys = registry.keysHeld(operation.regId);
    const change = registry.apply(operation.regId, summarise(operation, opId), { keys: keys !== undefined, heights });
    const counts = operationsOf(change.after).some((held) => held.opId === opId);
    const isNew = counts && !operationsOf(change.before).some((held) => held.opId === opId);
    known.add(opId);
    if (counts) bodies.set(opId, operation);
    for (const dropped of change.dropped) bodies.delete(dropped);
    if (keys && change.keysAfter) keysOf.set(operation.regId, keys);
    if (!change.keysAfter) keysOf.delete(operation.regId);
    return isNew || (change.keysAfter && !hadKeys);
  }

  function written(): void {
    if (memory.failing) throw new KithError('store-failed', 'the disk is full');
    batches += 1;
  }

  function takeEntry({ entry, bodies: given }: EntryWithBodies): EntryOutcome {
    if (!checkLogEntry(entry, clusterId)) return { kind: 'invalid', why: 'the signature is wrong' };
    const log = logOf({
      nodeId: nodeIdFromBytes(entry.nodeId),
      incarnation: entry.incarnation,
      bootKey: entry.bootKey,
    });
    const admitted: [OperationBody, OpId][] = [];
    for (const [i, body] of given.entries()) {
      if (!body) continue;
      const verdict = admit(body);
      if (verdict.kind === 'refused') {
        const never = ['wrong-signature', 'other-cluster', 'wrong-registration-id', 'wrong-payload'];
        if (never.includes(verdict.reason)) return { kind: 'invalid', why: verdict.reason };
        return { kind: 'refused', refusal: verdict };
      }
      if (!equalBytes(idBytes(verdict.opId), entry.operations[i]!.opId)) return { kind: 'invalid', why: 'other body' };
      admitted.push([body, verdict.opId]);
    }
    const apply = () => {
      for (const [body, opId] of admitted) merge(body, opId);
    };
    const hash = logEntryHash(entry);
    if (entry.seq <= log.seq) {
      const held = log.entries.get(entry.seq);
      if (!held || equalBytes(logEntryHash(held), hash)) {
        apply();
        return { kind: 'taken' };
      }
    } else {
      if (entry.seq > log.seq + 1) return { kind: 'gap', seq: log.seq };
      if (!log.forked && equalBytes(entry.previous, log.hash)) {
        log.seq = entry.seq;
        log.hash = hash;
        log.expiryHeight = Math.max(log.expiryHeight, entry.expiryHeight);
        log.entries.set(entry.seq, entry);
        apply();
        return { kind: 'taken' };
      }
    }
    log.forked = true;
    evidence.push(entry);
    apply();
    return { kind: 'equivocation' };
  }

  const bodyOf = (opId: OpId): OperationBody | undefined => {
    const operation = bodies.get(opId);
    if (!operation) return undefined;
    return { operation, keys: operation.type === 'register' ? keysOf.get(operation.regId) : undefined };
  };

  const memory: MemoryReplica = {
    writer,
    writerId,
    heights,
    rollback: false,
    failing: false,
    evidence,
    get batches() {
      return batches;
    },
    get digest() {
      const lines = [...registry.regIds].map((regId) => {
        const ids = operationsOf(registry.state(regId)).map(({ opId }) => opId);
        return `${regId} ${ids.sort().join()} ${registry.keysHeld(regId)}`;
      });
      return lines.sort().join('\n');
    },
    positions: () =>
      [...logs.values()]
        .filter(({ seq }) => seq > 0)
        .map(({ writer: of, seq, hash, first, expiryHeight }) => ({ writer: of, seq, hash, first, expiryHeight })),
    position(id) {
      const log = logs.get(id);
      if (!log || log.seq === 0) return undefined;
      const { writer: of, seq, hash, first, expiryHeight } = log;
      return { writer: of, seq, hash, first, expiryHeight };
    },
    async read(id, from, bytesMax) {
      const found: EntryWithBodies[] = [];
      let bytes = 0;
      const log = logs.get(id);
      for (let entry = log?.entries.get(from); entry; entry = log?.entries.get(entry.seq + 1)) {
        const item: EntryWithBodies = {
          entry,
          bodies: entry.operations.map(({ opId }) => bodyOf(opIdFromBytes(opId))),
        };
        bytes += encodeEntry(item).length + 8;
        if (found.length > 0 && bytes > bytesMax) break;
        found.push(item);
      }
      return found;
    },
    async take(entries) {
      written();
      return entries.map(takeEntry);
    },
    async takeBodies(given) {
      if (given.length > 0) written();
      return given.map((body): BodyOutcome => {
        const verdict = admit(body);
        if (verdict.kind === 'refused') return verdict;
        return merge(body, verdict.opId) ? 'taken' : 'known';
      });
    },
    async adopt(positions) {
      written();
      for (const { writer: of, seq, hash, expiryHeight } of positions) {
        const log = logOf(of);
        if (log.seq >= seq) continue;
        log.seq = seq;
        log.hash = hash;
        log.first = seq + 1;
        log.entries.clear();
        log.expiryHeight = Math.max(log.expiryHeight, expiryHeight);
      }
    },
    body: async ({ opId }: OperationRef) => bodyOf(opId),
    bodiesOf: async (regId) =>
      operationsOf(registry.state(regId))
        .map(({ opId }) => bodyOf(opId))
        .filter((body) => body !== undefined),
    holds: async ({ opId }) => known.has(opId),
    *states() {
      for (const regId of registry.regIds) {
        const opIds = operationsOf(registry.state(regId)).map(({ opId }) => opId);
        yield { regId, opIds, keys: registry.keysHeld(regId) };
      }
      for (const [regId, opId] of planted) yield { regId, opIds: [opId], keys: true };
    },
    wanted: () => registry.wanted(heights),
    receipt(opIds): BatchReceipt | undefined {
      if (memory.rollback) return undefined;
      const hash = sha256(utf8(`batch ${batches}`));
      const body = { clusterId, nodeId: identity.nodeId, incarnation, sequence: batches, hash, height: heights.own };
      return signReceipt(identity.secret, body, opIds);
    },
    onAppended(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    signEntry(seq, previous, operations) {
      const named = operations.map((operation) => ({
        opId: idBytes(operationId(operation)),
        regId: idBytes(operation.regId),
      }));
      return signLogEntry(identity.secret, clusterId, {
        nodeId: idBytes(identity.nodeId),
        incarnation,
        bootKey: writer.bootKey,
        seq,
        previous,
        expiryHeight: Math.max(...operations.map(({ expiryHeight }) => expiryHeight)),
        operations: named,
      });
    },
    append(operations) {
      const { seq, hash } = logOf(writer);
      const entry = memory.signEntry(
        seq + 1,
        hash,
        operations.map(({ operation }) => operation),
      );
      const outcome = takeEntry({ entry, bodies: operations.map(({ operation, keys }) => ({ operation, keys })) });
      if (outcome.kind !== 'taken') throw new Error(`the own entry is ${JSON.stringify(outcome)}`);
      batches += 1;
      for (const listener of listeners) listener();
      return entry;
    },
    sweep() {
      for (const { dropped, regId, keysAfter } of registry.sweep(heights)) {
        for (const opId of dropped) bodies.delete(opId);
        if (!keysAfter) keysOf.delete(regId);
      }
    },
    forgetEntries(id, first) {
      const log = logs.get(id)!;
      for (const seq of [...log.entries.keys()]) if (seq < first) log.entries.delete(seq);
      log.first = Math.max(log.first, first);
    },
    loseKeys(regId) {
      keysOf.delete(regId);
      const state = registry.state(regId);
      registry.restore({ regId, before: state, after: state, keysBefore: false, keysAfter: false, dropped: [] });
    },
    flip(regId, operation) {
      for (const { opId } of operationsOf(registry.state(regId))) bodies.set(opId, operation);
    },
    plant: (regId, opId) => void planted.set(regId, opId),
  };
  return memory;
}
