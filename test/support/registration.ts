// Users with keys of their own, for tests of operations: everything follows from a number.

import { ed25519PublicKey, shake256 } from '#crypto';
import { concatBytes, utf8 } from '../../src/core/bytes.ts';
import { clusterIdFromBytes } from '../../src/core/ids.ts';
import { type OperationRequest, signOperation } from '../../src/core/registration/operation.ts';
import { type DeriveKeys, innerHash, type Payload, registrationId } from '../../src/core/registration/payload.ts';

export const clusterId = clusterIdFromBytes(new Uint8Array(32).fill(1));
export const otherCluster = clusterIdFromBytes(new Uint8Array(32).fill(2));

type WithoutIds<T> = T extends unknown ? Omit<T, 'clusterId' | 'inner'> : never;

export function testUser(number: number) {
  const bytes = shake256(utf8(`user ${number}`), 32 + 32 + 66);
  const authSecret = bytes.slice(0, 32);
  const keys = { dataKey: bytes.slice(32, 64), detectionKey: concatBytes(Uint8Array.of(2), bytes.slice(64)) };
  const payload: Payload = { kind: 'keys', ...keys };
  const inner = innerHash(keys);
  const authPublicKey = ed25519PublicKey(authSecret);
  return {
    authSecret,
    authPublicKey,
    keys,
    payload,
    inner,
    regId: registrationId(inner, authPublicKey),
    sign: (request: WithoutIds<OperationRequest>) =>
      signOperation(authSecret, { clusterId, inner, ...request } as OperationRequest),
  };
}

/** Takes keys as they are; a seed of zeros has none. */
export const deriveTestKeys: DeriveKeys = (payload) => {
  if (payload.kind === 'keys') return { dataKey: payload.dataKey, detectionKey: payload.detectionKey };
  if (payload.seed.every((byte) => byte === 0)) return undefined;
  return { dataKey: payload.seed, detectionKey: Uint8Array.of(payload.n) };
};
