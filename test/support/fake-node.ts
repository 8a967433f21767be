// A node of a simulated cluster as far as clients see it: real quotes of a development PKI, real sealed requests. What
// stands between may be changed by the test.

import { createCluster, DEFAULT_LIMITS, defaultPolicy, reportDataOf } from '../../src/attestation/index.ts';
import { formatCollateral } from '../../src/attestation/quote-collateral.ts';
import { type SimulatedReport, simulatedQuote } from '../../src/attestation/simulated/quote.ts';
import type { ClientResponse, ClientTransport } from '../../src/client/transport.ts';
import { fromHex, toBase64Url, utf8 } from '../../src/core/bytes.ts';
import { encodeCbor } from '../../src/core/cbor.ts';
import { HPKE_SUITE, hpkeGenerateKeyPair } from '../../src/core/hpke.ts';
import { idBytes, nodeIdFromBytes } from '../../src/core/ids.ts';
import { checkOperation } from '../../src/core/registration/operation.ts';
import { decodeSubmission, type Submission } from '../../src/core/registration/submission.ts';
import { type RosterEntry, rosterHash } from '../../src/core/roster.ts';
import { fromSealedBox, openRequest, type RequestKind, type SealedBox } from '../../src/core/sealed-request.ts';
import { createClientAttestation } from '../../src/node/client-attestation.ts';
import { measurements, pki, platform } from './attestation.ts';
import { createImmediateClock } from './immediate-clock.ts';
import { seededRandom } from './seeded-random.ts';

export const cluster = createCluster({
  version: 1,
  chainId: 'kith-test',
  trustAnchor: { development: toBase64Url(pki.root) },
  policy: defaultPolicy([measurements]),
  allowSimulated: true,
  allowUnbacked: true,
  confirmations: 1,
  operators: [],
  governance: { threshold: 1, publicKeys: [toBase64Url(new Uint8Array(32).fill(2))] },
  recovery: { threshold: 0, publicKeys: [] },
  limits: DEFAULT_LIMITS,
});

export interface FakeNode {
  readonly transport: ClientTransport;
  /** Paths asked for, in order. */
  readonly asked: readonly string[];
  /** Submissions that were opened and found valid. */
  readonly received: readonly Submission[];
}

/** How a hostile node or somebody in between may differ from an honest one. */
export interface Deviations {
  readonly report?: Partial<SimulatedReport>;
  /** Changes an answer on its way. */
  readonly tamper?: (path: string, answer: Record<string, unknown>) => unknown;
  readonly answerAbout?: Uint8Array;
}

export function createFakeNode(deviations: Deviations = {}): FakeNode {
  const random = seededRandom('fake node');
  const keyPair = hpkeGenerateKeyPair(random);
  const nodeId = nodeIdFromBytes(random.bytes(32));
  const roster: RosterEntry[] = [{ nodeId, platform: 'ab'.repeat(32), operator: 'op-a' }];
  const asked: string[] = [];
  const received: Submission[] = [];
  const attestation = createClientAttestation({
    clock: createImmediateClock(),
    quote: async (noncesRoot) => {
      const claim = {
        purpose: 'client' as const,
        clusterId: cluster.id,
        configurationHash: cluster.hash,
        nodeId,
        hpkeKey: keyPair.publicKey,
        rosterHash: rosterHash(roster),
        noncesRoot,
      };
      return simulatedQuote(platform, { reportData: reportDataOf(claim), measurements, ...deviations.report }, 'v4');
    },
  });

  async function attest(nonce: string, signal: AbortSignal) {
    const { quote, path } = await attestation.attest(fromHex(nonce), { signal });
    return {
      quote: toBase64Url(quote),
      collateral: toBase64Url(utf8(formatCollateral(pki.collateral()))),
      nodeId,
      hpke: [{ suite: HPKE_SUITE, publicKey: toBase64Url(keyPair.publicKey) }],
      roster,
      configurationHash: toBase64Url(cluster.hash),
      noncePath: { ...path, root: toBase64Url(path.root), path: path.path.map(toBase64Url) },
    };
  }

  function operate(kind: RequestKind, box: SealedBox) {
    const context = { clusterId: cluster.id, nodeId, kind };
    const { plaintext, sealAnswer } = openRequest({ random }, keyPair, context, fromSealedBox(box));
    const submission = decodeSubmission(plaintext);
    const refusal = checkOperation(submission.operation, cluster.id);
    if (refusal) return { status: 422, answer: { code: refusal.reason, detail: refusal.detail } };
    received.push(submission);
    const { regId, expiryHeight } = submission.operation;
    const about = deviations.answerAbout ?? idBytes(regId);
    const sealed = sealAnswer(encodeCbor({ regId: about, status: 'confirmed', expiryHeight, receipts: [] }));
    const shown = { nonce: toBase64Url(sealed.nonce), ciphertext: toBase64Url(sealed.ciphertext) };
    return { status: 201, answer: { id: regId, status: 'confirmed', sealed: shown } };
  }

  async function answerTo(path: string, body: string | undefined, signal: AbortSignal) {
    const nonce = /^\/v1\/attestation\?nonce=([0-9a-f]{64})$/.exec(path)?.[1];
    if (nonce) return { status: 200, answer: (await attest(nonce, signal)) as Record<string, unknown> };
    const kind = /^\/v1\/registrations(?:\/[A-Za-z0-9_-]{43}\/(renew|revoke))?$/.exec(path);
    if (!kind || body === undefined) return { status: 404, answer: { code: 'not-found', detail: 'nothing here' } };
    return operate((kind[1] ?? 'register') as RequestKind, JSON.parse(body) as SealedBox);
  }

  return {
    asked,
    received,
    transport: {
      async request({ url, body }, { signal }): Promise<ClientResponse> {
        const { pathname, search } = new URL(url);
        const path = pathname + search;
        asked.push(path);
        const { status, answer } = await answerTo(path, body, signal);
        const shown = deviations.tamper ? deviations.tamper(path, answer) : answer;
        const text = typeof shown === 'string' ? shown : JSON.stringify(shown);
        return { status, body: text, retryAfterSeconds: undefined };
      },
    },
  };
}
