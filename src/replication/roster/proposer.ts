// Statements a node makes: its own join and leave, and evictions. Members are asked for their signatures one after
// another, in the order of their ids, so that two joiners at once do not each hold half of a majority.

import { idBytes, type NodeId, nodeIdFromBytes } from '../../core/ids.ts';
import type { RosterEntry } from '../../core/roster.ts';
import { majority, placesTaken } from './admission.ts';
import { type AskDeps, askPeer } from './compare.ts';
import type { Ledger } from './ledger.ts';
import type { AnswerRefusalReason } from './messages.ts';
import type { Signer } from './signer.ts';
import { genesisOf, headsOf, type RosterMember, sameEntry } from './statement-set.ts';
import { type Eviction, encodeBody, type Join, type StatementSignature, statementMessage } from './statements.ts';

export interface ProposerDeps extends AskDeps {
  readonly self: RosterEntry;
  readonly ledger: Ledger;
  readonly signer: Signer;
  sign(message: Uint8Array): Uint8Array;
  connected(): readonly RosterEntry[];
  /** The height that members see; a joiner's own chain may lag. */
  membersHeight(): number;
}

export type Proposed =
  | { readonly kind: 'done' }
  | {
      readonly kind: 'not-yet';
      /** Members that signed. */
      readonly signed: number;
      /** What the others said. */
      readonly words: readonly { readonly nodeId: NodeId; readonly word: AnswerRefusalReason | 'silent' }[];
      readonly reason: AnswerRefusalReason | 'nobody-connected' | 'nobody-heard';
    };

export interface Proposer {
  /** This node's join. @throws if `signal` aborts. */
  join(options: { signal: AbortSignal }): Promise<Proposed>;
  /**
   * Ends a place of this node, under this or an earlier id.
   * @param sign with the key of the place's node; this node's own unless given.
   */
  leave(
    place: RosterMember,
    reason: 'left' | 'replaced',
    sign?: (message: Uint8Array) => Uint8Array,
  ): Promise<Proposed>;
  evict(place: RosterMember, options: { signal: AbortSignal }): Promise<Proposed>;
}

export function createProposer(deps: ProposerDeps): Proposer {
  const { ledger } = deps;
  const me = deps.self;

  const common = () => {
    const genesis = genesisOf(ledger.set);
    return genesis && { clusterId: genesis.body.clusterId, genesisId: genesis.body.genesisId };
  };
  const onRoster = () => ({ after: headsOf(ledger.set), rosterHash: ledger.rosterHash });

  async function publish(body: Join | Eviction, signatures: StatementSignature[]): Promise<Proposed> {
    const taken = await ledger.take([{ body, signatures }]);
    const reason = taken.kind === 'not-stored' ? 'not-stored' : taken.refused[0]?.reason;
    return reason ? { kind: 'not-yet', signed: signatures.length, words: [], reason } : { kind: 'done' };
  }

  async function collect(
    body: Join | Eviction,
    first: StatementSignature[],
    { signal }: { signal: AbortSignal },
  ): Promise<Proposed> {
    const signatures = [...first];
    const words: { nodeId: NodeId; word: AnswerRefusalReason | 'silent' }[] = [];
    const { members } = ledger;
    const enough = () => !majority(members, body, new Set(signatures.map(({ signer }) => nodeIdFromBytes(signer))));
    const connected = new Set(deps.connected().map(({ nodeId }) => nodeId));
    for (const { nodeId } of members) {
      if (enough()) break;
      if (!connected.has(nodeId) || nodeId === body.nodeId || nodeId === me.nodeId) continue;
      const answer = await askPeer(deps, nodeId, { kind: 'sign', body: encodeBody(body) }, { signal });
      if (answer.kind === 'signed') signatures.push({ signer: idBytes(nodeId), signature: answer.signature });
      else words.push({ nodeId, word: answer.kind === 'refused' ? answer.reason : 'silent' });
      // Another proposal is ahead of this one: let it have the rest of the members.
      if (answer.kind === 'refused' && answer.reason === 'signed-another') break;
    }
    if (enough()) return publish(body, signatures);
    return { kind: 'not-yet', signed: signatures.length - first.length, words, reason: 'no-majority' };
  }

  const refused = (reason: AnswerRefusalReason): Proposed => ({ kind: 'not-yet', signed: 0, words: [], reason });

  return {
    async join({ signal }) {
      const base = common();
      if (!base) return refused('no-genesis');
      const { nodeId, platform, operator } = me;
      if (ledger.members.some((member) => sameEntry(member, me))) return refused('already-member');
      const taken = placesTaken(ledger.members, me);
      if (taken.length > 1) return refused('wrong-replaces');
      const replaces = taken[0]?.nodeId;
      const height = deps.membersHeight();
      const body: Join = { kind: 'join', ...base, nodeId, platform, operator, height, replaces, ...onRoster() };
      const own = { signer: idBytes(nodeId), signature: deps.sign(statementMessage(body)) };
      return collect(body, [own], { signal });
    },
    async leave({ joinId, nodeId }, reason, sign = deps.sign) {
      const base = common();
      if (!base) return refused('no-genesis');
      const body = { kind: 'leave', ...base, nodeId, joinId, reason } as const;
      const signature = sign(statementMessage(body));
      const taken = await ledger.take([{ body, signatures: [{ signer: idBytes(nodeId), signature }] }]);
      if (taken.kind === 'not-stored') return refused('not-stored');
      return taken.refused[0] ? refused(taken.refused[0].reason) : { kind: 'done' };
    },
    async evict({ joinId, nodeId }, { signal }) {
      const base = common();
      if (!base) return refused('no-genesis');
      const body: Eviction = { kind: 'eviction', ...base, nodeId, joinId, height: deps.membersHeight(), ...onRoster() };
      const own = deps.signer.sign(me, body);
      if (own.kind === 'refused') return refused(own.reason);
      return collect(body, [{ signer: idBytes(me.nodeId), signature: own.signature }], { signal });
    },
  };
}
