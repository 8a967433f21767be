// What a client believes of `confirmed`: receipts it has verified itself, of members on the roster in the quote it has
// verified itself, of as many platforms and operators as it asks for. The node's own word counts for nothing.

import type { Cluster } from '../attestation/browser.ts';
import { confirmationBy } from '../core/certificate.ts';
import type { OpId } from '../core/ids.ts';
import type { RosterEntry } from '../core/roster.ts';

export interface Judged {
  readonly status: 'confirmed' | 'pending';
  /** The node is the whole cluster and the configuration allows that: nobody else has confirmed anything. */
  readonly unbacked: boolean;
  /** Those that count, encoded. */
  readonly receipts: readonly Uint8Array[];
  /** Platforms that must confirm. */
  readonly needed: number;
}

/** Whatever a cluster says is enough, one platform is nobody but the node itself. */
const PLATFORMS_MIN = 2;

/**
 * @param platformsMin what the caller asks for, if that is more than a majority of the roster and what the cluster
 *   configuration asks for; two unless given, and one in a cluster of one node that may be alone.
 */
export function judgeReceipts(
  receipts: readonly Uint8Array[],
  opId: OpId,
  of: { readonly cluster: Cluster; readonly roster: readonly RosterEntry[] },
  platformsMin: number | undefined,
): Judged {
  const { id: clusterId, configuration } = of.cluster;
  const { confirmations, allowUnbacked } = configuration;
  const alone = new Set(of.roster.map(({ platform }) => platform)).size === 1;
  const unbacked = alone && allowUnbacked && (platformsMin ?? 1) <= 1;
  const least = Math.max(confirmations, platformsMin ?? (unbacked ? 1 : PLATFORMS_MIN));
  const { receipts: counted, filled, needed } = confirmationBy(receipts, { clusterId, opId }, of.roster, least);
  return { status: filled ? 'confirmed' : 'pending', unbacked, receipts: counted, needed };
}
