// Recovery keys and wrapped data keys of one node, the same for the same seed.

import { sha256 } from '#crypto';
import { concatBytes, utf8 } from '../../src/core/bytes.ts';
import { encodeCbor } from '../../src/core/cbor.ts';
import { hpkeGenerateKeyPair, hpkeSetupSender } from '../../src/core/hpke.ts';
import { type ClusterId, clusterIdFromBytes, type NodeId, nodeIdFromBytes } from '../../src/core/ids.ts';
import { Secret } from '../../src/core/secret.ts';
import { openRecoveryShare, wrapToRecoveryKeys } from '../../src/keyserver/recovery-keys.ts';
import {
  commitToRecoveryShare,
  parseRecoveryWrap,
  type RecoveryContext,
  recoveryShareInfo,
  wrapIdOf,
} from '../../src/keyserver/recovery-wrap.ts';
import { seededRandom } from './seeded-random.ts';

export interface RecoveryBenchOptions {
  readonly threshold: number;
  readonly keys: number;
  readonly seed?: string;
  /** Differs between two wrappings of one key. */
  readonly wrapping?: string;
  readonly clusterId?: ClusterId;
  readonly nodeId?: NodeId;
}

/** The data key of a store, wrapped to as many recovery keys; same seed, same store and same keys. */
export function recoveryBench(options: RecoveryBenchOptions) {
  const { threshold, keys, seed = 'store', wrapping = 'first' } = options;
  const holders = Array.from({ length: keys }, (_, i) => hpkeGenerateKeyPair(seededRandom(`holder ${i + 1}`)));
  const random = seededRandom(`recovery ${seed}`);
  const storeId = random.bytes(32);
  const dataKey = Secret.own(random.bytes(32));
  const clusterId = options.clusterId ?? clusterIdFromBytes(sha256(utf8('recovery cluster')));
  const nodeId = options.nodeId ?? nodeIdFromBytes(random.bytes(32));
  const context: RecoveryContext = { clusterId, nodeId, storeIdHash: sha256(storeId) };
  const publicKeys = holders.map(({ publicKey }) => publicKey);
  const wrapped = wrapToRecoveryKeys(
    { random: seededRandom(`wrapping ${seed} ${wrapping}`) },
    { dataKey, storeId, nodeId, clusterId, publicKeys, threshold },
  );
  return {
    holders,
    publicKeys,
    storeId,
    dataKey,
    context,
    wrapped,
    /** The share of holder `index`, from 1. */
    share: (index: number) => openRecoveryShare(Secret.copy(holders[index - 1]!.secretKey), wrapped, context),
  };
}

export type RecoveryBench = ReturnType<typeof recoveryBench>;

/** A wrapping to holder 1 alone whose commitment to the key is a lie, and everything else consistent with it. */
export function forgeKeyCommitment(bench: RecoveryBench) {
  const { context, publicKeys, dataKey, holders } = bench;
  const keyCommitment = new Uint8Array(32).fill(9);
  const publicKey = publicKeys[0]!;
  const keyTag = parseRecoveryWrap(bench.wrapped).shares[0]!.keyTag;
  const share = { index: 1, value: dataKey };
  const commitment = commitToRecoveryShare(context, { threshold: 1, keyCommitment }, share);
  const open = { threshold: 1, keyCommitment, shares: [{ keyTag, commitment }] };
  const to = { publicKey, index: 1 };
  const info = recoveryShareInfo(wrapIdOf(context, open), context, to);
  const { enc, context: sender } = hpkeSetupSender({ random: seededRandom('forger') }, publicKey, info);
  const sealed = sender.seal(new Uint8Array(0), dataKey.expose());
  const shares = [concatBytes(keyTag, enc, sealed, commitment)];
  const wrapped = encodeCbor({ version: 1, threshold: 1, keyCommitment, shares });
  return { wrapped, share: () => openRecoveryShare(Secret.copy(holders[0]!.secretKey), wrapped, context) };
}
