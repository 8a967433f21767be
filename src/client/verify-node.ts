// Before the first secret leaves: is this a node of the cluster the user trusts, running believed code, now?

import {
  type AttestationCode,
  answersNonce,
  type Cluster,
  createAttestor,
  type NewestCollateral,
  NO_COLLATERAL_SEEN,
  parseCollateral,
  verificationTime,
  versionWithHash,
} from '../attestation/browser.ts';
import { fromBase64Url, fromUtf8, toHex } from '../core/bytes.ts';
import { isKithError } from '../core/errors.ts';
import { HPKE_SUITE } from '../core/hpke.ts';
import { type NodeId, parseNodeId } from '../core/ids.ts';
import type { Clock, Random } from '../core/ports.ts';
import { type RosterEntry, rosterHash } from '../core/roster.ts';
import { attestationShape, type CallOptions, type NodeApi } from './api.ts';
import { clientError } from './errors.ts';

/** A node whose evidence was believed. */
export interface VerifiedNode {
  readonly nodeId: NodeId;
  /** X25519 key to seal to, 32 bytes: exists in the memory of that node only. */
  readonly hpkePublicKey: Uint8Array;
  readonly roster: readonly RosterEntry[];
  readonly operator: string;
  readonly tcbStatus: string;
  /** Whether it is simulated, and so protects nobody. */
  readonly simulated: boolean;
}

const NONCE_BYTES = 32;

/**
 * Asks a node for a quote over a fresh nonce and checks it under `cluster`.
 * @throws KithError `node-not-believed` with the reason, `bad-answer`, `node-unreachable`, or the node's own refusal.
 */
export async function verifyNode(
  deps: { api: NodeApi; clock: Clock; random: Random },
  cluster: Cluster,
  options: CallOptions & { newestCollateral?: NewestCollateral },
): Promise<VerifiedNode> {
  const { api, clock, random } = deps;
  const nonce = random.bytes(NONCE_BYTES);
  const answer = await api.get(`/v1/attestation?nonce=${toHex(nonce)}`, attestationShape, options);
  const claim = readClaim(answer, api.url);
  if (versionWithHash(cluster, claim.configurationHash) === undefined) {
    throw notBelieved(api.url, 'configuration', 'it runs another cluster configuration than the one given');
  }
  const attestor = createAttestor({ cluster: () => cluster });
  const verdict = attestor.attest(
    { quote: claim.quote, collateral: claim.collateral },
    (reportData) =>
      answersNonce(
        reportData,
        {
          purpose: 'client',
          clusterId: cluster.id,
          configurationHash: claim.configurationHash,
          nodeId: claim.nodeId,
          hpkeKey: claim.hpkePublicKey,
          rosterHash: rosterHash(claim.roster),
        },
        nonce,
        claim.path,
      ),
    {
      nowSeconds: verificationTime(clock.now(), undefined),
      height: undefined,
      newestCollateral: options.newestCollateral ?? NO_COLLATERAL_SEEN,
    },
  );
  if (verdict.kind === 'refused') throw notBelieved(api.url, verdict.code, verdict.message);
  return {
    nodeId: claim.nodeId,
    hpkePublicKey: claim.hpkePublicKey,
    roster: claim.roster,
    operator: verdict.operator,
    tcbStatus: verdict.quote.tcbStatus,
    simulated: cluster.simulated,
  };
}

function notBelieved(url: string, code: AttestationCode | 'configuration', why: string) {
  return clientError('node-not-believed', `${url} is not believed (${code}): ${why}; nothing was sent to it`);
}

function readClaim(answer: ReturnType<typeof attestationShape.parse>, url: string) {
  try {
    const { noncePath, hpke, collateral } = answer;
    const key = hpke.find(({ suite }) => suite === HPKE_SUITE);
    if (!key) throw clientError('bad-answer', `${url} offers no key of the suite ${HPKE_SUITE}`);
    if (collateral === undefined) throw clientError('bad-answer', `${url} sends no collateral with its quote`);
    return {
      quote: fromBase64Url(answer.quote),
      collateral: parseCollateral(fromUtf8(fromBase64Url(collateral))),
      nodeId: parseNodeId(answer.nodeId),
      hpkePublicKey: fromBase64Url(key.publicKey),
      roster: answer.roster.map((entry) => ({ ...entry, nodeId: parseNodeId(entry.nodeId) })),
      configurationHash: fromBase64Url(answer.configurationHash),
      path: {
        root: fromBase64Url(noncePath.root),
        index: noncePath.index,
        count: noncePath.count,
        path: noncePath.path.map(fromBase64Url),
      },
    };
  } catch (cause) {
    if (isKithError(cause, 'bad-answer') || !isKithError(cause)) throw cause;
    throw clientError('bad-answer', `the evidence of ${url} cannot be read: ${cause.message}`, cause);
  }
}
