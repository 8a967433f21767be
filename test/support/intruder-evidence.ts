// Evidence that a handshake must refuse, as options of a test's own mesh.

import type { QuoteSource } from '../../src/attestation/index.ts';
import { simulatedMeasurements, simulatedQuote } from '../../src/attestation/simulated/quote.ts';
import { utf8 } from '../../src/core/bytes.ts';
import type { HandshakeDeps } from '../../src/p2p/handshake/ports.ts';
import { measurements, pki } from './attestation.ts';
import type { TestNodeOptions } from './mesh.ts';

/** What the simulated platform measures of a build that is not this one. */
export const otherBuild = simulatedMeasurements('other', utf8('other build'));

/** Evidence of a platform of the same root, with something in it that the policy refuses. */
export const quotesOf = (report: Partial<Parameters<typeof simulatedQuote>[1]>): QuoteSource => ({
  kind: 'simulated',
  quote: async (reportData) =>
    simulatedQuote(pki.platform({ operator: 'op-x', name: 'x' }), { reportData, measurements, ...report }),
});

/** Puts something in the place of the quoter of each handshake. */
export const wrapQuoter =
  (quote: (deps: HandshakeDeps) => HandshakeDeps['quoter']['quote']) =>
  (deps: HandshakeDeps): HandshakeDeps => ({ ...deps, quoter: { quote: quote(deps) } });

/** A quote that was good for an earlier handshake. */
export function replayed(): TestNodeOptions {
  let earlier: Uint8Array | undefined;
  return {
    wrap: wrapQuoter((deps) => async (claim, given) => {
      earlier ??= await deps.quoter.quote(
        { ...claim, ...('ownNonce' in claim && { ownNonce: new Uint8Array(32) }) },
        given,
      );
      return earlier;
    }),
  };
}
