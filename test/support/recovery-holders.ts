// Holders of recovery keys, and what each does with `kith recover`, over a node's service.

import type { Cluster } from '../../src/attestation/index.ts';
import { fromBase64Url, toBase64Url } from '../../src/core/bytes.ts';
import { hpkeGenerateKeyPair } from '../../src/core/hpke.ts';
import { parseNodeId } from '../../src/core/ids.ts';
import { sealRequest, toSealedBox } from '../../src/core/sealed-request.ts';
import { Secret } from '../../src/core/secret.ts';
import { encodeRecoveryShare, openRecoveryShare } from '../../src/keyserver/index.ts';
import type { KithNode } from '../../src/node/node.ts';
import type { RecoveryAnswer, WaitingStore } from '../../src/node/service.ts';
import { seededRandom } from './seeded-random.ts';

const random = seededRandom('recovery holders');
const holders = [1, 2, 3].map((i) => hpkeGenerateKeyPair(seededRandom(`recovery holder ${i}`)));
const call = () => ({ signal: new AbortController().signal });

/** Two of three, for a cluster configuration. */
export const recoveryOfThree = {
  threshold: 2,
  publicKeys: holders.map(({ publicKey }) => toBase64Url(publicKey)),
};

/** The stores that wait at a node, the first one first. */
export function waitingAt({ service }: KithNode): WaitingStore[] {
  const answer = service.recovery();
  if (answer.state === 'none') return [];
  const { state: _state, others = [], ...first } = answer;
  return [first, ...others];
}

/** Holder `index`, from 1, enters the share of a store that waits: the first, if none is named. */
export async function enterShare(
  { service }: KithNode,
  cluster: Cluster,
  index: number,
  store: WaitingStore | undefined = waitingAt({ service } as KithNode)[0],
): Promise<RecoveryAnswer> {
  if (!store) throw new Error('no store waits');
  const { nodeId, storeIdHash } = store;
  const context = { clusterId: cluster.id, nodeId: parseNodeId(nodeId), storeIdHash: fromBase64Url(storeIdHash) };
  const secret = Secret.copy(holders[index - 1]!.secretKey);
  const share = openRecoveryShare(secret, fromBase64Url(store.blob), context);
  const document = await service.attestation(random.bytes(32), call());
  const to = { clusterId: cluster.id, nodeId: parseNodeId(document.nodeId), kind: 'recover' } as const;
  const hpkeKey = fromBase64Url(document.hpke[0]!.publicKey);
  const { request } = sealRequest({ random }, hpkeKey, to, encodeRecoveryShare(share));
  return service.enterRecoveryShare(toSealedBox(request), call());
}
