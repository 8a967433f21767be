// A member's part in restoring a roster of which no majority is left: sees when everybody has come back, under whatever
// id, and asks each of them to sign. The member with the lowest id proposes; the next ones take over in turn.

import { idBytes, type NodeId } from '../../core/ids.ts';
import type { Clock } from '../../core/ports.ts';
import type { RosterEntry } from '../../core/roster.ts';
import { type AskDeps, askPeer } from './compare.ts';
import type { Ledger } from './ledger.ts';
import { HEIGHT_APART_MAX, RESTORE_TURN_MS } from './limits.ts';
import type { Proposed } from './proposer.ts';
import { planRestore, type RestorePlan, restorersOf } from './restore.ts';
import type { Signer } from './signer.ts';
import { genesisOf, headsOf } from './statement-set.ts';
import { encodeBody, type Restore } from './statements.ts';

export interface RestorerDeps extends AskDeps {
  readonly clock: Clock;
  readonly self: RosterEntry;
  readonly ledger: Ledger;
  readonly signer: Signer;
  connected(): readonly RosterEntry[];
  /** The height that members see. */
  membersHeight(): number;
}

export interface Restorer {
  /** What there is to restore; undefined while joins suffice. */
  plan(): RestorePlan | undefined;
  /** When it is this member's turn to propose, on the monotonic clock; undefined while there is nothing to propose. */
  turnMs(): number | undefined;
  /** Asks everybody concerned for a signature. @throws if `signal` aborts. */
  propose(options: { signal: AbortSignal }): Promise<Proposed>;
}

export function createRestorer(deps: RestorerDeps): Restorer {
  const { clock, ledger, signer } = deps;
  const me = deps.self;
  /** How the roster could be restored, and since when. */
  let seen: { readonly as: string; readonly sinceMs: number; readonly body: Restore | undefined } | undefined;

  const plan = () => planRestore(ledger.members, [...deps.connected(), me]);

  /** The plan, if everybody is here and this node is one of those left. */
  function proposable(): RestorePlan | undefined {
    const found = plan();
    const mine = found?.survivors.some(({ nodeId }) => nodeId === me.nodeId);
    const ready = found && mine && found.absent.length === 0 ? found : undefined;
    const as =
      ready && [...headsOf(ledger.set), ...restorersOf(ledger.members, ready).map(({ nodeId }) => nodeId)].join();
    if (as === undefined) seen = undefined;
    else if (seen?.as !== as) seen = { as, sinceMs: clock.monotonic(), body: undefined };
    return ready;
  }

  /** The same again as long as it holds: who has signed it is bound to it. */
  function bodyFor(found: RestorePlan): Restore | undefined {
    const height = deps.membersHeight();
    const before = seen?.body;
    if (before && Math.abs(before.height - height) <= HEIGHT_APART_MAX / 2) return before;
    const body = draft(found, height);
    if (seen) seen = { ...seen, body };
    return body;
  }

  function draft({ replacements }: RestorePlan, height: number): Restore | undefined {
    const genesis = genesisOf(ledger.set);
    if (!genesis) return undefined;
    const { clusterId, genesisId } = genesis.body;
    const onRoster = { after: headsOf(ledger.set), rosterHash: ledger.rosterHash };
    return { kind: 'restore', clusterId, genesisId, ...onRoster, replacements, height };
  }

  const notYet = (reason: Extract<Proposed, { kind: 'not-yet' }>['reason'], signed = 0): Proposed => ({
    kind: 'not-yet',
    signed,
    words: [],
    reason,
  });

  /** One refusal is enough to fail: nobody else is bound by a signature in vain. */
  async function collect(body: Restore, others: readonly NodeId[], signal: AbortSignal): Promise<Proposed> {
    const own = signer.sign(me, body);
    if (own.kind === 'refused') return notYet(own.reason);
    const signatures = [{ signer: idBytes(me.nodeId), signature: own.signature }];
    for (const nodeId of others) {
      const answer = await askPeer(deps, nodeId, { kind: 'sign', body: encodeBody(body) }, { signal });
      if (answer.kind !== 'signed') {
        const word = answer.kind === 'refused' ? answer.reason : 'silent';
        return { kind: 'not-yet', signed: signatures.length, words: [{ nodeId, word }], reason: 'not-signed-by-all' };
      }
      signatures.push({ signer: idBytes(nodeId), signature: answer.signature });
    }
    const taken = await ledger.take([{ body, signatures }]);
    const reason = taken.kind === 'not-stored' ? 'not-stored' : taken.refused[0]?.reason;
    return reason ? notYet(reason, signatures.length) : { kind: 'done' };
  }

  return {
    plan,
    turnMs() {
      const found = proposable();
      if (!found || !seen) return undefined;
      const turn = found.survivors.filter(({ nodeId }) => nodeId < me.nodeId).length;
      return seen.sinceMs + turn * RESTORE_TURN_MS;
    },
    async propose({ signal }) {
      const found = proposable();
      const body = found && bodyFor(found);
      if (!body) return notYet('no-survivor');
      const others = restorersOf(ledger.members, body)
        .map(({ nodeId }) => nodeId)
        .filter((nodeId) => nodeId !== me.nodeId)
        .sort();
      return collect(body, others, signal);
    },
  };
}
