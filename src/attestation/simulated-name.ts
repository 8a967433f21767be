// Names of simulated platforms: `OPERATOR/NAME`, carried in the quoting enclave's authentication data, so that the
// simulated QE vouches for it and the cluster can tell operators apart without a platform map.

import { fromUtf8, utf8 } from '../core/bytes.ts';
import { isKithError, KithError } from '../core/errors.ts';
import type { AcceptedQuote } from './verdict.ts';

/** A simulated machine: who runs it and how it is called. */
export interface SimulatedPlatformName {
  readonly operator: string;
  readonly name: string;
}

const PREFIX = 'kith-dev:';
const PART = /^[A-Za-z0-9._-]{1,64}$/;

/** Reads `OPERATOR/NAME`. @throws KithError `simulated-platform`. */
export function parseSimulatedPlatform(text: string): SimulatedPlatformName {
  const [operator = '', name = '', ...rest] = text.split('/');
  if (rest.length > 0 || !PART.test(operator) || !PART.test(name)) {
    throw new KithError(
      'simulated-platform',
      'a simulated platform is named OPERATOR/NAME, each of 1 to 64 letters, digits, dots, dashes or underscores',
    );
  }
  return { operator, name };
}

/** The authentication data of a simulated platform's quotes. */
export const simulatedAuthData = ({ operator, name }: SimulatedPlatformName): Uint8Array =>
  utf8(`${PREFIX}${operator}/${name}`);

/** What a simulated platform says of itself; undefined for a real one. */
export function simulatedPlatformOf(
  quote: Pick<AcceptedQuote, 'development' | 'qeAuthData'>,
): SimulatedPlatformName | undefined {
  if (!quote.development) return undefined;
  try {
    const text = fromUtf8(quote.qeAuthData);
    return text.startsWith(PREFIX) ? parseSimulatedPlatform(text.slice(PREFIX.length)) : undefined;
  } catch (error) {
    if (isKithError(error, 'bad-text', 'simulated-platform')) return undefined;
    throw error;
  }
}
