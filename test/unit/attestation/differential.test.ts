// A second opinion: @phala/dcap-qvl, another implementation of Intel's algorithm, on the same evidence. Both must
// agree except where a reason is written down here; a disagreement that went away must be taken off the list.

import { QuoteVerifier } from '@phala/dcap-qvl';
import { describe, expect, it } from 'vitest';
import { formatPemChain } from '../../../src/attestation/pem.ts';
import { type Collateral, formatCollateral } from '../../../src/attestation/quote-collateral.ts';
import {
  deriveKey,
  issueCertificate,
  issueCrl,
  LEAF_USAGE,
  NOT_AFTER,
  NOT_BEFORE,
} from '../../../src/attestation/simulated/authority.ts';
import { simulatedQuote } from '../../../src/attestation/simulated/quote.ts';
import { parseCertificate } from '../../../src/attestation/x509.ts';
import { concatBytes, utf8 } from '../../../src/core/bytes.ts';
import {
  type Evidence,
  flipped,
  measurements,
  NOW,
  pki,
  platform,
  readEvidence,
  realRows,
  reportData,
  simulatedEvidence,
  verify,
  withParts,
} from '../../support/attestation.ts';
import { saySkipped } from '../../support/fixtures.ts';

/** Status and number of advisories, or `refused`. */
function ours(evidence: Evidence): string {
  const verdict = verify(evidence, { allowDebug: true });
  return verdict.kind === 'accepted' ? `${verdict.tcbStatus}, ${verdict.advisories.length} advisories` : 'refused';
}

function theirs({ quote, collateral, anchor, nowSeconds }: Evidence): string {
  const file = JSON.parse(formatCollateral(collateral)) as ConstructorParameters<typeof Object>[0];
  try {
    const { status, advisory_ids } = new QuoteVerifier(Buffer.from(anchor)).verify(
      Buffer.from(quote),
      file,
      nowSeconds,
    );
    return `${status}, ${advisory_ids.length} advisories`;
  } catch {
    return 'refused';
  }
}

const rows = realRows();
if (rows.length === 0) saySkipped('the second opinion on real quotes', 'the fixtures are absent');

/** By quote and collateral: what each says, and why. */
const KNOWN_ON_REAL_QUOTES: Readonly<Record<string, { ours: string; theirs: string; because: string }>> = {
  'v5-automata-alibaba with dcapqvl-90c06f-2026-02': {
    ours: 'OutOfDate, 5 advisories',
    theirs: 'refused',
    because: 'a service domain is bound (MRSERVICETD): for them a fault of form, for us a matter of policy',
  },
  'v5-automata-alibaba with flashbots-azure-ak': {
    ours: 'OutOfDate, 5 advisories',
    theirs: 'refused',
    because: 'as above',
  },
  'v4-teekit-trustee-DEBUG with gotdx-50806f-2023-06': {
    ours: 'UpToDate, 0 advisories',
    theirs: 'refused',
    because: 'a debug domain, which we accept here because allowDebug is set',
  },
  'v4-gotdx-cos113-gcp with flashbots-dcap-00': {
    ours: 'OutOfDate, 7 advisories',
    theirs: 'OutOfDate, 10 advisories',
    because: 'they compare TDX components 0 and 1 of a versioned module, which Intel takes from the module identity',
  },
  'v4-gotdx-cos113-gcp with automata-00806f-2025-10': {
    ours: 'UpToDate, 0 advisories',
    theirs: 'OutOfDate, 3 advisories',
    because: 'as above',
  },
};

describe.skipIf(rows.length === 0)('on real quotes both say the same', () => {
  it.each(rows.map((real) => ({ title: `${real.row.quote} with ${real.row.collateral}`, real })))(
    '$title',
    ({ title, real }) => {
      const evidence = readEvidence(real);
      const known = KNOWN_ON_REAL_QUOTES[title];
      const [own, other] = [ours(evidence), theirs(evidence)];
      if (known) expect({ ours: own, theirs: other }).toEqual({ ours: known.ours, theirs: known.theirs });
      else expect(own).toBe(other);
    },
  );
});

const stranger = deriveKey(utf8('stranger'), 'key');
/** They can only read authentication data of 32 bytes, which is what Intel's quoting enclave makes. */
const qeAuthData = new Uint8Array(32).map((_, i) => i);
const base = simulatedEvidence('v4', { qeAuthData });
const good = base.collateral;
const leafIssuer = { commonName: 'DEV Intel SGX PCK Certificate', key: platform.pckKey };
const leaf = platform.pckChain[0]!;
const dates = { thisUpdate: NOT_BEFORE, nextUpdate: NOT_AFTER, revoked: [] };

const withCollateral = (collateral: Collateral): Evidence => ({ ...base, collateral });
const withQuote = (quote: Uint8Array): Evidence => ({ ...base, quote });
const parts = (changes: Parameters<typeof withParts>[1]) => withCollateral(withParts(good, changes));

function issuedByLeaf(): Uint8Array {
  const sgxExtension = parseCertificate(leaf).sgxExtension!;
  const { publicKey } = stranger;
  const spec = { commonName: leafIssuer.commonName, publicKey, issuer: leafIssuer, keyUsage: LEAF_USAGE, sgxExtension };
  const pckChain = [issueCertificate(spec), leaf, pki.authority];
  return simulatedQuote({ ...platform, pckChain, pckKey: stranger }, { reportData, measurements, qeAuthData });
}

const UNKNOWN_MODULE = Uint8Array.of(5, 9, 4, ...new Array<number>(13).fill(0));

/** Where we refuse what they accept. */
const WE_REFUSE: Readonly<Record<string, { evidence: () => Evidence; because: string }>> = {
  'a PCK certificate issued by a PCK leaf': {
    evidence: () => withQuote(issuedByLeaf()),
    because: 'they look at signatures only: no CA flag, no path length, no key usage',
  },
  'TCB info signed by the PCK leaf': {
    evidence: () =>
      parts({
        tcbInfoSignature: platform.pckKey.sign(utf8(good.tcbInfo)),
        tcbInfoIssuerChain: formatPemChain([leaf, pki.authority, pki.root]),
      }),
    because: 'they accept any certificate below the root as the signer',
  },
  'a forged CRL': {
    evidence: () => parts({ pckCrl: issueCrl({ issuer: { ...pki.authorityIssuer, key: stranger }, ...dates }) }),
    because: 'they do not check signatures of CRLs',
  },
  'an expired CRL': {
    evidence: () => parts({ pckCrl: issueCrl({ issuer: pki.authorityIssuer, ...dates, nextUpdate: NOW - 1 }) }),
    because: 'they do not check dates of CRLs',
  },
  'a garbage CRL': {
    evidence: () => parts({ pckCrl: utf8('garbage') }),
    because: 'they take a CRL they cannot read for an empty one',
  },
  'another PCEID': {
    evidence: () => withCollateral(pki.collateral({ pceId: '0001' })),
    because: 'they do not compare the PCEID',
  },
  'an unknown TDX module': {
    evidence: () => simulatedEvidence('v4', { teeTcbSvn: UNKNOWN_MODULE, qeAuthData }),
    because: 'they do not look at module identities',
  },
  'bytes behind the end': {
    evidence: () => withQuote(concatBytes(base.quote, utf8('more'))),
    because: 'they ignore what follows',
  },
};

/** What both refuse or both accept. */
const AGREED: Readonly<Record<string, () => Evidence>> = {
  'a good quote': () => base,
  'a good quote of version 5': () => simulatedEvidence('v5-td10', { qeAuthData }),
  'a good quote of TD 1.5': () => simulatedEvidence('v5-td15', { qeAuthData }),
  'a flipped report': () => withQuote(flipped(base.quote, 8 * 600)),
  'an edited TCB info': () => parts({ tcbInfo: good.tcbInfo.replace('"svn":12', '"svn":11') }),
  'an expired TCB info': () => withCollateral(pki.collateral({ issuedAt: NOW - 10, nextUpdateAt: NOW - 1 })),
  'another FMSPC': () => withCollateral(pki.collateral({ fmspc: 'DE0000000001' })),
  'a revoked PCK certificate': () => withCollateral(pki.collateral({ revokedPlatforms: [platform] })),
  'another root': () => ({ ...base, anchor: pki.authority }),
};

describe('on simulated quotes', () => {
  it('they refuse, we accept: authentication data of another length than 32 bytes', () => {
    const evidence = simulatedEvidence('v4');
    expect([ours(evidence), theirs(evidence)]).toEqual(['UpToDate, 0 advisories', 'refused']);
  });

  it.each(Object.entries(AGREED))('both say the same: %s', (_, evidence) => {
    expect(ours(evidence())).toBe(theirs(evidence()));
  });

  it.each(Object.entries(WE_REFUSE))('we refuse, they accept: %s', (_, { evidence }) => {
    expect(ours(evidence())).toBe('refused');
    expect(theirs(evidence())).not.toBe('refused');
  });
});
