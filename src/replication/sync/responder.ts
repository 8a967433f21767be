// Answers the requests of other members. What they say is checked by the replica; what they can make this node hold or
// compute is bounded here.

import { toHex } from '../../core/bytes.ts';
import { KithError, unreachable } from '../../core/errors.ts';
import { idBytes, type NodeId, regIdFromBytes } from '../../core/ids.ts';
import type { Clock } from '../../core/ports.ts';
import { writerIdOf } from '../log-entry.ts';
import type { BodyOutcome, EntryOutcome, OperationBody, Replica } from '../replica.ts';
import { type AuditId, type AuditTable, auditIds, auditTable } from './audit-table.ts';
import type { Exchange } from './exchange.ts';
import { answerFrontier } from './frontier.ts';
import {
  AUDIT_IDS_PER_MESSAGE,
  AUDIT_SERVE_PAUSE_MS,
  AUDIT_TABLE_MS,
  AUDIT_TABLES_MAX,
  BODIES_PER_MESSAGE,
  ENTRIES_PER_MESSAGE,
  OPERATIONS_PER_PUSH,
  PAGE_BYTES_MAX,
} from './limits.ts';
import type { Logs } from './logs.ts';
import { OFFERED, type SyncAnswer, type SyncRequest, type WireOutcome } from './messages.ts';
import type { Taker } from './taker.ts';
import {
  bodyFromWire,
  bodyToWire,
  decodeEntry,
  encodeEntry,
  refFromWire,
  refsOf,
  type SyncHead,
  wireBodyBytes,
  writerIdFromBytes,
  writerOf,
} from './wire.ts';

export interface ResponderDeps {
  readonly clock: Clock;
  readonly replica: Replica;
  readonly logs: Logs;
  readonly taker: Taker;
  readonly exchange: Exchange;
  readonly heads: {
    own(): SyncHead | undefined;
    of(nodeId: NodeId): SyncHead | undefined;
    note(nodeId: NodeId, head: SyncHead): void;
  };
}

type Request<K extends SyncRequest['kind']> = Extract<SyncRequest, { kind: K }>;
type Asking = { readonly signal: AbortSignal };

interface ServedAudit {
  readonly key: string;
  readonly at: number;
  readonly table: AuditTable;
  ids: { readonly leaves: string; readonly found: AuditId[][] } | undefined;
}

export interface Responder {
  /** @throws KithError for what no honest member sends. */
  answer(nodeId: NodeId, request: SyncRequest, options: Asking): Promise<SyncAnswer>;
}

export function createResponder(deps: ResponderDeps): Responder {
  const { replica, logs, exchange, heads } = deps;
  const audits = createAuditServer(deps);
  return {
    async answer(nodeId, request, options) {
      switch (request.kind) {
        case 'push':
          return answerPush(deps, nodeId, request);
        case 'frontier':
          exchange.heard(nodeId, request.own);
          return answerFrontier(logs.own(), request);
        case 'pull':
          return answerPull(replica, request);
        case 'fetch':
          return answerFetch(replica, request);
        case 'offer': {
          const outcomes = await replica.takeBodies(request.bodies.map(bodyFromWire));
          return { kind: 'offered', outcomes: Uint8Array.from(outcomes, offered) };
        }
        case 'certify':
          return answerCertify(replica, request);
        case 'head': {
          const head = heads.of(nodeId);
          return head ? { kind: 'head', head } : { kind: 'head' };
        }
        case 'audit-root':
        case 'audit-branches':
        case 'audit-leaves':
        case 'audit-ids':
          return audits.answer(nodeId, request, options);
        default:
          return unreachable(request);
      }
    },
  };
}

const offered = (outcome: BodyOutcome): number => (typeof outcome === 'string' ? OFFERED[outcome] : OFFERED.refused);

/** Runs synchronously up to the taker: pushes of one peer are taken in the order in which they came. */
async function answerPush(deps: ResponderDeps, nodeId: NodeId, request: Request<'push'>): Promise<SyncAnswer> {
  const { replica, taker, heads } = deps;
  const items = request.entries.map((encoded) => decodeEntry(encoded));
  const first = items[0];
  if (!first) throw new KithError('bad-shape', 'a push has at least one entry');
  const writer = writerIdOf(writerOf(first.entry));
  let operations = 0;
  for (const { entry } of items) {
    operations += entry.operations.length;
    // Everybody pushes its own log; the logs of others are pulled.
    if (writerOf(entry).nodeId !== nodeId || writerIdOf(writerOf(entry)) !== writer) {
      throw new KithError('not-own-log', 'a push holds entries of one log, of the member that sends it');
    }
  }
  if (operations > OPERATIONS_PER_PUSH) {
    throw new KithError('too-large', `a push has at most ${OPERATIONS_PER_PUSH} operations, got ${operations}`);
  }
  // Before they are taken: it goes to the disk with them.
  if (request.head) heads.note(nodeId, request.head);
  const outcomes = await taker.take(items);
  const refs = items.flatMap(({ entry }, i) => (outcomes[i]!.kind === 'taken' ? refsOf(entry) : []));
  // An entry may come, or have been held before, without a body: it is taken then, its operation is not.
  const held = await Promise.all(refs.map((ref) => replica.holds(ref)));
  const isWhole = refs.length > 0 && held.every(Boolean);
  const receipt = isWhole ? replica.receipt(refs.map(({ opId }) => opId)) : undefined;
  const head = heads.own();
  const position = replica.position(writer);
  return {
    kind: 'pushed',
    outcomes: outcomes.map(wireOutcome),
    ...(receipt ? { receipt } : {}),
    ...(head ? { head } : {}),
    ...(position ? { position: { seq: position.seq, hash: position.hash } } : {}),
  };
}

function wireOutcome(outcome: EntryOutcome): WireOutcome {
  const { kind } = outcome;
  if (kind === 'gap') return { kind, seq: outcome.seq };
  if (kind === 'refused') return { kind, why: outcome.refusal.reason };
  return { kind };
}

async function answerPull(replica: Replica, request: Request<'pull'>): Promise<SyncAnswer> {
  const answer: Extract<SyncAnswer, { kind: 'pulled' }> = { kind: 'pulled', logs: [] };
  let bytes = 0;
  let count = 0;
  for (const { writer, from } of request.wants) {
    const writerId = writerIdFromBytes(writer);
    const position = replica.position(writerId);
    const first = position?.first ?? 0;
    if (!position || from < first || from > position.seq) {
      answer.logs.push({ entries: [], first });
      continue;
    }
    const entries: Uint8Array[] = [];
    const read = await replica.read(writerId, from, Math.max(1, PAGE_BYTES_MAX - bytes));
    let full = false;
    for (const item of read) {
      const encoded = encodeEntry(item);
      full = count > 0 && (bytes + encoded.length + 8 > PAGE_BYTES_MAX || count === ENTRIES_PER_MESSAGE);
      if (full) break;
      entries.push(encoded);
      bytes += encoded.length + 8;
      count += 1;
    }
    if (entries.length > 0 || !full) answer.logs.push({ entries, ...(entries.length > 0 ? {} : { first }) });
    // What is asked for behind a log that did not fit is asked for again.
    if (full || bytes > PAGE_BYTES_MAX / 2) break;
  }
  return answer;
}

async function answerFetch(replica: Replica, request: Request<'fetch'>): Promise<SyncAnswer> {
  const answer: Extract<SyncAnswer, { kind: 'bodies' }> = { kind: 'bodies', bodies: [], answered: 0 };
  let bytes = 0;
  const asked: (() => Promise<readonly OperationBody[]>)[] = [
    ...request.regIds.map((regId) => () => replica.bodiesOf(regIdFromBytes(regId))),
    ...request.operations.map((ref) => async () => {
      const body = await replica.body(refFromWire(ref));
      return body ? [body] : [];
    }),
  ];
  for (const read of asked) {
    const bodies = (await read()).map(bodyToWire);
    const more = bodies.reduce((sum, body) => sum + wireBodyBytes(body), 0);
    const full = bytes + more > PAGE_BYTES_MAX || answer.bodies.length + bodies.length > BODIES_PER_MESSAGE;
    if (full && answer.answered > 0) break;
    answer.bodies.push(...bodies);
    answer.answered += 1;
    bytes += more;
  }
  return answer;
}

async function answerCertify(replica: Replica, request: Request<'certify'>): Promise<SyncAnswer> {
  const refs = request.operations.map(refFromWire);
  const held = await Promise.all(refs.map((ref) => replica.holds(ref)));
  const opIds = refs.filter((_, i) => held[i]).map(({ opId }) => opId);
  const receipt = opIds.length > 0 ? replica.receipt(opIds) : undefined;
  return { kind: 'certified', held: Uint8Array.from(held, Number), ...(receipt ? { receipt } : {}) };
}

const BUSY: SyncAnswer = { kind: 'busy' };

type AuditRequest = Request<'audit-root' | 'audit-branches' | 'audit-leaves' | 'audit-ids'>;

/** Computes for one member at a time, for each every few seconds, and keeps one table of each. */
function createAuditServer(deps: ResponderDeps) {
  const { clock } = deps;
  const served = new Map<NodeId, ServedAudit>();
  const startedAt = new Map<NodeId, number>();
  let computing = false;

  async function alone<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (computing) return undefined;
    computing = true;
    try {
      return await work();
    } finally {
      computing = false;
    }
  }

  async function begin(nodeId: NodeId, keyBytes: Uint8Array, signal: AbortSignal): Promise<SyncAnswer> {
    const now = clock.monotonic();
    const before = startedAt.get(nodeId);
    if (before !== undefined && now - before < AUDIT_SERVE_PAUSE_MS) return BUSY;
    const table = await alone(() => {
      startedAt.delete(nodeId);
      startedAt.set(nodeId, now);
      if (startedAt.size > AUDIT_TABLES_MAX) startedAt.delete(startedAt.keys().next().value!);
      return auditTable(deps, keyBytes, signal);
    });
    if (!table) return BUSY;
    served.delete(nodeId);
    served.set(nodeId, { key: toHex(keyBytes), at: clock.monotonic(), table, ids: undefined });
    if (served.size > AUDIT_TABLES_MAX) served.delete(served.keys().next().value!);
    return { kind: 'audit-root', count: table.count, sum: table.root() };
  }

  async function ids(audit: ServedAudit, request: Request<'audit-ids'>, signal: AbortSignal): Promise<SyncAnswer> {
    const leaves = request.leaves.join();
    if (audit.ids?.leaves !== leaves) {
      const found = await alone(() => auditIds(deps, request.key, request.leaves, signal));
      if (!found) return BUSY;
      audit.ids = { leaves, found };
    }
    const answer: Extract<SyncAnswer, { kind: 'audit-ids' }> = { kind: 'audit-ids', ids: [], answered: 0 };
    for (const leaf of audit.ids.found.slice(request.from)) {
      if (answer.answered > 0 && answer.ids.length + leaf.length > AUDIT_IDS_PER_MESSAGE) break;
      answer.ids.push(...leaf.map(({ regId, state }) => ({ regId: idBytes(regId), state })));
      answer.answered += 1;
    }
    return answer;
  }

  return {
    async answer(nodeId: NodeId, request: AuditRequest, { signal }: Asking): Promise<SyncAnswer> {
      if (request.kind === 'audit-root') return begin(nodeId, request.key, signal);
      const audit = served.get(nodeId);
      const stale = !audit || audit.key !== toHex(request.key) || clock.monotonic() - audit.at > AUDIT_TABLE_MS;
      if (stale) return BUSY;
      const { table } = audit;
      switch (request.kind) {
        case 'audit-branches':
          return { kind: 'audit-branches', sums: table.branches() };
        case 'audit-leaves':
          return { kind: 'audit-leaves', branches: request.branches.map((branch) => table.leaves(branch)) };
        case 'audit-ids':
          return ids(audit, request, signal);
        default:
          return unreachable(request);
      }
    },
  };
}
