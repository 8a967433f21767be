// How a node's own custody stands: for readiness, status and logs.

import type { NodeId } from '../core/ids.ts';
import type { RefusalReason } from './messages.ts';
import type { Placement, PlacementWarning } from './placement.ts';
import type { KnownDeal } from './prepare-deal.ts';

export type DealReason = 'first' | 'recovered' | 'placement' | 'share-lost' | 'asked';

export type DealFailure =
  /** Too few deposits were acknowledged. */
  | { readonly kind: 'deposits'; readonly words: readonly { nodeId: NodeId; word: 'silent' | RefusalReason }[] }
  | { readonly kind: 'header'; readonly message: string };

export interface CustodyState {
  /** `waiting`: there is no other member. `dealing`: the deal in force is to be replaced. `backed`: it stands. */
  readonly phase: 'waiting' | 'dealing' | 'backed';
  /** Of the deal in force; 0 before the first. */
  readonly keyEpoch: number;
  readonly threshold: number;
  readonly shares: number;
  /** Key servers that hold their share of it, as far as known. At least `threshold`: the node could restart now. */
  readonly confirmed: readonly NodeId[];
  /** `few-holders`: fewer than threshold + 1 (or all, of one or two) hold it. */
  readonly warnings: readonly (PlacementWarning | 'few-holders')[];
  readonly failure: DealFailure | undefined;
  /** Clock.monotonic() of the last change. */
  readonly sinceMs: number;
}

/** Deposits that must be acknowledged before the header is written. */
export const depositsWanted = ({ threshold, shares }: Pick<Placement, 'threshold' | 'shares'>): number =>
  shares <= 2 ? shares : threshold + 1;

export const WAITING: CustodyState = {
  phase: 'waiting',
  keyEpoch: 0,
  threshold: 0,
  shares: 0,
  confirmed: [],
  warnings: [],
  failure: undefined,
  sinceMs: 0,
};

export function describeCustody(known: {
  readonly placement: Placement | undefined;
  /** Why a deal is due, if one is. */
  readonly due: DealReason | undefined;
  readonly current: KnownDeal | undefined;
  readonly confirmed: readonly NodeId[];
  readonly failure: DealFailure | undefined;
  readonly sinceMs: number;
}): CustodyState {
  const { placement, due, current, confirmed, failure, sinceMs } = known;
  const shares = current?.keyServers.length ?? 0;
  const threshold = current?.threshold ?? 0;
  const few = shares > 0 && confirmed.length < depositsWanted({ threshold, shares });
  return {
    phase: placement?.shares ? (due ? 'dealing' : 'backed') : 'waiting',
    keyEpoch: current?.keyEpoch ?? 0,
    threshold,
    shares,
    confirmed,
    warnings: [...(placement?.warnings ?? []), ...(few ? (['few-holders'] as const) : [])],
    failure,
    sinceMs,
  };
}
