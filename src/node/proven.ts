// Which peers have shown who they are. Their code is attested, so it says the truth about itself: a node that has not
// opened its store yet is named by a key of its boot, with the incarnation zero.

import type { Refusal } from '../p2p/index.ts';

export const NO_INCARNATION = 0;

interface Claimed {
  readonly incarnation: number;
}

/** Whether the peer speaks under its node's own id. */
export const isProven = ({ incarnation }: Claimed): boolean => incarnation > NO_INCARNATION;

/** For protocols that are for members only. */
export const permitProven = (peer: Claimed): Refusal | undefined =>
  isProven(peer) ? undefined : { code: 'no-identity', message: 'open your store first' };
