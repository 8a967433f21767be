// Verifying a quote: with nothing known, with collateral and certificates known, and by another implementation.

import { QuoteVerifier } from '@phala/dcap-qvl';
import { Bench } from 'tinybench';
import { formatCollateral, parseCollateral } from '../src/attestation/quote-collateral.ts';
import { createVerificationCaches, verifyQuote } from '../src/attestation/verify.ts';
import { realEvidence, simulatedEvidence } from '../test/support/attestation.ts';
import { saySkipped } from '../test/support/fixtures.ts';
import { printBench } from './report.ts';

export async function benchAttestation(): Promise<void> {
  const real = realEvidence();
  if (real.length === 0) saySkipped('verifying real quotes', 'the fixtures are absent; a simulated one is verified');
  // Their verifier reads authentication data of 32 bytes only.
  const all = real.length > 0 ? real : [simulatedEvidence('v5-td15', { qeAuthData: new Uint8Array(32) })];
  for (const { name, quote, collateral, anchor, nowSeconds } of all) {
    const file = formatCollateral(collateral);
    const request = { quote, collateral, anchor, nowSeconds };
    const caches = createVerificationCaches();
    const theirs = new QuoteVerifier(Buffer.from(anchor));
    const bytes = Buffer.from(quote);
    if (verifyQuote(request, caches).kind !== 'accepted') throw new Error(`${name} is not accepted`);

    const bench = new Bench({ time: 2000, warmupTime: 500 });
    bench.add('cold: collateral from its text, nothing cached', () => {
      verifyQuote({ ...request, collateral: parseCollateral(file) });
    });
    bench.add('cached: collateral and certificates known', () => {
      verifyQuote(request, caches);
    });
    bench.add('@phala/dcap-qvl: collateral from its text', () => {
      theirs.verify(bytes, JSON.parse(file), nowSeconds);
    });
    await bench.run();
    printBench(`Verifying a quote: ${name}`, bench);
  }
}
