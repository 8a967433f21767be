// What a member signs: an anchor it has made itself from operations it holds, proposed by whose turn it is, on the
// anchor that is the newest to it. It may sign several for one place: the chain decides which of them counts.

import { compareBytes, equalBytes } from '../../core/bytes.ts';
import { isKithError } from '../../core/errors.ts';
import { idBytes, type NodeId } from '../../core/ids.ts';
import type { OperationRef } from '../log-entry.ts';
import { anchorHash, anchorMessage, epochOf } from './anchor.ts';
import type { AskMember } from './ask.ts';
import type { AnchorLedger } from './ledger-port.ts';
import { BODIES_MAX, HEIGHT_APART_MAX, SIGNED_PER_EPOCH } from './limits.ts';
import { type AnswerOf, decodeBody, type SignRefusal, type SignRequest } from './messages.ts';
import type { AnchorDeps } from './ports.ts';
import { bodyOf, nextPlace, proposerAt } from './proposal.ts';
import { packRefs, unpackRefs } from './records.ts';

export interface AnchorSigner {
  /** The answer to a member's request; `otherKey` is called if the two hold different log keys. */
  sign(from: NodeId, request: SignRequest): Promise<AnswerOf<'signed' | 'refused'>>;
}

export interface AnchorSignerDeps extends AnchorDeps {
  readonly ledger: AnchorLedger;
  readonly ask: AskMember;
  /** Something of what the other said differs from what is held here: compare with it. */
  differs(from: NodeId, what: 'log-key' | 'head'): void;
}

export function createAnchorSigner(deps: AnchorSignerDeps): AnchorSigner {
  const { ledger, rosters, replica } = deps;
  let asked = { epoch: -1, times: new Map<NodeId, number>() };

  function mayAsk(from: NodeId): boolean {
    const epoch = epochOf(deps.height());
    if (asked.epoch !== epoch) asked = { epoch, times: new Map() };
    const times = (asked.times.get(from) ?? 0) + 1;
    asked.times.set(from, times);
    return times <= SIGNED_PER_EPOCH;
  }

  /** Whether it can be the turn of `from` in that epoch, as far as the two may differ about the height. */
  function isTurn(from: NodeId, epoch: number): boolean {
    const { rosterHash, members } = rosters.now();
    for (let apart = -HEIGHT_APART_MAX; apart <= HEIGHT_APART_MAX; apart++) {
      const height = Math.max(0, deps.height() + apart);
      if (epochOf(height) === epoch && proposerAt(height, rosterHash, members) === from) return true;
    }
    return false;
  }

  function check(from: NodeId, request: SignRequest, refs: readonly OperationRef[]): SignRefusal | undefined {
    const { rosterHash, members } = rosters.now();
    if (!members.some(({ nodeId }) => nodeId === deps.nodeId)) return 'not-a-member';
    if (!deps.mayAttest()) return 'rollback';
    const { lineage } = ledger.keyring;
    if (!lineage) return 'no-log-key';
    if (!equalBytes(lineage, request.lineage)) return 'other-log-key';
    if (!equalBytes(rosterHash, request.rosterHash)) return 'other-roster';
    if (Math.abs(request.epoch - epochOf(deps.height())) > 1) return 'not-now';
    if (!isTurn(from, request.epoch)) return 'not-proposer';
    const ids = refs.map(({ opId }) => idBytes(opId));
    if (!ids.every((id, i) => i === 0 || compareBytes(ids[i - 1]!, id) < 0)) return 'malformed';
    const next = nextPlace(request.epoch, ledger.head(), refs.length);
    const { previous, seq } = request;
    const head = ledger.head();
    if (head ? !equalBytes(head.hash, previous) : previous.some((byte) => byte !== 0)) return 'other-head';
    return next?.seq === seq ? undefined : 'not-needed';
  }

  async function notHeld(refs: readonly OperationRef[]): Promise<number[]> {
    const held = await Promise.all(refs.map((ref) => replica.holds(ref)));
    return held.flatMap((holds, i) => (holds ? [] : [i]));
  }

  /** What is missing comes from the proposer, if it is little; sync brings the rest. */
  async function fetchFrom(from: NodeId, refs: readonly OperationRef[]): Promise<void> {
    if (refs.length === 0 || refs.length > BODIES_MAX) return;
    const answer = await deps.ask(from, { kind: 'operations', operations: packRefs(refs) }, 'operations');
    if (answer) await replica.takeBodies(answer.bodies.map(decodeBody));
  }

  return {
    async sign(from, request) {
      const refused = (reason: SignRefusal, missing?: number[]): AnswerOf<'refused'> =>
        missing ? { kind: 'refused', reason, missing } : { kind: 'refused', reason };
      if (!mayAsk(from)) return refused('too-many');
      let refs: OperationRef[];
      try {
        refs = unpackRefs(request.operations);
      } catch (error) {
        if (isKithError(error)) return refused('malformed');
        throw error;
      }
      const reason = check(from, request, refs);
      if (reason === 'other-log-key') deps.differs(from, 'log-key');
      if (reason === 'other-head') deps.differs(from, 'head');
      if (reason) return refused(reason);
      let missing = await notHeld(refs);
      if (missing.length > 0) {
        await fetchFrom(
          from,
          missing.map((i) => refs[i]!),
        );
        missing = await notHeld(refs);
        if (missing.length > 0) return refused('not-held', missing);
      }
      const tagKey = ledger.keyring.tagKey(request.epoch);
      if (!tagKey) return refused('no-log-key');
      const hash = anchorHash(deps.clusterId, bodyOf(request, tagKey, refs));
      if (!equalBytes(hash, request.hash)) return refused('other-anchor');
      // While it was fetched the world may have moved on.
      const late = check(from, request, refs);
      return late ? refused(late) : { kind: 'signed', signature: deps.sign(anchorMessage(hash)) };
    },
  };
}
