// What a member does when it is its turn: it makes the next anchor, has it signed by a quorum and sends it. At every
// epoch, also with nothing to tell, so that neither number nor size of anchors shows whether anybody registered.

import { ed25519Verify } from '#crypto';
import { compareBytes, equalBytes } from '../../core/bytes.ts';
import { idBytes, type NodeId, type OpId } from '../../core/ids.ts';
import { fillsQuorum } from '../../core/quorum.ts';
import type { OperationRef } from '../log-entry.ts';
import {
  type Anchor,
  type AnchorBody,
  anchorHash,
  anchorMessage,
  anchorText,
  encodeAnchor,
  epochOf,
  positionOf,
} from './anchor.ts';
import type { AskMember } from './ask.ts';
import type { AnchorLedger } from './ledger-port.ts';
import { ROUNDS_MAX, TAGS_LARGE, TRIES_MAX } from './limits.ts';
import type { AnchorDeps } from './ports.ts';
import { bodyOf, nextPlace, proposerAt, turnAt } from './proposal.ts';
import { packRefs } from './records.ts';

export interface AnchorProposerDeps extends AnchorDeps {
  readonly ledger: AnchorLedger;
  readonly ask: AskMember;
  differs(from: NodeId, what: 'log-key' | 'head'): void;
}

export interface AnchorProposer {
  /** Proposes what is to be proposed now, if it is this node's turn. */
  propose(options: { signal: AbortSignal }): Promise<void>;
  /** Why the last attempt came to nothing; undefined after one that did not, here or elsewhere. */
  readonly trouble: 'no-quorum' | 'send-failed' | undefined;
}

type Word = string;
interface Round {
  readonly signatures: ReadonlyMap<NodeId, Uint8Array>;
  readonly words: readonly Word[];
  /** Operations that some member lacks. */
  readonly missing: ReadonlySet<OpId>;
}

export function createAnchorProposer(deps: AnchorProposerDeps): AnchorProposer {
  const { ledger, rosters, clusterId } = deps;
  let attempted = { name: '', times: 0 };
  let trouble: { readonly what: 'no-quorum' | 'send-failed'; readonly position: number } | undefined;

  /** Counts the tries at one place in one turn; one that was sent is not tried again. */
  function mayTry(name: string): boolean {
    attempted = attempted.name === name ? { name, times: attempted.times + 1 } : { name, times: 1 };
    return attempted.times <= TRIES_MAX;
  }

  /** Asks everybody at once; done with a quorum of signatures, or when all have answered. */
  function collect(body: AnchorBody, refs: readonly OperationRef[], signal: AbortSignal): Promise<Round> {
    const { members } = rosters.now();
    const hash = anchorHash(clusterId, body);
    const message = anchorMessage(hash);
    const signatures = new Map([[deps.nodeId, deps.sign(message)]]);
    const words: Word[] = [];
    const missing = new Set<OpId>();
    const { epoch, seq, previous, rosterHash } = body;
    const operations = packRefs(refs);
    const lineage = ledger.keyring.lineage!;
    const request = { kind: 'sign', lineage, epoch, seq, previous, rosterHash, operations, hash } as const;
    const listed = new Set(members.map(({ nodeId }) => nodeId));
    const others = deps.peers.list().filter(({ nodeId }) => listed.has(nodeId) && nodeId !== deps.nodeId);

    async function ask(nodeId: NodeId): Promise<void> {
      const answer = await deps.ask(nodeId, request, 'signed', 'refused');
      if (!answer) words.push('silent');
      else if (answer.kind === 'signed') {
        if (ed25519Verify(idBytes(nodeId), message, answer.signature)) signatures.set(nodeId, answer.signature);
        else words.push('bad-signature');
      } else {
        words.push(answer.reason);
        if (answer.reason === 'other-log-key') deps.differs(nodeId, 'log-key');
        if (answer.reason === 'other-head') deps.differs(nodeId, 'head');
        for (const i of answer.missing ?? []) if (refs[i]) missing.add(refs[i].opId);
      }
    }

    return new Promise((resolve) => {
      let open = others.length;
      const done = () => resolve({ signatures: new Map(signatures), words: [...words], missing: new Set(missing) });
      if (open === 0 || signal.aborted || fillsQuorum(members, signatures.keys())) return done();
      for (const { nodeId } of others) {
        void ask(nodeId).then(() => {
          open -= 1;
          if (open === 0 || fillsQuorum(members, signatures.keys())) done();
        });
      }
    });
  }

  async function certify(
    place: Pick<AnchorBody, 'epoch' | 'seq' | 'previous' | 'rosterHash'>,
    oldest: readonly OperationRef[],
    signal: AbortSignal,
  ): Promise<{ anchor: Anchor; operations: number } | undefined> {
    const { members } = rosters.now();
    let refs = oldest.toSorted((a, b) => compareBytes(idBytes(a.opId), idBytes(b.opId)));
    let words: readonly Word[] = [];
    for (let round = 0; round < ROUNDS_MAX && !signal.aborted; round++) {
      const tagKey = ledger.keyring.tagKey(place.epoch);
      if (!tagKey) return undefined;
      const body = bodyOf(place, tagKey, refs);
      const got = await collect(body, refs, signal);
      if (fillsQuorum(members, got.signatures.keys())) {
        const certificate = [...got.signatures]
          .map(([nodeId, signature]) => ({ nodeId: idBytes(nodeId), signature }))
          .sort((a, b) => compareBytes(a.nodeId, b.nodeId));
        return { anchor: { ...body, certificate }, operations: refs.length };
      }
      words = got.words;
      // What has not come to a quorum yet is left for a later anchor.
      if (got.missing.size === 0) break;
      refs = refs.filter(({ opId }) => !got.missing.has(opId));
    }
    trouble = { what: 'no-quorum', position: positionOf(place) };
    deps.report?.({ kind: 'no-quorum', epoch: place.epoch, seq: place.seq, words });
    return undefined;
  }

  async function publish(anchor: Anchor, signal: AbortSignal): Promise<boolean> {
    const { epoch, seq } = anchor;
    if (deps.chain) {
      try {
        await deps.chain.send(anchorText(clusterId, anchor), { signal });
        return true;
      } catch (error) {
        trouble = { what: 'send-failed', position: positionOf(anchor) };
        if (!signal.aborted) deps.report?.({ kind: 'send-failed', epoch, seq, error });
        return false;
      }
    }
    if ((await ledger.consider(anchor, undefined)) !== 'accepted') return false;
    const request = { kind: 'offer', anchor: encodeAnchor(anchor) } as const;
    await Promise.all(deps.peers.list().map(({ nodeId }) => deps.ask(nodeId, request, 'taken')));
    return true;
  }

  return {
    get trouble() {
      const { head } = ledger.line;
      return trouble && !(head && head.position >= trouble.position) ? trouble.what : undefined;
    },
    async propose({ signal }) {
      const height = deps.height();
      const { members, rosterHash } = rosters.now();
      if (height === 0 || !deps.mayAttest() || !ledger.keyring.lineage) return;
      if (proposerAt(height, rosterHash, members) !== deps.nodeId) return;
      const epoch = epochOf(height);
      const head = ledger.head();
      const refs = ledger.pending.oldest(TAGS_LARGE);
      const next = nextPlace(epoch, head, refs.length);
      if (!next || !mayTry(`${epoch}.${next.seq}.${turnAt(height)}`)) return;
      const certified = await certify({ epoch, ...next, rosterHash }, refs, signal);
      if (!certified || !equalBytes(rosters.now().rosterHash, rosterHash)) return;
      if (!(await publish(certified.anchor, signal))) return;
      // Sent: in this turn it is for the chain to show it.
      attempted = { ...attempted, times: TRIES_MAX };
      trouble = undefined;
      deps.report?.({ kind: 'proposed', epoch, seq: next.seq, operations: certified.operations });
    },
  };
}
