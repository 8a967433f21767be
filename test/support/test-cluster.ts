// The simulated cluster of tests and benchmarks.

import { ed25519PublicKey } from '#crypto';
import {
  type Cluster,
  type ClusterConfiguration,
  createCluster,
  DEFAULT_LIMITS,
  defaultPolicy,
  proposeSuccessor,
  signSuccessor,
  succeed,
} from '../../src/attestation/index.ts';
import { toBase64Url } from '../../src/core/bytes.ts';
import { hpkeGenerateKeyPair } from '../../src/core/hpke.ts';
import { measurements, pki } from './attestation.ts';
import { seededRandom } from './seeded-random.ts';

const governanceSecret = () => seededRandom('cluster').bytes(32);

/** A simulated cluster that believes the measurements of `attestation.ts`. */
export function testCluster(changes: Partial<ClusterConfiguration> = {}): Cluster {
  const random = seededRandom('cluster');
  return createCluster({
    version: 1,
    chainId: 'kith-devnet',
    trustAnchor: { development: toBase64Url(pki.root) },
    policy: defaultPolicy([measurements]),
    allowSimulated: true,
    allowUnbacked: true,
    confirmations: 1,
    operators: [],
    governance: { threshold: 1, publicKeys: [toBase64Url(ed25519PublicKey(random.bytes(32)))] },
    recovery: { threshold: 1, publicKeys: [toBase64Url(hpkeGenerateKeyPair(random).publicKey)] },
    limits: DEFAULT_LIMITS,
    ...changes,
  });
}

/** The next version of a test cluster, signed by its governance. */
export function successorOf(cluster: Cluster, changes: Parameters<typeof proposeSuccessor>[1] = {}): Cluster {
  const successor = proposeSuccessor(cluster, changes);
  return succeed(cluster, successor, [signSuccessor(successor, governanceSecret())]);
}
