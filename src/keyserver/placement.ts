// Who keeps the shares of a node's sealing key: decided by the roster alone, so that everybody can check the choice
// and nobody can steer it by making ids (each is a platform's, and the roster hash moves with every join).

import { sha256 } from '#crypto';
import { compareBytes, concatBytes, utf8 } from '../core/bytes.ts';
import { idBytes, type NodeId } from '../core/ids.ts';
import { LABEL_KEY_SERVER_RANK } from '../core/labels.ts';
import type { RosterEntry } from '../core/roster.ts';

/** How many shares there are and how many it takes. */
export interface SharingShape {
  readonly threshold: number;
  readonly shares: number;
}

export type PlacementWarning =
  /** Some operator holds two shares, or the owner's operator holds one: there are too few others. */
  | 'few-operators'
  /** The only other members are on the owner's own platform. */
  | 'own-platform'
  /** A chosen member cannot be reached, and no other could take its place. */
  | 'unreachable';

export interface Placement extends SharingShape {
  /** In the order of their shares: the first keeps share 1. Empty without candidates. */
  readonly keyServers: readonly RosterEntry[];
  readonly warnings: readonly PlacementWarning[];
}

export interface PlacementQuestion {
  readonly owner: RosterEntry;
  /** 32 bytes. */
  readonly rosterHash: Uint8Array;
  /** With or without the owner. */
  readonly members: readonly RosterEntry[];
  /** Members silent for so long that others take their place, as far as there are others. */
  readonly unreachable?: ReadonlySet<NodeId>;
}

/** By number of candidates. From three on, 2 * threshold > shares: no two boots both collect a threshold. */
export function sharingShape(candidates: number): SharingShape {
  if (candidates >= 5) return { threshold: 3, shares: 5 };
  if (candidates >= 3) return { threshold: 2, shares: 3 };
  return { threshold: Math.min(1, candidates), shares: candidates };
}

/** Whether any number of candidates has this shape: what a key server accepts. */
export function isSharingShape({ threshold, shares }: SharingShape): boolean {
  return (
    shares >= 1 && shares <= 5 && sharingShape(shares).shares === shares && sharingShape(shares).threshold === threshold
  );
}

interface Candidate {
  readonly member: RosterEntry;
  readonly rank: Uint8Array;
}

/**
 * Rendezvous hashing: rank = SHA-256(label || roster hash || owner || candidate), the lowest first; one candidate for
 * each platform. Operators take turns, the owner's own having had one already; other operators go first in each turn.
 */
export function placeShares(question: PlacementQuestion): Placement {
  const { owner, unreachable } = question;
  const others = question.members.filter(({ nodeId }) => nodeId !== owner.nodeId);
  const elsewhere = others.filter(({ platform }) => platform !== owner.platform);
  // A share beside its owner dies with it; it is better than none.
  const eligible = elsewhere.length > 0 ? elsewhere : others;
  const candidates = onePerPlatform(
    eligible.map((member) => ({ member, rank: rankOf(question, member) })),
    unreachable,
  );
  const shape = sharingShape(candidates.length);
  const silent = ({ member }: Candidate) => unreachable?.has(member.nodeId) ?? false;
  const ordered = [
    ...inTurns(
      candidates.filter((candidate) => !silent(candidate)),
      owner.operator,
    ),
    ...inTurns(candidates.filter(silent), owner.operator),
  ];
  const chosen = ordered.slice(0, shape.shares);
  const operators = new Set([owner.operator, ...chosen.map(({ member }) => member.operator)]);
  const warnings: PlacementWarning[] = [];
  if (operators.size <= chosen.length) warnings.push('few-operators');
  if (elsewhere.length === 0 && chosen.length > 0) warnings.push('own-platform');
  if (chosen.some(silent)) warnings.push('unreachable');
  return { ...shape, keyServers: chosen.map(({ member }) => member), warnings };
}

const rankOf = ({ owner, rosterHash }: PlacementQuestion, member: RosterEntry): Uint8Array =>
  sha256(concatBytes(utf8(LABEL_KEY_SERVER_RANK), rosterHash, idBytes(owner.nodeId), idBytes(member.nodeId)));

const byRank = (a: Candidate, b: Candidate): number => compareBytes(a.rank, b.rank);

/** The first of each platform, one that can be reached if there is one; by rank. */
function onePerPlatform(candidates: readonly Candidate[], unreachable?: ReadonlySet<NodeId>): Candidate[] {
  const silent = ({ member }: Candidate) => Number(unreachable?.has(member.nodeId) ?? false);
  const first = new Map<string, Candidate>();
  for (const candidate of candidates.toSorted((a, b) => silent(a) - silent(b) || byRank(a, b))) {
    if (!first.has(candidate.member.platform)) first.set(candidate.member.platform, candidate);
  }
  return [...first.values()].sort(byRank);
}

/** By the turn in which the operator is chosen, other operators than the owner's first, then by rank. */
function inTurns(candidates: readonly Candidate[], ownOperator: string): Candidate[] {
  const turns = new Map<string, number>([[ownOperator, 1]]);
  return candidates
    .map((candidate) => {
      const { operator } = candidate.member;
      const turn = turns.get(operator) ?? 0;
      turns.set(operator, turn + 1);
      return { candidate, turn, own: Number(operator === ownOperator) };
    })
    .sort((a, b) => a.turn - b.turn || a.own - b.own || byRank(a.candidate, b.candidate))
    .map(({ candidate }) => candidate);
}
