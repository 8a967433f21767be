// Who holds a registration and who detects for it. The only place that decides: in this version everybody does both.

import type { RegId } from '../core/ids.ts';
import type { RosterEntry } from '../core/roster.ts';

export interface Placement {
  /** Members that keep its operations and keys. */
  readonly holders: readonly RosterEntry[];
  /** Members that test flags against its keys. */
  readonly detectors: readonly RosterEntry[];
}

export function placement(_regId: RegId, roster: readonly RosterEntry[]): Placement {
  return { holders: roster, detectors: roster };
}
