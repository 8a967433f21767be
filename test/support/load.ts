// Operations in numbers: made and signed ahead, sealed to whichever boot of a node is to take them, and posted over
// connections that are kept. What comes back is the status alone; a client that matters believes the sealed answer only.

import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { createWallet, type Wallet, walletKeys, walletPayload, walletRegistrationId } from '../../src/client/index.ts';
import { fromBase64Url, toHex } from '../../src/core/bytes.ts';
import { type ClusterId, type NodeId, parseNodeId, type RegId } from '../../src/core/ids.ts';
import type { Random } from '../../src/core/ports.ts';
import { type OperationRequest, signOperation } from '../../src/core/registration/operation.ts';
import { innerHash } from '../../src/core/registration/payload.ts';
import { encodeSubmission } from '../../src/core/registration/submission.ts';
import { sealRequest, toSealedBox } from '../../src/core/sealed-request.ts';

/** A signed operation, for any node. */
export interface MadeOperation {
  readonly id: RegId;
  readonly type: 'register' | 'renew' | 'revoke';
  readonly expiryHeight: number;
  readonly submission: Uint8Array;
}

/** Blocks from the version to the expiry, unless another is asked for. */
const LIFETIME = 1_000_000;

/** @param how.version height of the chain, by which a later operation outranks an earlier one. */
export function makeOperation(
  clusterId: ClusterId,
  wallet: Wallet,
  type: MadeOperation['type'],
  how: { readonly version: number; readonly birthday?: number; readonly lifetime?: number },
): MadeOperation {
  const { version, birthday = version, lifetime = LIFETIME } = how;
  const expiryHeight = version + lifetime;
  const common = { clusterId, inner: innerHash(walletKeys(wallet)), version };
  const asked: Record<MadeOperation['type'], OperationRequest> = {
    register: { ...common, type: 'register', birthday, expiryHeight },
    renew: { ...common, type: 'renew', expiryHeight },
    revoke: { ...common, type: 'revoke' },
  };
  const operation = signOperation(wallet.authSecret, asked[type]);
  const payload = type === 'register' ? walletPayload(wallet) : undefined;
  return { id: walletRegistrationId(wallet), type, expiryHeight, submission: encodeSubmission({ operation, payload }) };
}

/** A wallet with random keys. @param n subkeys. */
export const makeWallet = (random: Random, n: number): Wallet => createWallet({ random }, { n });

export interface Target {
  readonly nodeId: NodeId;
  /** The body of a request that only this boot of the node can open. */
  seal(operation: MadeOperation): string;
  /** @returns the HTTP status, and milliseconds to it. @throws if the connection fails. */
  post(operation: Pick<MadeOperation, 'id' | 'type'>, body: string): Promise<{ status: number; ms: number }>;
  close(): void;
}

/** How long one answer may take: above what a node waits for its quorum. */
const POST_MS = 30_000;

/** A boot of a node that answers. The quote is not verified: it is load, not trust. @throws if it does not answer. */
export async function openTarget(deps: { random: Random }, clusterId: ClusterId, url: string): Promise<Target> {
  const nonce = toHex(deps.random.bytes(32));
  const answer = await fetch(`${url}/v1/attestation?nonce=${nonce}`, { signal: AbortSignal.timeout(POST_MS) });
  if (!answer.ok) throw new Error(`${url} answers with ${answer.status}`);
  const document = (await answer.json()) as { nodeId: string; hpke: { publicKey: string }[] };
  const nodeId = parseNodeId(document.nodeId);
  const hpkeKey = fromBase64Url(document.hpke[0]!.publicKey);
  const agent = new Agent({ keepAlive: true });
  return {
    nodeId,
    seal({ type: kind, submission }) {
      const { request: sealed } = sealRequest(deps, hpkeKey, { clusterId, nodeId, kind }, submission);
      return JSON.stringify(toSealedBox(sealed));
    },
    async post({ id, type }, body) {
      const path = type === 'register' ? '/v1/registrations' : `/v1/registrations/${id}/${type}`;
      const began = performance.now();
      const headers = { 'content-type': 'application/json', 'content-length': body.length };
      const sent = request(url + path, { method: 'POST', agent, headers, signal: AbortSignal.timeout(POST_MS) });
      sent.end(body);
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      response.resume();
      await once(response, 'end');
      return { status: response.statusCode!, ms: performance.now() - began };
    },
    close: () => agent.destroy(),
  };
}
