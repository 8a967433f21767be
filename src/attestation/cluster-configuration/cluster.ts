// A cluster: its genesis configuration and the successors its governance signed, each by the keys of the one before.
// The genesis hash is the cluster's id; whoever holds the id can check the whole line.

import { ed25519PublicKey, ed25519Sign, ed25519Verify } from '#crypto';
import { concatBytes, equalBytes, fromBase64Url, toBase64Url, utf8 } from '../../core/bytes.ts';
import { KithError } from '../../core/errors.ts';
import { type ClusterId, clusterIdFromBytes } from '../../core/ids.ts';
import { parseJson } from '../../core/json.ts';
import { LABEL_CONFIGURATION_SUCCESSOR } from '../../core/labels.ts';
import { closed, list, type Static, shape, Type, text } from '../../core/schema.ts';
import {
  type ClusterConfiguration,
  type ClusterConfigurationErrorCode,
  CONFIGURATION_VERSIONS_MAX,
  type ConfigurationChanges,
  checkConfiguration,
  clusterConfigurationSchema,
  configurationHash,
  trustAnchorOf,
} from './configuration.ts';

/** A configuration is 3 KB, or 30 KB with its lists full; all versions of a long life fit. */
export const CLUSTER_FILE_CHARS_MAX = 8_388_608;

const signatureSchema = closed({ publicKey: text(43, 43), signature: text(86, 86) });
const signaturesSchema = list(signatureSchema, 64);
const { properties } = clusterConfigurationSchema;

const signedVersionSchema = closed({ ...properties, signatures: Type.Optional(signaturesSchema) });
const clusterFile = shape(
  closed({
    ...properties,
    signatures: Type.Optional(signaturesSchema),
    /** All versions before this one, the genesis first. */
    history: Type.Optional(list(signedVersionSchema, CONFIGURATION_VERSIONS_MAX)),
  }),
);
const configurationShape = shape(clusterConfigurationSchema);

/** A successor on its way from one holder of a governance key to the next. */
export const configurationProposalShape = shape(
  closed({ configuration: clusterConfigurationSchema, signatures: signaturesSchema }),
);

export type ConfigurationSignature = Static<typeof signatureSchema>;

export interface ConfigurationVersion {
  readonly configuration: ClusterConfiguration;
  readonly hash: Uint8Array;
  /** Of the governance of the version before; none on the genesis. */
  readonly signatures: readonly ConfigurationSignature[];
}

/** Made by `createCluster`, `parseCluster` and `succeed` only: every version was checked. */
export interface Cluster {
  readonly id: ClusterId;
  /** In force: the newest version. */
  readonly configuration: ClusterConfiguration;
  /** Its hash, 32 bytes: what report data name. */
  readonly hash: Uint8Array;
  /** DER of the trust anchor. */
  readonly anchor: Uint8Array;
  /** Whether quotes may be simulated: then every output must say so. */
  readonly simulated: boolean;
  /** The genesis first. */
  readonly versions: readonly ConfigurationVersion[];
}

function fail(code: ClusterConfigurationErrorCode, message: string, cause?: unknown): never {
  throw new KithError<ClusterConfigurationErrorCode>(code, message, cause === undefined ? undefined : { cause });
}

function clusterOf(versions: readonly ConfigurationVersion[]): Cluster {
  const { configuration, hash } = versions.at(-1)!;
  return {
    id: clusterIdFromBytes(versions[0]!.hash),
    configuration,
    hash,
    anchor: trustAnchorOf(configuration),
    simulated: configuration.allowSimulated,
    versions,
  };
}

/** A new cluster. @throws KithError `cluster-malformed`, `simulated-mainnet` or `cluster-inconsistent`. */
export function createCluster(genesis: ClusterConfiguration): Cluster {
  const configuration = readConfiguration(genesis);
  checkConfiguration(configuration);
  if (configuration.version !== 1) fail('successor-number', 'a cluster begins with version 1');
  return clusterOf([{ configuration, hash: configurationHash(configuration), signatures: [] }]);
}

function readConfiguration(value: unknown): ClusterConfiguration {
  try {
    return configurationShape.parse(value, 'cluster configuration');
  } catch (cause) {
    if (cause instanceof KithError) fail('cluster-malformed', cause.message, cause);
    throw cause;
  }
}

/** The next version of a cluster's configuration, to be signed. */
export function proposeSuccessor(cluster: Cluster, changes: ConfigurationChanges): ClusterConfiguration {
  const successor = readConfiguration({
    ...cluster.configuration,
    ...changes,
    version: cluster.configuration.version + 1,
    clusterId: cluster.id,
    previous: toBase64Url(cluster.hash),
  });
  checkConfiguration(successor);
  return successor;
}

const signedBytes = (hash: Uint8Array): Uint8Array => concatBytes(utf8(LABEL_CONFIGURATION_SUCCESSOR), hash);

/** One governance key's signature under a successor. */
export function signSuccessor(successor: ClusterConfiguration, secretKey: Uint8Array): ConfigurationSignature {
  return {
    publicKey: toBase64Url(ed25519PublicKey(secretKey)),
    signature: toBase64Url(ed25519Sign(secretKey, signedBytes(configurationHash(successor)))),
  };
}

/**
 * The cluster with a successor in force.
 * @throws KithError `other-genesis`, `successor-number`, `successor-fork`, `successor-fixed`, `successor-signature`,
 *   or those of `createCluster`.
 */
export function succeed(
  cluster: Cluster,
  proposed: ClusterConfiguration,
  signatures: readonly ConfigurationSignature[],
): Cluster {
  const configuration = readConfiguration(proposed);
  checkConfiguration(configuration);
  const own = cluster.configuration;
  if (configuration.version !== own.version + 1) {
    fail('successor-number', `version ${configuration.version} cannot follow version ${own.version}`);
  }
  if (configuration.clusterId !== cluster.id) fail('other-genesis', 'the successor is of another cluster');
  if (configuration.previous !== toBase64Url(cluster.hash)) {
    fail('successor-fork', `version ${configuration.version} follows another version ${own.version}`);
  }
  for (const field of ['chainId', 'trustAnchor', 'allowSimulated'] as const) {
    if (JSON.stringify(configuration[field]) !== JSON.stringify(own[field])) {
      fail('successor-fixed', `a successor cannot change ${field}: that would be another cluster`);
    }
  }
  const hash = configurationHash(configuration);
  checkSignatures(own, hash, signatures);
  return clusterOf([...cluster.versions, { configuration, hash, signatures }]);
}

function checkSignatures(
  { governance }: ClusterConfiguration,
  hash: Uint8Array,
  signatures: readonly ConfigurationSignature[],
): void {
  const message = signedBytes(hash);
  const signers = new Set<string>();
  for (const { publicKey, signature } of signatures) {
    if (!governance.publicKeys.includes(publicKey)) fail('successor-signature', 'a signer is not of the governance');
    if (!ed25519Verify(fromBase64Url(publicKey), message, readSignature(signature))) {
      fail('successor-signature', 'a signature of the governance is wrong');
    }
    signers.add(publicKey);
  }
  if (signers.size < governance.threshold) {
    fail('successor-signature', `${signers.size} of the ${governance.threshold} governance signatures needed`);
  }
}

function readSignature(signature: string): Uint8Array {
  try {
    return fromBase64Url(signature);
  } catch (cause) {
    return fail('successor-signature', 'a signature is not base64url', cause);
  }
}

/**
 * A cluster from the text of its file; the whole line of versions is checked.
 * @param expected the cluster id the caller pins, if it does.
 * @throws KithError with a ClusterConfigurationErrorCode.
 */
export function parseCluster(json: string, expected?: ClusterId): Cluster {
  if (json.length > CLUSTER_FILE_CHARS_MAX) fail('cluster-malformed', `a cluster file of ${json.length} characters`);
  let file: Static<typeof signedVersionSchema> & { history?: Static<typeof signedVersionSchema>[] };
  try {
    file = clusterFile.parse(parseJson(json, 'cluster file'), 'cluster file');
  } catch (cause) {
    if (cause instanceof KithError) fail('cluster-malformed', cause.message, cause);
    throw cause;
  }
  const { history = [], ...newest } = file;
  const [genesis, ...successors] = [...history, newest];
  const { signatures: none = [], ...first } = genesis!;
  if (none.length > 0) fail('cluster-malformed', 'cluster file: a genesis carries no signatures');
  let cluster = createCluster(first);
  for (const { signatures = [], ...configuration } of successors) {
    cluster = succeed(cluster, configuration, signatures);
  }
  if (expected !== undefined && cluster.id !== expected) {
    fail('other-genesis', `the file is of the cluster ${cluster.id}, expected ${expected}`);
  }
  return cluster;
}

/** The text of a cluster file: the configuration in force, then what proves it. */
export function formatCluster(cluster: Cluster): string {
  const versions = cluster.versions.map(({ configuration, signatures }) =>
    signatures.length > 0 ? { ...configuration, signatures } : configuration,
  );
  const history = versions.slice(0, -1);
  return `${JSON.stringify({ ...versions.at(-1)!, ...(history.length > 0 ? { history } : {}) }, undefined, 2)}\n`;
}

export type Succession =
  /** Both hold the same version. */
  | { readonly kind: 'same' }
  /** The other holds a successor of ours: adopt it. */
  | { readonly kind: 'newer'; readonly cluster: Cluster }
  /** Ours is a successor of the other's: it has to update. */
  | { readonly kind: 'older' }
  | { readonly kind: 'refused'; readonly code: 'other-genesis' | 'successor-fork'; readonly message: string };

/** How a cluster file that someone else holds stands to our own; pure. */
export function compareClusters(own: Cluster, other: Cluster): Succession {
  if (own.id !== other.id) {
    return { kind: 'refused', code: 'other-genesis', message: `the other is of the cluster ${other.id}` };
  }
  const shared = Math.min(own.versions.length, other.versions.length);
  if (!equalBytes(own.versions[shared - 1]!.hash, other.versions[shared - 1]!.hash)) {
    return { kind: 'refused', code: 'successor-fork', message: `two different versions ${shared} were signed` };
  }
  if (own.versions.length === other.versions.length) return { kind: 'same' };
  return own.versions.length < other.versions.length ? { kind: 'newer', cluster: other } : { kind: 'older' };
}

/**
 * Takes a cluster file in place of the newest one seen.
 * @throws KithError `successor-number` for an older one, `other-genesis` or `successor-fork`.
 */
export function adopt(newestSeen: Cluster, offered: Cluster): Cluster {
  const succession = compareClusters(newestSeen, offered);
  switch (succession.kind) {
    case 'same':
    case 'newer':
      return offered;
    case 'older':
      return fail(
        'successor-number',
        `version ${offered.configuration.version} is lower than version ${newestSeen.configuration.version}, seen before`,
      );
    case 'refused':
      return fail(succession.code, succession.message);
  }
}

/** The number of the version with this hash among those of a cluster, undefined if it has none such. */
export function versionWithHash(cluster: Cluster, hash: Uint8Array): number | undefined {
  return cluster.versions.find((version) => equalBytes(version.hash, hash))?.configuration.version;
}
