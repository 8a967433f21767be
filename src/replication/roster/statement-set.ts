// A set of roster statements with all that they come after, and what such a set means. Sets merge by union; who is a
// member is a pure function of the set, so members that hold the same statements, in whatever order they came, agree.

import { sha256 } from '#crypto';
import { concatBytes, fromHex, utf8 } from '../../core/bytes.ts';
import { unreachable } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { LABEL_ROSTER_DIGEST } from '../../core/labels.ts';
import { type RosterEntry, rosterHash } from '../../core/roster.ts';
import { type Genesis, parentsOf, type Restore, type RosterStatement, type StatementId } from './statements.ts';

export interface HeldStatement {
  readonly id: StatementId;
  readonly statement: RosterStatement;
  /** Longest way back to the genesis: later statements have more. */
  readonly generation: number;
  /** The places it gives. */
  readonly entries: readonly RosterEntry[];
}

/** Closed: with each statement it holds those that one comes after. In the order in which they came. */
export type StatementSet = ReadonlyMap<StatementId, HeldStatement>;

export const NO_STATEMENTS: ReadonlyMap<StatementId, HeldStatement> = new Map();

/** A place on the roster: from a join or genesis until a leave. */
export interface RosterMember extends RosterEntry {
  readonly joinId: StatementId;
  readonly joinHeight: number;
}

/** @returns undefined if the set lacks one of its parents. */
export function held(set: StatementSet, id: StatementId, statement: RosterStatement): HeldStatement | undefined {
  let generation = 0;
  for (const parent of parentsOf(statement.body)) {
    const known = set.get(parent);
    if (!known) return undefined;
    generation = Math.max(generation, known.generation + 1);
  }
  return { id, statement, generation, entries: entriesOf(set, statement) };
}

function entriesOf(set: StatementSet, { body }: RosterStatement): readonly RosterEntry[] {
  switch (body.kind) {
    case 'genesis':
      return body.founders.map(entryOf);
    case 'join':
      return [entryOf(body)];
    case 'restore':
      return restoredEntries(membersOf(upTo(set, body.after) ?? NO_STATEMENTS), body);
    case 'leave':
    case 'eviction':
      return [];
    default:
      return unreachable(body);
  }
}

export const sameEntry = (a: RosterEntry, b: RosterEntry): boolean =>
  a.nodeId === b.nodeId && a.platform === b.platform && a.operator === b.operator;

const entryOf = ({ nodeId, platform, operator }: RosterEntry): RosterEntry => ({ nodeId, platform, operator });

/** Who comes in place of whom: each on the platform of the member it replaces. */
export function restoredEntries(
  basis: readonly RosterEntry[],
  { replacements }: Pick<Restore, 'replacements'>,
): RosterEntry[] {
  return replacements.flatMap(({ nodeId, replaces }) => {
    const old = basis.find((member) => member.nodeId === replaces);
    return old ? [{ ...entryOf(old), nodeId }] : [];
  });
}

/** Commutative, associative and idempotent in what it means; on equal ids the first keeps its signatures. */
export function union(a: StatementSet, b: StatementSet): StatementSet {
  const both = new Map(a);
  for (const [id, statement] of b) if (!both.has(id)) both.set(id, statement);
  return both;
}

export function genesisOf(set: StatementSet): { readonly id: StatementId; readonly body: Genesis } | undefined {
  for (const { id, statement } of set.values()) {
    if (statement.body.kind === 'genesis') return { id, body: statement.body };
  }
  return undefined;
}

/** `ids` and all they come after; undefined if one is unknown. */
export function upTo(set: StatementSet, ids: readonly StatementId[]): StatementSet | undefined {
  const found = new Map<StatementId, HeldStatement>();
  const pending = [...ids];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    if (found.has(id)) continue;
    const statement = set.get(id);
    if (!statement) return undefined;
    found.set(id, statement);
    pending.push(...parentsOf(statement.statement.body));
  }
  return found;
}

/** The statements nothing comes after; ascending. */
export function headsOf(set: StatementSet): StatementId[] {
  const heads = new Set(set.keys());
  for (const { statement } of set.values()) for (const parent of parentsOf(statement.body)) heads.delete(parent);
  return [...heads].sort();
}

/** SHA-256 over the sorted ids. */
export function digestOf(set: StatementSet): Uint8Array {
  return sha256(concatBytes(utf8(LABEL_ROSTER_DIGEST), ...[...set.keys()].sort().map(fromHex)));
}

interface Place extends RosterMember {
  readonly generation: number;
}

const isLater = (a: Place, b: Place): boolean => {
  if (a.generation !== b.generation) return a.generation > b.generation;
  if (a.joinHeight !== b.joinHeight) return a.joinHeight > b.joinHeight;
  return a.joinId !== b.joinId ? a.joinId > b.joinId : a.nodeId > b.nodeId;
};

function placesOf(set: StatementSet): Place[] {
  const places: Place[] = [];
  for (const { id, generation, statement, entries } of set.values()) {
    const joinHeight = statement.body.kind === 'leave' ? 0 : statement.body.height;
    for (const entry of entries) places.push({ ...entry, joinId: id, joinHeight, generation });
  }
  return places;
}

export type EndReason = 'left' | 'replaced' | 'operator' | 'evicted';

/** How a place ended; of several ways the one that bars most. */
export function endOf(set: StatementSet, joinId: StatementId, nodeId: NodeId): EndReason | undefined {
  const rank: readonly (EndReason | undefined)[] = [undefined, 'replaced', 'left', 'operator', 'evicted'];
  let end: EndReason | undefined;
  for (const { statement } of set.values()) {
    const { body } = statement;
    if (body.kind !== 'leave' && body.kind !== 'eviction') continue;
    if (body.joinId !== joinId || body.nodeId !== nodeId) continue;
    const reason = body.kind === 'eviction' ? 'evicted' : body.reason;
    if (rank.indexOf(reason) > rank.indexOf(end)) end = reason;
  }
  return end;
}

/** The latest place of those that match, whether or not it has ended. */
export function lastPlace(set: StatementSet, matches: (member: RosterMember) => boolean): RosterMember | undefined {
  let last: Place | undefined;
  for (const place of placesOf(set)) if (matches(place) && (!last || isLater(place, last))) last = place;
  return last;
}

/**
 * Who is on the roster, ascending by node id. A platform has one place and so has a node: the latest; a place that has
 * been taken by a later one is not given back when that one ends.
 */
export function membersOf(set: StatementSet): RosterMember[] {
  const places = placesOf(set);
  const ofPlatform = new Map<string, Place>();
  const ofNode = new Map<NodeId, Place>();
  for (const place of places) {
    const platform = ofPlatform.get(place.platform);
    if (!platform || isLater(place, platform)) ofPlatform.set(place.platform, place);
    const node = ofNode.get(place.nodeId);
    if (!node || isLater(place, node)) ofNode.set(place.nodeId, place);
  }
  const ended = new Set<string>();
  for (const { statement } of set.values()) {
    const { body } = statement;
    if (body.kind === 'leave' || body.kind === 'eviction') ended.add(`${body.joinId} ${body.nodeId}`);
  }
  return places
    .filter((place) => ofPlatform.get(place.platform) === place && ofNode.get(place.nodeId) === place)
    .filter(({ joinId, nodeId }) => !ended.has(`${joinId} ${nodeId}`))
    .sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1))
    .map(({ generation: _, ...member }) => member);
}

export const hashOf = (members: readonly RosterEntry[]): Uint8Array => rosterHash(members);
