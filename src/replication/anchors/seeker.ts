// What a node gets from members: the log key, anchors it was not shown, and the operations behind tags it cannot match.

import { concatBytes, fromHex, toHex } from '../../core/bytes.ts';
import { isKithError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import type { OperationRef } from '../log-entry.ts';
import { type Anchor, anchorHash, decodeAnchor, epochOf } from './anchor.ts';
import type { AskMember } from './ask.ts';
import type { AnchorLedger, Verdict } from './ledger-port.ts';
import { ANCESTORS_MAX, BODIES_MAX, RETRY_MS_MAX, RETRY_MS_MIN, WANTED_PER_TICK } from './limits.ts';
import { newLogKey } from './log-key.ts';
import { decodeBody } from './messages.ts';
import type { AnchorDeps } from './ports.ts';
import { packRefs, unpackAnchored, unpackRefs } from './records.ts';
import type { WantedAnchor } from './wanted.ts';

export interface AnchorSeekerDeps extends AnchorDeps {
  readonly ledger: AnchorLedger;
  readonly ask: AskMember;
  /** What became of an anchor that a member gave. */
  onAnchor(anchor: Anchor, verdict: Verdict): void;
}

export interface AnchorSeeker {
  /** A log key from a member, or, if certainly nobody has one, a new one by the first of the roster. */
  ensureKey(): Promise<boolean>;
  /** The member's log key counts if it is the older of the two. */
  compareKey(nodeId: NodeId): Promise<void>;
  /** Anchors that a member has and this node has not. True if it had nothing more. */
  exchange(nodeId: NodeId): Promise<boolean>;
  /** Anchors between those known, by hash. */
  fillGaps(): Promise<void>;
  /** Operations behind tags, from one member after another. */
  seekWanted(): Promise<void>;
  /** Whether operations that came in are wanted. */
  noticed(refs: readonly OperationRef[]): Promise<void>;
}

export function createAnchorSeeker(deps: AnchorSeekerDeps): AnchorSeeker {
  const { ledger, rosters, clock, replica } = deps;
  const retries = new Map<number, { readonly atMs: number; readonly tries: number }>();

  const otherMembers = (): NodeId[] => {
    const connected = new Set(deps.peers.list().map(({ nodeId }) => nodeId));
    const others = rosters.now().members.filter(({ nodeId }) => nodeId !== deps.nodeId && connected.has(nodeId));
    return others.map(({ nodeId }) => nodeId);
  };

  async function askKey(nodeId: NodeId): Promise<'taken' | 'none' | 'silent'> {
    const { genesisId } = rosters.now();
    if (!genesisId) return 'silent';
    const answer = await deps.ask(nodeId, { kind: 'log-key', genesisId }, 'log-key', 'none');
    if (!answer) return 'silent';
    if (answer.kind === 'none') return 'none';
    const { kind: _, ...record } = answer;
    if (toHex(record.genesisId) !== toHex(genesisId) || !ledger.keyring.outrankedBy(record)) {
      record.key.fill(0);
      return 'silent';
    }
    const { epoch } = record;
    // First, so that a crash in between leaves a node that asks again.
    if (!ledger.keyring.lineage) await takeOver(nodeId);
    await ledger.takeKey(record);
    deps.report?.({ kind: 'log-key-taken', epoch, from: nodeId });
    return 'taken';
  }

  /** A new member learns which operations are anchored, else it would propose all of them again. */
  async function takeOver(nodeId: NodeId): Promise<void> {
    if (!ledger.head()) await exchange(nodeId);
    for (let from = 0; ; ) {
      const page = await deps.ask(nodeId, { kind: 'index', from }, 'index');
      for (const { position, entries } of page?.records ?? []) {
        await ledger.takeIndex(position, unpackAnchored(entries));
        from = Math.max(from, position + 1);
      }
      if (!page?.more || page.records.length === 0) return;
    }
  }

  async function ensureKey(): Promise<boolean> {
    if (ledger.keyring.lineage) return true;
    const { genesisId, members } = rosters.now();
    if (!genesisId || !members.some(({ nodeId }) => nodeId === deps.nodeId)) return false;
    let without = 1;
    for (const nodeId of otherMembers()) {
      const said = await askKey(nodeId);
      if (said === 'taken') return true;
      if (said === 'none') without += 1;
    }
    const first = members.every(({ nodeId }) => deps.nodeId <= nodeId);
    if (!first || without < members.length || deps.height() === 0) return false;
    const epoch = epochOf(deps.height());
    await ledger.takeKey(newLogKey(deps.random, genesisId, epoch));
    deps.report?.({ kind: 'log-key-made', epoch });
    return true;
  }

  async function exchange(nodeId: NodeId): Promise<boolean> {
    for (;;) {
      const after = ledger.line.head?.position;
      const request = after === undefined ? { kind: 'anchors' as const } : { kind: 'anchors' as const, after };
      const page = await deps.ask(nodeId, request, 'anchors');
      if (!page) return false;
      let taken = 0;
      for (const encoded of page.anchors) {
        const anchor = decoded(encoded);
        if (!anchor) return false;
        const verdict = await ledger.consider(anchor, undefined);
        deps.onAnchor(anchor, verdict);
        if (verdict === 'accepted') taken += 1;
      }
      if (!page.more) {
        // Without a chain it is the members who say how far there is nothing more.
        if (!deps.chain && taken === page.anchors.length) await ledger.moveTo(Math.min(page.height, deps.height()));
        return true;
      }
      if (taken === 0) return false;
    }
  }

  async function fillGaps(): Promise<void> {
    for (let filled = 0; filled < ANCESTORS_MAX; filled++) {
      const missing = ledger.line.missing(ledger.base);
      if (!missing || !(await fillGap(missing.hash))) return;
    }
  }

  async function fillGap(hash: string): Promise<boolean> {
    for (const nodeId of otherMembers()) {
      const answer = await deps.ask(nodeId, { kind: 'ancestor', hash: fromHex(hash) }, 'anchors');
      const anchor = answer?.anchors[0] && decoded(answer.anchors[0]);
      if (!anchor || toHex(anchorHash(deps.clusterId, anchor)) !== hash) continue;
      if (!(await ledger.ancestor(anchor))) continue;
      deps.onAnchor(anchor, 'accepted');
      return true;
    }
    return false;
  }

  function postpone(position: number): void {
    const tries = (retries.get(position)?.tries ?? 0) + 1;
    const pause = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(tries, 8));
    retries.set(position, { tries, atMs: clock.monotonic() + pause });
  }

  async function seekWanted(): Promise<void> {
    for (const position of retries.keys()) if (!ledger.wanted.get(position)) retries.delete(position);
    const now = clock.monotonic();
    const due = [...ledger.wanted.all()].filter(({ position }) => (retries.get(position)?.atMs ?? 0) <= now);
    for (const { position } of due.slice(0, WANTED_PER_TICK)) {
      // One member after another, each time another one first.
      const members = otherMembers();
      const first = retries.get(position)?.tries ?? 0;
      for (let i = 0; i < members.length; i++) {
        const anchor = ledger.wanted.get(position);
        if (anchor) await seekFrom(members[(first + i) % members.length]!, anchor);
      }
      postpone(position);
    }
  }

  async function seekFrom(nodeId: NodeId, anchor: WantedAnchor): Promise<void> {
    const { position } = anchor;
    const tags = concatBytes(...anchor.tags.values());
    const answer = await deps.ask(nodeId, { kind: 'tags', position, tags }, 'refs');
    if (!answer) return;
    // Only what makes the tags is looked at further: the key proves it.
    const matches = ledger.wanted.match(anchor, refsIn(answer.operations));
    const named = matches.map(({ ref }) => ref);
    if (answer.complete) {
      const told = new Set(matches.map(({ tag }) => tag));
      const gone = [...anchor.tags.keys()].filter((tag) => !told.has(tag));
      if (gone.length > 0) await ledger.heardGone(position, gone, nodeId);
    }
    const held = await Promise.all(named.map((ref) => replica.holds(ref)));
    await ledger.settle(
      position,
      named.filter((_, i) => held[i]),
    );
    const lacking = named.filter((_, i) => !held[i]);
    for (let at = 0; at < lacking.length; at += BODIES_MAX) {
      await fetchBodies(nodeId, position, lacking.slice(at, at + BODIES_MAX));
    }
  }

  async function fetchBodies(nodeId: NodeId, position: number, refs: readonly OperationRef[]): Promise<void> {
    const answer = await deps.ask(nodeId, { kind: 'operations', operations: packRefs(refs) }, 'operations');
    if (!answer) return;
    await replica.takeBodies(answer.bodies.map(decodeBody));
    const held = await Promise.all(refs.map((ref) => replica.holds(ref)));
    const operations = await ledger.settle(
      position,
      refs.filter((_, i) => held[i]),
    );
    if (operations > 0) deps.report?.({ kind: 'found', operations, from: nodeId });
    const gone = answer.gone.map((i) => refs[i]).filter((ref) => ref !== undefined);
    const anchor = ledger.wanted.get(position);
    if (gone.length === 0 || !anchor) return;
    const tags = ledger.wanted.match(anchor, gone).map(({ tag }) => tag);
    await ledger.heardGone(position, tags, nodeId);
  }

  return {
    ensureKey,
    async compareKey(nodeId) {
      await askKey(nodeId);
    },
    exchange,
    fillGaps,
    seekWanted,
    async noticed(refs) {
      for (const { position } of [...ledger.wanted.all()].slice(-WANTED_PER_TICK)) await ledger.settle(position, refs);
    },
  };
}

function decoded(encoded: Uint8Array): Anchor | undefined {
  try {
    return decodeAnchor(encoded);
  } catch (error) {
    if (isKithError(error)) return undefined;
    throw error;
  }
}

function refsIn(packed: Uint8Array): OperationRef[] {
  try {
    return unpackRefs(packed);
  } catch (error) {
    if (isKithError(error)) return [];
    throw error;
  }
}
