// The browser-safe door in a real browser: the same verdicts, to the field, as in Node.

import { describe, expect, it } from 'vitest';
import { parseCluster } from '../../../src/attestation/browser.ts';
import { createCluster } from '../../../src/attestation/cluster-configuration/cluster.ts';
import { DEFAULT_LIMITS } from '../../../src/attestation/cluster-configuration/configuration.ts';
import { defaultPolicy } from '../../../src/attestation/policy/policy.ts';
import { formatCollateral } from '../../../src/attestation/quote-collateral.ts';
import { batchNonces, type ClientClaim, reportDataOf } from '../../../src/attestation/report-data.ts';
import { toBase64Url, toHex } from '../../../src/core/bytes.ts';
import { nodeIdFromBytes } from '../../../src/core/ids.ts';
import {
  type Evidence,
  flipped,
  measurements,
  NOW,
  outcome,
  pki,
  readEvidence,
  realRows,
  simulatedEvidence,
  verify,
  withParts,
} from '../../support/attestation.ts';
import { bundleForBrowser, chromium, runInChromium } from '../../support/chromium.ts';
import { saySkipped } from '../../support/fixtures.ts';

if (!chromium) saySkipped('attestation in a browser', 'no Chromium is installed');

const rows = realRows();
if (rows.length === 0) saySkipped('real quotes in a browser', 'the fixtures are absent');

const good = simulatedEvidence('v5-td15');
const cases: Evidence[] = [
  ...rows.map(readEvidence),
  ...(['v4', 'v5-td10', 'v5-td15'] as const).map((layout) => simulatedEvidence(layout)),
  { ...good, name: 'flipped', quote: flipped(good.quote, 5000) },
  { ...good, name: 'truncated', quote: good.quote.subarray(0, 3000) },
  {
    ...good,
    name: 'forged CRL',
    collateral: withParts(good.collateral, { pckCrl: flipped(good.collateral.pckCrl, 300) }),
  },
  { ...good, name: 'revoked', collateral: pki.collateral({ revokeAuthority: true }) },
  { ...good, name: 'another anchor', anchor: pki.authority },
];

const cluster = createCluster({
  version: 1,
  chainId: 'kith-test',
  trustAnchor: { development: toBase64Url(pki.root) },
  policy: defaultPolicy([measurements]),
  allowSimulated: true,
  allowUnbacked: false,
  confirmations: 1,
  operators: [],
  governance: { threshold: 1, publicKeys: [toBase64Url(new Uint8Array(32).fill(1))] },
  recovery: { threshold: 0, publicKeys: [] },
  limits: DEFAULT_LIMITS,
});

const nonces = [1, 2, 3].map((value) => new Uint8Array(32).fill(value));
const { root, paths } = batchNonces(nonces);
const claim: ClientClaim = {
  purpose: 'client',
  clusterId: cluster.id,
  configurationHash: cluster.hash,
  nodeId: nodeIdFromBytes(new Uint8Array(32).fill(7)),
  hpkeKey: new Uint8Array(32).fill(8),
  rosterHash: new Uint8Array(32).fill(9),
  noncesRoot: root,
};
const attested = simulatedEvidence('v4', { reportData: reportDataOf(claim) });

const SOURCE = `
  import {
    answersNonce, createAttestor, NO_COLLATERAL_SEEN, parseCluster, parseCollateral, verifyQuote,
  } from './src/attestation/browser.ts';
  import { fromHex, toHex } from './src/core/bytes.ts';

  const { cases, client } = globalThis.input;
  const verdicts = cases.map(({ quote, collateral, anchor, nowSeconds }) => {
    const request = { quote: fromHex(quote), collateral: parseCollateral(collateral), anchor: fromHex(anchor), nowSeconds };
    return verifyQuote({ ...request, allowDebug: true });
  });

  const cluster = parseCluster(client.cluster);
  const claim = {
    purpose: 'client',
    clusterId: cluster.id,
    configurationHash: cluster.hash,
    nodeId: client.nodeId,
    hpkeKey: fromHex(client.hpkeKey),
    rosterHash: fromHex(client.rosterHash),
  };
  const where = { ...client.where, root: fromHex(client.where.root), path: client.where.path.map(fromHex) };
  const attest = (nonce) =>
    createAttestor({ cluster: () => cluster }).attest(
      { quote: fromHex(client.quote), collateral: parseCollateral(client.collateral) },
      (reportData) => answersNonce(reportData, claim, nonce, where),
      { nowSeconds: client.nowSeconds, height: undefined, newestCollateral: NO_COLLATERAL_SEEN },
    );
  const answered = attest(fromHex(client.nonce));
  const other = attest(new Uint8Array(32));

  const plain = (value) => JSON.parse(JSON.stringify(value, (_, field) => (field instanceof Uint8Array ? toHex(field) : field)));
  globalThis.done({
    verdicts: plain(verdicts),
    clusterId: cluster.id,
    answered: answered.kind,
    other: other.code,
    cryptoSide: typeof process === 'undefined' ? 'browser' : 'node',
  });
`;

const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, field: unknown) => (field instanceof Uint8Array ? toHex(field) : field)));

describe('the browser-safe door', () => {
  it('bundles without Node built-ins, and without what makes quotes', async () => {
    const bundle = await bundleForBrowser("export * from './src/attestation/browser.ts';");
    expect(bundle).not.toMatch(/require\(|node:/);
    expect(bundle).not.toContain('/sys/kernel/config');
    await expect(bundleForBrowser("export * from './src/attestation/index.ts';")).rejects.toThrow(/node:fs/);
  });
});

describe.skipIf(!chromium)('in headless Chromium', () => {
  it('every verdict is the one of Node, and a client can check a node', async () => {
    const input = {
      cases: cases.map(({ quote, collateral, anchor, nowSeconds }) => ({
        quote: toHex(quote),
        collateral: formatCollateral(collateral),
        anchor: toHex(anchor),
        nowSeconds,
      })),
      client: {
        cluster: JSON.stringify(cluster.configuration),
        quote: toHex(attested.quote),
        collateral: formatCollateral(attested.collateral),
        nowSeconds: NOW,
        nodeId: claim.nodeId,
        hpkeKey: toHex(claim.hpkeKey),
        rosterHash: toHex(claim.rosterHash),
        nonce: toHex(nonces[1]!),
        where: { ...paths[1]!, root: toHex(root), path: paths[1]!.path.map(toHex) },
      },
    };
    const answer = (await runInChromium(SOURCE, input)) as { verdicts: unknown[] };
    const here = cases.map((evidence) => verify(evidence, { allowDebug: true }));
    expect(here.slice(-5).map(outcome)).toEqual([
      'quote-signature',
      'malformed',
      'crl-signature',
      'ca-revoked',
      'chain',
    ]);
    expect(answer).toEqual({
      verdicts: here.map(plain),
      clusterId: parseCluster(input.client.cluster).id,
      answered: 'believed',
      other: 'report-data',
      cryptoSide: 'browser',
    });
  });
});
