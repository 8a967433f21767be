// Comparing with one member until both hold the same statements: digests, then ids, then what either lacks. Each
// message is bounded, and so is how often one peer can make this node ask.

import { equalBytes, fromHex, toHex } from '../../core/bytes.ts';
import { abortable, deadline, throwIfAborted } from '../../core/deadline.ts';
import { isKithError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Clock } from '../../core/ports.ts';
import type { Ledger } from './ledger.ts';
import { IDS_PER_PAGE, PAGE_BYTES_MAX, REQUEST_TIMEOUT_MS, STATEMENTS_MAX, STATEMENTS_PER_PAGE } from './limits.ts';
import {
  type AnswerRefusalReason,
  decodeRosterAnswer,
  encodeRosterRequest,
  type RosterAnswer,
  type RosterRequest,
  type RosterStatus,
} from './messages.ts';
import { genesisOf } from './statement-set.ts';
import { decodeStatement, encodeStatement, type RosterStatement, type StatementId } from './statements.ts';

export interface AskDeps {
  readonly clock: Clock;
  /** Asks a connected peer over `/kith/roster/1`. Rejects if it does not answer. */
  request(nodeId: NodeId, payload: Uint8Array, options: { signal: AbortSignal }): Promise<Uint8Array>;
}

/** What a peer answered, or that it did not, or not intelligibly. @throws if `signal` aborts. */
export async function askPeer(
  deps: AskDeps,
  nodeId: NodeId,
  request: RosterRequest,
  { signal }: { signal: AbortSignal },
): Promise<RosterAnswer | { readonly kind: 'silent' }> {
  using limit = deadline(deps.clock, REQUEST_TIMEOUT_MS, signal);
  try {
    const answer = deps.request(nodeId, encodeRosterRequest(request), { signal: limit.signal });
    return decodeRosterAnswer(await abortable(answer, limit.signal));
  } catch {
    // Whatever went wrong on the way or over there, the peer is of no use now.
    throwIfAborted(signal);
    return { kind: 'silent' };
  }
}

export type Comparison =
  | { readonly kind: 'silent' }
  /** Neither has a genesis. */
  | { readonly kind: 'unfounded'; readonly status: RosterStatus }
  | { readonly kind: 'other-genesis'; readonly status: RosterStatus }
  /** The peer has a genesis and is not on its roster: nobody adopts it from there. */
  | { readonly kind: 'hearsay'; readonly status: RosterStatus }
  | {
      readonly kind: 'compared';
      readonly status: RosterStatus;
      /** Why this node did not take something. */
      readonly refused: AnswerRefusalReason | undefined;
      /** Why the peer did not. */
      readonly refusedByPeer: AnswerRefusalReason | undefined;
    };

export interface CompareDeps extends AskDeps {
  readonly ledger: Ledger;
  status(): RosterStatus;
  /** Whether this node is on the roster it holds. */
  isMember(): boolean;
}

/** @throws if `signal` aborts. */
export async function compareWith(
  deps: CompareDeps,
  nodeId: NodeId,
  { signal }: { signal: AbortSignal },
): Promise<Comparison> {
  const { ledger } = deps;
  const ask = (request: RosterRequest) => askPeer(deps, nodeId, request, { signal });
  const status = await ask(deps.status());
  if (status.kind !== 'status') return { kind: 'silent' };
  const own = genesisOf(ledger.set)?.id;
  const same = { kind: 'compared', status, refused: undefined, refusedByPeer: undefined } as const;
  if (!status.genesis) {
    if (own === undefined) return { kind: 'unfounded', status };
    // All members of it may be gone, and the peer among those who begin anew.
    if (!deps.isMember()) return same;
    const refusedByPeer = await offer(
      ask,
      [...ledger.set.values()].map(({ statement }) => statement),
    );
    return { ...same, refusedByPeer };
  }
  if (own !== undefined && own !== toHex(status.genesis)) return { kind: 'other-genesis', status };
  if (equalBytes(status.digest, ledger.digest)) return same;
  const theirs = await listIds(ask);
  if (!theirs) return { kind: 'silent' };
  const wanted = [...theirs].filter((id) => !ledger.set.has(id));
  const pages = own === undefined ? await fetchFirst(ask, ledger, nodeId, wanted) : undefined;
  if (own === undefined && !pages) return { kind: 'hearsay', status };
  const refused = pages ? await takePages(ledger, pages) : await pull(ask, ledger, wanted);
  const lacking = [...ledger.set.values()].filter(({ id }) => !theirs.has(id)).map(({ statement }) => statement);
  return { ...same, refused, refusedByPeer: await offer(ask, lacking) };
}

type Ask = (request: RosterRequest) => Promise<RosterAnswer | { readonly kind: 'silent' }>;

async function listIds(ask: Ask): Promise<Set<StatementId> | undefined> {
  const ids = new Set<StatementId>();
  for (let from = 0; from < STATEMENTS_MAX; from += IDS_PER_PAGE) {
    const answer = await ask({ kind: 'list', from });
    if (answer.kind !== 'ids') return undefined;
    for (const id of answer.ids) ids.add(toHex(id));
    if (!answer.more) break;
  }
  return ids;
}

/** Asks for statements in the peer's order, so that what they come after is there before them. */
async function pull(
  ask: Ask,
  ledger: Ledger,
  wanted: readonly StatementId[],
): Promise<AnswerRefusalReason | undefined> {
  let refused: AnswerRefusalReason | undefined;
  for (let at = 0; at < wanted.length; ) {
    const answer = await ask({ kind: 'fetch', ids: wanted.slice(at, at + STATEMENTS_PER_PAGE).map(fromHex) });
    // Fewer than asked for are what fits one message; none at all is no progress.
    if (answer.kind !== 'statements' || answer.statements.length === 0) return refused;
    at += answer.statements.length;
    const taken = await takeEncoded(ledger, answer.statements);
    refused ??= taken;
  }
  return refused;
}

/** All that a first genesis comes with, in pages; undefined unless the peer is on the roster that it adds up to. */
async function fetchFirst(
  ask: Ask,
  ledger: Ledger,
  peer: NodeId,
  wanted: readonly StatementId[],
): Promise<readonly (readonly Uint8Array[])[] | undefined> {
  const pages: (readonly Uint8Array[])[] = [];
  for (let at = 0; at < wanted.length; ) {
    const answer = await ask({ kind: 'fetch', ids: wanted.slice(at, at + STATEMENTS_PER_PAGE).map(fromHex) });
    if (answer.kind !== 'statements' || answer.statements.length === 0) break;
    at += answer.statements.length;
    pages.push(answer.statements);
  }
  const { statements } = decodeAll(pages.flat());
  return ledger.membersWith(statements).some(({ nodeId }) => nodeId === peer) ? pages : undefined;
}

async function takePages(
  ledger: Ledger,
  pages: readonly (readonly Uint8Array[])[],
): Promise<AnswerRefusalReason | undefined> {
  let refused: AnswerRefusalReason | undefined;
  for (const page of pages) {
    const taken = await takeEncoded(ledger, page);
    refused ??= taken;
  }
  return refused;
}

async function offer(ask: Ask, statements: readonly RosterStatement[]): Promise<AnswerRefusalReason | undefined> {
  const encoded = statements.map(encodeStatement);
  let refused: AnswerRefusalReason | undefined;
  for (let at = 0; at < encoded.length; ) {
    const page = pageOf(encoded.slice(at));
    at += page.length;
    const answer = await ask({ kind: 'offer', statements: page });
    if (answer.kind === 'silent') return refused;
    if (answer.kind === 'taken' || answer.kind === 'refused') refused ??= answer.reason;
  }
  return refused;
}

/** As many from the start as one message carries; at least one. */
export function pageOf(encoded: readonly Uint8Array[]): Uint8Array[] {
  const page: Uint8Array[] = [];
  let size = 0;
  for (const statement of encoded) {
    // A byte string of this length has a head of three bytes.
    size += statement.length + 3;
    if (page.length === STATEMENTS_PER_PAGE || (size > PAGE_BYTES_MAX && page.length > 0)) break;
    page.push(statement);
  }
  return page;
}

/** Why the first of those not taken was not; undefined if all are held now. */
export async function takeEncoded(
  ledger: Ledger,
  encoded: readonly Uint8Array[],
): Promise<AnswerRefusalReason | undefined> {
  const { statements, malformed } = decodeAll(encoded);
  const taken = await ledger.take(statements);
  if (taken.kind === 'not-stored') return 'not-stored';
  return taken.refused[0]?.reason ?? (malformed ? 'malformed' : undefined);
}

function decodeAll(encoded: readonly Uint8Array[]) {
  const statements: RosterStatement[] = [];
  let malformed = false;
  for (const bytes of encoded) {
    try {
      statements.push(decodeStatement(bytes));
    } catch (error) {
      if (!isKithError(error)) throw error;
      malformed = true;
    }
  }
  return { statements, malformed };
}
