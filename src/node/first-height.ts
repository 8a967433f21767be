// Where the chain is before the store is open: measurement sets that are bounded by heights need one, for the look at
// the own quote and for peers that are met before the indexer runs. The host's word, as every height is.

import type { MeasurementSet } from '../attestation/index.ts';
import { abortable, deadline } from '../core/deadline.ts';
import type { Clock } from '../core/ports.ts';
import type { ChainSource } from '../indexer/index.ts';

/** Whether a measurement set is believed at some heights only. */
export const isBounded = ({ fromHeight, untilHeight }: MeasurementSet): boolean =>
  fromHeight !== undefined || untilHeight !== undefined;

/** An endpoint that takes longer than this is asked again at the next look at the own quote. */
const ASK_MS = 3_000;

/** The newest height that any endpoint names; undefined if none answers in time. */
export async function askHeight(
  deps: { readonly clock: Clock; readonly sources: readonly Pick<ChainSource, 'status'>[] },
  { signal }: { signal: AbortSignal },
): Promise<number | undefined> {
  using limit = deadline(deps.clock, ASK_MS, signal);
  const asked = deps.sources.map((source) => abortable(source.status({ signal: limit.signal }), limit.signal));
  const answers = await Promise.allSettled(asked);
  const heights = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value.latest] : []));
  return heights.length > 0 ? Math.max(...heights) : undefined;
}
