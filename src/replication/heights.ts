// Two heights, one of which the host controls: serving stops at whichever comes first, what cannot be undone waits
// for both.

import { LIFETIME_BLOCKS } from '../core/registration/limits.ts';

export interface Heights {
  /** The tip as this node's chain source says. */
  readonly own: number;
  /** Median over distinct operators of what the members sign. */
  readonly cluster: number;
}

/** Whether something that ends after `expiryHeight` may still be served. */
export const mayServe = (expiryHeight: number, { own, cluster }: Heights): boolean =>
  Math.max(own, cluster) <= expiryHeight;

/** Whether what ended after `expiryHeight` is to be destroyed. */
export const mustWipe = (expiryHeight: number, { own, cluster }: Heights): boolean =>
  Math.min(own, cluster) > expiryHeight;

/** Operations of versions below this are forgotten, and refused for ever. */
export const versionFloorAt = ({ own, cluster }: Heights): number =>
  Math.max(0, Math.min(own, cluster) - LIFETIME_BLOCKS);
