// Asks the sources of collateral one after another until one has an answer that is accepted.

import { abortable, deadline } from '../../core/deadline.ts';
import { isKithError, KithError, messageOf } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import type { Collateral } from '../quote-collateral.ts';
import type { CollateralErrorCode, CollateralRequest, CollateralSource } from './source.ts';

/** Four requests, the slowest of which was seen to take seconds. */
const FETCH_TIMEOUT_MS = 30_000;

/**
 * What `accept` makes of the first answer that it does not throw a KithError at.
 * @throws KithError `collateral-unavailable` with what each source said.
 */
export async function askSources<T>(
  deps: { sources: readonly CollateralSource[]; clock: Clock },
  request: CollateralRequest,
  accept: (collateral: Collateral) => T,
  options: { signal: AbortSignal },
): Promise<T> {
  const answers: string[] = [];
  for (const source of deps.sources) {
    using limit = deadline(deps.clock, FETCH_TIMEOUT_MS, options.signal);
    try {
      const collateral = await abortable(source.fetch(request, { signal: limit.signal }), limit.signal);
      if (collateral) return accept(collateral);
      answers.push(`${source.name} has none`);
    } catch (error) {
      if (!isKithError(error)) throw error;
      answers.push(`${source.name}: ${messageOf(error)}`);
    }
  }
  const why = answers.length > 0 ? answers.join('; ') : 'no source is configured';
  throw new KithError<CollateralErrorCode>(
    'collateral-unavailable',
    `no collateral for platforms with the FMSPC ${request.fmspc}: ${why}`,
  );
}
