// What one node signs: as a member, joins of nodes that are connected and attested as they say, and evictions that
// somebody told it to agree to; as a member or in the place of one, the restoring of a roster whose other platforms it
// all sees. Always on exactly the roster it holds, and one at a time.

import type { Clock } from '../../core/ports.ts';
import type { RosterEntry } from '../../core/roster.ts';
import { checkBody, placesTaken } from './admission.ts';
import type { Ledger } from './ledger.ts';
import { APPROVAL_MS, APPROVALS_MAX, HEIGHT_APART_MAX, SIGNED_FOR_MS } from './limits.ts';
import type { AnswerRefusalReason } from './messages.ts';
import { restorersOf } from './restore.ts';
import { endOf, headsOf, lastPlace, restoredEntries, sameEntry } from './statement-set.ts';
import {
  type Join,
  type OnRosterBody,
  type Restore,
  type StatementBody,
  type StatementId,
  statementId,
  statementMessage,
} from './statements.ts';

export interface SignerDeps {
  readonly clock: Clock;
  readonly self: RosterEntry;
  readonly ledger: Ledger;
  sign(message: Uint8Array): Uint8Array;
  connected(): readonly RosterEntry[];
  height(): number;
}

export type Signing =
  | { readonly kind: 'signed'; readonly signature: Uint8Array }
  | { readonly kind: 'refused'; readonly reason: AnswerRefusalReason };

export interface Signer {
  /** @param peer who asks, as attested; this node itself for its own. */
  sign(peer: RosterEntry, body: StatementBody): Signing;
  /** For an hour: somebody who may decide it said that this node agrees. */
  approve(what: 'eviction' | 'return', name: string): void;
}

interface SignedLast {
  readonly id: StatementId;
  readonly kind: OnRosterBody['kind'];
  /** The statements it came after. */
  readonly after: string;
  readonly untilMs: number;
}

export function createSigner(deps: SignerDeps): Signer {
  const { clock, ledger } = deps;
  const me = deps.self;
  const approvals = new Map<string, number>();
  let last: SignedLast | undefined;

  const approved = (what: 'eviction' | 'return', name: string) =>
    (approvals.get(`${what} ${name}`) ?? 0) > clock.monotonic();

  function checkJoin(peer: RosterEntry, body: Join): AnswerRefusalReason | undefined {
    const attested = deps.connected().find(({ nodeId }) => nodeId === body.nodeId);
    if (peer.nodeId !== body.nodeId || !attested || !sameEntry(attested, body)) return 'not-attested';
    const present = new Set(deps.connected().map(({ nodeId }) => nodeId)).add(me.nodeId);
    const gone = ({ nodeId }: RosterEntry) => nodeId === body.nodeId || !present.has(nodeId);
    if (!placesTaken(ledger.members, body).every(gone)) return 'replaced-is-connected';
    return barred(body);
  }

  /** Whether this node or its platform was taken off the roster, and nobody here said that it may return. */
  function barred({ nodeId, platform }: Pick<RosterEntry, 'nodeId' | 'platform'>): AnswerRefusalReason | undefined {
    const byNode = lastPlace(ledger.set, (place) => place.nodeId === nodeId);
    const byPlatform = lastPlace(ledger.set, (place) => place.platform === platform);
    const ends = [byNode, byPlatform].map((place) => place && endOf(ledger.set, place.joinId, place.nodeId));
    if (approved('return', platform)) return undefined;
    if (ends.includes('evicted')) return 'evicted';
    return ends[0] === 'operator' ? 'removed' : undefined;
  }

  /** Each signer sees all the others itself: so nobody is replaced whose platform does not show its fresh node. */
  function checkRestore(peer: RosterEntry, body: Restore): AnswerRefusalReason | undefined {
    const fresh = restoredEntries(ledger.members, body);
    const needed = restorersOf(ledger.members, body);
    if (!needed.some((entry) => sameEntry(entry, me))) return 'signer-not-member';
    const asking = needed.some((entry) => sameEntry(entry, peer)) && !fresh.some((entry) => sameEntry(entry, peer));
    if (!asking) return 'not-attested';
    const here = [...deps.connected(), me];
    if (!needed.every((entry) => here.some((one) => sameEntry(one, entry)))) return 'not-all-attested';
    const gone = new Set(body.replacements.map(({ replaces }) => replaces));
    if (here.some(({ nodeId }) => gone.has(nodeId))) return 'replaced-is-connected';
    return fresh.map(barred).find((reason) => reason !== undefined);
  }

  /** A fresh node may not know any height yet; then it takes the one that the members see. */
  const isHeightFar = ({ kind, height }: OnRosterBody) =>
    Math.abs(height - deps.height()) > HEIGHT_APART_MAX && !(kind === 'restore' && deps.height() === 0);

  function check(peer: RosterEntry, body: OnRosterBody): AnswerRefusalReason | undefined {
    const isMember = ledger.members.some((member) => sameEntry(member, me));
    if (!isMember && body.kind !== 'restore') return 'signer-not-member';
    const inadmissible = checkBody(ledger.set, { body }, ledger.context());
    if (inadmissible && inadmissible !== 'unknown-parent') return inadmissible;
    const heads = headsOf(ledger.set);
    if (inadmissible || heads.join() !== body.after.join()) return 'other-frontier';
    if (isHeightFar(body)) return 'height';
    if (body.kind === 'restore') return checkRestore(peer, body);
    if (body.kind === 'join') return checkJoin(peer, body);
    return approved('eviction', body.nodeId) ? undefined : 'not-approved';
  }

  return {
    sign(peer, body) {
      const refused = (reason: AnswerRefusalReason): Signing => ({ kind: 'refused', reason });
      if (body.kind === 'genesis' || body.kind === 'leave') return refused('malformed');
      const reason = check(peer, body);
      if (reason) return refused(reason);
      const id = statementId(body);
      const after = body.after.join();
      const another = last && last.id !== id && last.after === after && last.untilMs > clock.monotonic();
      // Joins that were signed where a restore is needed do not come to a majority: it does not wait for them.
      if (another && !(body.kind === 'restore' && last?.kind === 'join')) return refused('signed-another');
      last = { id, kind: body.kind, after, untilMs: clock.monotonic() + SIGNED_FOR_MS };
      return { kind: 'signed', signature: deps.sign(statementMessage(body)) };
    },
    approve(what, name) {
      approvals.delete(`${what} ${name}`);
      approvals.set(`${what} ${name}`, clock.monotonic() + APPROVAL_MS);
      for (const oldest of approvals.keys()) {
        if (approvals.size <= APPROVALS_MAX) break;
        approvals.delete(oldest);
      }
    },
  };
}
