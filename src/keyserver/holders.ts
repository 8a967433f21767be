// What an owner knows of the key servers of its deal in force: who has confirmed it, who lost it, who is silent.

import { equalBytes } from '../core/bytes.ts';
import type { NodeId } from '../core/ids.ts';
import type { RosterEntry } from '../core/roster.ts';
import type { Silence } from './ask.ts';
import { REPLACE_AFTER_MS } from './limits.ts';
import type { CustodyAnswer } from './messages.ts';

/** A member as the owner sees it now. */
export interface MemberView extends RosterEntry {
  readonly addresses: readonly string[];
  /** Of its attested connection; undefined without one. */
  readonly bootKey?: Uint8Array | undefined;
  /** It says that it stops: what it holds ends with it. Passed over as long as there are others. */
  readonly leaving?: boolean | undefined;
}

export interface Holder {
  /** `deposited`: it has the share, the commit is not acknowledged. `missing`: it does not have the share. */
  state: 'committed' | 'deposited' | 'missing';
  /** Whether it answered when last asked. */
  answering: boolean;
  /** Its boot when it took or showed the share; another one has forgotten it. */
  bootKey: Uint8Array | undefined;
}

/** Whether a holder's share can be counted on. */
export const holds = (holder: Holder, member: MemberView | undefined): boolean =>
  holder.state !== 'missing' && holder.answering && !member?.leaving && sameBoot(holder, member);

/** Whether a holder can be reached and does not have the share: a re-deal would help. */
export const lostIt = (holder: Holder, member: MemberView | undefined): boolean =>
  member?.bootKey !== undefined && (holder.state === 'missing' || !sameBoot(holder, member));

const sameBoot = ({ bootKey }: Holder, member: MemberView | undefined): boolean =>
  bootKey !== undefined && member?.bootKey !== undefined && equalBytes(bootKey, member.bootKey);

/** @param boots Those that the deposits were sent to. */
export function holdersOf(
  keyServers: readonly NodeId[],
  answers: readonly (CustodyAnswer | Silence)[],
  boots: ReadonlyMap<NodeId, Uint8Array | undefined>,
): ReadonlyMap<NodeId, Holder> {
  return new Map(
    keyServers.map((nodeId, i) => {
      const { kind } = answers[i]!;
      // An answer may have been lost on its way back: the commit will tell.
      const state = kind === 'deposited' || kind === 'silent' ? 'deposited' : 'missing';
      return [nodeId, { state, answering: kind !== 'silent', bootKey: boots.get(nodeId) }];
    }),
  );
}

/** @param asked The deal in force, and the boot that the probe was sent to. */
export function noteProbe(
  holder: Holder,
  answer: CustodyAnswer | Silence,
  asked: { readonly dealId: Uint8Array; readonly bootKey: Uint8Array | undefined },
): void {
  holder.answering = answer.kind !== 'silent';
  if (answer.kind !== 'holding') return;
  const has = (id: Uint8Array | undefined) => id !== undefined && equalBytes(id, asked.dealId);
  holder.state = has(answer.current) ? 'committed' : has(answer.pending) ? 'deposited' : 'missing';
  if (holder.state !== 'missing') holder.bootKey = asked.bootKey;
}

export interface SilenceWatch {
  /** Takes note of who is connected. */
  look(members: readonly MemberView[], nowMs: number): void;
  /** Takes note of an answer, or of none. */
  heard(nodeId: NodeId, answered: boolean, nowMs: number): void;
  /** It takes no share of ours: as good as silent until then. */
  avoid(nodeId: NodeId, untilMs: number): void;
  /** Members to be replaced if there are others. */
  unreachable(nowMs: number): ReadonlySet<NodeId>;
}

export function createSilenceWatch(): SilenceWatch {
  const connected = new Set<NodeId>();
  const silentSince = new Map<NodeId, number>();
  const avoided = new Map<NodeId, number>();
  return {
    look(members, nowMs) {
      const known = new Set(members.map(({ nodeId }) => nodeId));
      for (const map of [silentSince, avoided]) for (const id of map.keys()) if (!known.has(id)) map.delete(id);
      for (const id of connected) if (!known.has(id)) connected.delete(id);
      for (const { nodeId, bootKey } of members) {
        if (!bootKey) {
          connected.delete(nodeId);
          if (!silentSince.has(nodeId)) silentSince.set(nodeId, nowMs);
        } else if (!connected.has(nodeId)) {
          connected.add(nodeId);
          silentSince.delete(nodeId);
          avoided.delete(nodeId);
        }
      }
    },
    heard(nodeId, answered, nowMs) {
      if (answered) silentSince.delete(nodeId);
      else if (!silentSince.has(nodeId)) silentSince.set(nodeId, nowMs);
    },
    avoid: (nodeId, untilMs) => void avoided.set(nodeId, untilMs),
    unreachable(nowMs) {
      const silent = [...silentSince].filter(([, since]) => nowMs - since >= REPLACE_AFTER_MS);
      const refusing = [...avoided].filter(([, until]) => nowMs < until);
      return new Set([...silent, ...refusing].map(([nodeId]) => nodeId));
    },
  };
}
