// What one member signs: joins of nodes that are connected and attested as they say, and evictions that somebody told
// it to agree to; always on exactly the roster it holds, and one at a time.

import type { Clock } from '../../core/ports.ts';
import type { RosterEntry } from '../../core/roster.ts';
import { checkBody, placesTaken, sameEntry } from './admission.ts';
import type { Ledger } from './ledger.ts';
import { APPROVAL_MS, APPROVALS_MAX, HEIGHT_APART_MAX, SIGNED_FOR_MS } from './limits.ts';
import type { AnswerRefusalReason } from './messages.ts';
import { endOf, headsOf, lastPlace } from './statement-set.ts';
import {
  type Eviction,
  type Join,
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

export function createSigner(deps: SignerDeps): Signer {
  const { clock, ledger } = deps;
  const me = deps.self;
  const approvals = new Map<string, number>();
  let last: { readonly id: StatementId; readonly after: string; readonly untilMs: number } | undefined;

  const approved = (what: 'eviction' | 'return', name: string) =>
    (approvals.get(`${what} ${name}`) ?? 0) > clock.monotonic();

  function checkJoin(peer: RosterEntry, body: Join): AnswerRefusalReason | undefined {
    const attested = deps.connected().find(({ nodeId }) => nodeId === body.nodeId);
    if (peer.nodeId !== body.nodeId || !attested || !sameEntry(attested, body)) return 'not-attested';
    const present = new Set(deps.connected().map(({ nodeId }) => nodeId)).add(me.nodeId);
    const gone = ({ nodeId }: RosterEntry) => nodeId === body.nodeId || !present.has(nodeId);
    if (!placesTaken(ledger.members, body).every(gone)) return 'replaced-is-connected';
    const byNode = lastPlace(ledger.set, ({ nodeId }) => nodeId === body.nodeId);
    const byPlatform = lastPlace(ledger.set, ({ platform }) => platform === body.platform);
    const ends = [byNode, byPlatform].map((place) => place && endOf(ledger.set, place.joinId, place.nodeId));
    if (ends.includes('evicted') && !approved('return', body.platform)) return 'evicted';
    return ends[0] === 'operator' && !approved('return', body.platform) ? 'removed' : undefined;
  }

  function check(peer: RosterEntry, body: Join | Eviction): AnswerRefusalReason | undefined {
    if (!ledger.members.some((member) => sameEntry(member, me))) return 'signer-not-member';
    const inadmissible = checkBody(ledger.set, { body }, ledger.context());
    if (inadmissible && inadmissible !== 'unknown-parent') return inadmissible;
    const heads = headsOf(ledger.set);
    if (inadmissible || heads.join() !== body.after.join()) return 'other-frontier';
    if (Math.abs(body.height - deps.height()) > HEIGHT_APART_MAX) return 'height';
    if (body.kind === 'join') return checkJoin(peer, body);
    return approved('eviction', body.nodeId) ? undefined : 'not-approved';
  }

  return {
    sign(peer, body) {
      const refused = (reason: AnswerRefusalReason): Signing => ({ kind: 'refused', reason });
      if (body.kind !== 'join' && body.kind !== 'eviction') return refused('malformed');
      const reason = check(peer, body);
      if (reason) return refused(reason);
      const id = statementId(body);
      const after = body.after.join();
      if (last && last.id !== id && last.after === after && last.untilMs > clock.monotonic()) {
        return refused('signed-another');
      }
      last = { id, after, untilMs: clock.monotonic() + SIGNED_FOR_MS };
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
