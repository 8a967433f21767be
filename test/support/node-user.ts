// A user of a node in memory: wallet, operations and look-ups as a client makes them, over the node's service.

import { createWallet, type Wallet, walletKeys, walletPayload, walletRegistrationId } from '../../src/client/index.ts';
import { fromBase64Url, toHex } from '../../src/core/bytes.ts';
import { parseNodeId } from '../../src/core/ids.ts';
import type { Operation, OperationRequest, OperationType } from '../../src/core/registration/operation.ts';
import { signOperation } from '../../src/core/registration/operation.ts';
import { innerHash, type Payload } from '../../src/core/registration/payload.ts';
import { encodeSubmission } from '../../src/core/registration/submission.ts';
import { sealRequest, toSealedBox } from '../../src/core/sealed-request.ts';
import { createFlag, encodeFlagBorsh } from '../../src/fmd/index.ts';
import { indexSetKey, type OpenedIndexSet, openIndexSet } from '../../src/fmd/index-sets/blob.ts';
import { publicKeyOf } from '../../src/fmd/keys.ts';
import { deriveSeedKeys } from '../../src/fmd/seed.ts';
import type { OperationAnswer } from '../../src/node/service.ts';
import { seededRandom } from './seeded-random.ts';
import type { TestNode } from './test-node.ts';

const call = () => ({ signal: new AbortController().signal });

type WithoutIds<T> = T extends unknown ? Omit<T, 'clusterId' | 'inner'> : never;
export type UserRequest = WithoutIds<OperationRequest>;

export interface Seeded {
  readonly seed: Uint8Array;
  readonly n: number;
  readonly wallet: Wallet;
  /** Hex of a new flag to this user, as a replay has it. */
  flag(name: string): string;
}

/** Keys of a user, all from a name. */
export function seededUser(name: string, n = 2): Seeded {
  const seed = seededRandom(name).bytes(32);
  const publicKey = publicKeyOf(deriveSeedKeys(seed).secretKey);
  return {
    seed,
    n,
    wallet: createWallet({ random: seededRandom(name) }, { seed, n }),
    flag: (flagName) => toHex(encodeFlagBorsh(createFlag({ random: seededRandom(`${name} ${flagName}`) }, publicKey))),
  };
}

export function userOf({ node, cluster, clock }: Pick<TestNode, 'node' | 'cluster' | 'clock'>, { wallet }: Seeded) {
  const keys = walletKeys(wallet);
  const id = walletRegistrationId(wallet);
  const random = seededRandom(`requests of ${id}`);
  const height = () => node.service.node().heights.chain;

  async function hpkeKey(): Promise<Uint8Array> {
    const document = await clock.settle(node.service.attestation(random.bytes(32), call()));
    return fromBase64Url(document.hpke[0]!.publicKey);
  }

  /** Seals and sends; whatever stands in `over` takes the place of what a good client would send. */
  async function send(
    kind: OperationType,
    operation: Operation,
    over: { payload?: Payload | undefined; path?: OperationType } = {},
  ): Promise<OperationAnswer> {
    const payload = 'payload' in over ? over.payload : kind === 'register' ? walletPayload(wallet) : undefined;
    const path = over.path ?? kind;
    const context = { clusterId: cluster.id, nodeId: parseNodeId(node.service.node().nodeId), kind: path };
    const { request } = sealRequest({ random }, await hpkeKey(), context, encodeSubmission({ operation, payload }));
    const box = toSealedBox(request);
    const { service } = node;
    return clock.settle(path === 'register' ? service.register(box, call()) : service[path](id, box, call()));
  }

  const sign = (request: UserRequest, clusterId = cluster.id) =>
    signOperation(wallet.authSecret, { ...request, clusterId, inner: innerHash(keys) } as OperationRequest);

  return {
    id,
    wallet,
    send,
    sign,
    register: (fields: { version?: number; birthday?: number; expiryHeight?: number } = {}) => {
      const version = fields.version ?? height();
      const { birthday = 0, expiryHeight = version + 1_000 } = fields;
      return send('register', sign({ type: 'register', version, birthday, expiryHeight }));
    },
    renew: (expiryHeight: number, version = height()) => send('renew', sign({ type: 'renew', version, expiryHeight })),
    revoke: (version = height()) => send('revoke', sign({ type: 'revoke', version })),
    status: () => node.service.registration(id, call()),
    /** The sealed answer of the moment. */
    ask: (since = 0, waitMs = 0) => node.service.indexSet(id, { since, waitMs }, call()),
    async read(since = 0): Promise<OpenedIndexSet | undefined> {
      const answer = await node.service.indexSet(id, { since, waitMs: 0 }, call());
      if (!answer) return undefined;
      const sealed = { nonce: fromBase64Url(answer.nonce), ciphertext: fromBase64Url(answer.ciphertext) };
      return openIndexSet(indexSetKey(wallet.dataKey), { clusterId: cluster.id, regId: id, since }, sealed);
    },
  };
}
