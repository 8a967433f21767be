// The port through which collateral comes. Every source is untrusted: what it returns is verified like a quote.

import type { PlatformKind } from '../platform-kind.ts';
import type { Collateral } from '../quote-collateral.ts';

export type CollateralErrorCode = 'collateral-unavailable' | 'collateral-answer';

export interface CollateralRequest extends PlatformKind {
  /** `early`: what Intel will make `standard` in some months' time, once clouds had time to update. */
  readonly update: 'standard' | 'early';
}

export interface CollateralSource {
  /** For messages: an address or a folder. */
  readonly name: string;
  /**
   * Collateral for such platforms, undefined if the source has none.
   * @throws KithError with a CollateralErrorCode.
   */
  fetch(request: CollateralRequest, options: { signal: AbortSignal }): Promise<Collateral | undefined>;
}
