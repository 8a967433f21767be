// The cluster configuration: what all members of a cluster and all its clients agree on. Its hash stands in every
// report data, so a host that starts a node with another file has started a node of another cluster.

import { sha256 } from '#crypto';
import { concatBytes, equalBytes, fromBase64Url, utf8 } from '../../core/bytes.ts';
import { type CborValue, encodeCbor } from '../../core/cbor.ts';
import { isKithError, KithError } from '../../core/errors.ts';
import { LABEL_CONFIGURATION } from '../../core/labels.ts';
import { LIFETIME_BLOCKS } from '../../core/registration/limits.ts';
import { closed, hexText, list, type Static, shape, Type, text, uint } from '../../core/schema.ts';
import { parseTrustAnchor } from '../chain.ts';
import { intelRoot } from '../intel-root.ts';
import { CERTIFICATE_BYTES_MAX } from '../limits.ts';
import { attestationPolicySchema } from '../policy/policy.ts';
import { isMainnet } from './mainnets.ts';

export type ClusterConfigurationErrorCode =
  | 'cluster-malformed'
  | 'cluster-inconsistent'
  | 'simulated-mainnet'
  | 'successor-signature'
  | 'successor-number'
  | 'successor-fixed'
  | 'successor-fork'
  | 'other-genesis';

/** One version of a cluster's configuration per governance decision; a decision a week for ten years. */
export const CONFIGURATION_VERSIONS_MAX = 512;
/** A founding pair needs two; a cluster of hundreds is beyond what full replication carries. */
const OPERATORS_MAX = 256;
/** Machines of one operator. */
const OPERATOR_PLATFORMS_MAX = 256;
const GOVERNANCE_KEYS_MAX = 64;
/** Shamir over GF(256) gives at most 255 shares; nobody keeps that many key files. */
const RECOVERY_KEYS_MAX = 64;
/** A majority of seven holders is four; the seed document asks for five. */
const CONFIRMATIONS_MAX = 7;

/** 32 bytes as 43 characters of base64url. */
const key32 = Type.Refine(
  text(43, 43),
  (value) => isBase64Url(value, 32),
  () => 'must be 32 bytes as 43 characters of base64url',
);

function isBase64Url(value: string, length: number): boolean {
  try {
    return fromBase64Url(value).length === length;
  } catch (error) {
    if (isKithError(error)) return false;
    throw error;
  }
}

const name = Type.Refine(
  text(64, 1),
  (value) => /^[A-Za-z0-9._-]+$/.test(value),
  () => 'must consist of letters, digits, dots, dashes and underscores',
);

const keys = (max: number, min: number) => closed({ threshold: uint(max, min), publicKeys: list(key32, max, min) });

export const clusterConfigurationSchema = closed({
  /** 1 for the genesis, then one more each time. */
  version: uint(CONFIGURATION_VERSIONS_MAX, 1),
  /** In successors only: the cluster, and the hash of the version before. */
  clusterId: Type.Optional(key32),
  previous: Type.Optional(key32),
  chainId: text(64, 1),
  /** `intel`, or the DER of a development root. */
  trustAnchor: Type.Union([
    Type.Literal('intel'),
    closed({ development: text(Math.ceil((4 * CERTIFICATE_BYTES_MAX) / 3)) }),
  ]),
  policy: attestationPolicySchema,
  allowSimulated: Type.Boolean(),
  /** Let a first node serve alone, with its sealing key in memory only. For development. */
  allowUnbacked: Type.Boolean(),
  /** Receipts of distinct platforms that certify an operation, if more than a majority of the holders. */
  confirmations: uint(CONFIRMATIONS_MAX, 1),
  operators: list(
    closed({
      name,
      /** Ed25519: signs migration tickets and leaves of the operator's nodes. */
      publicKey: key32,
      /** Hex of SHA-256 over the PPID of each machine. */
      platforms: list(hexText(32), OPERATOR_PLATFORMS_MAX),
    }),
    OPERATORS_MAX,
  ),
  /** Ed25519: sign the next version. */
  governance: keys(GOVERNANCE_KEYS_MAX, 1),
  /** X25519: every store's data key is shared among these; `threshold` of them reopen it after a total restart. */
  recovery: keys(RECOVERY_KEYS_MAX, 0),
  limits: closed({
    /** Live registrations of the whole cluster: what each member must have memory for. */
    registrationsMax: uint(1_000_000, 1),
    /** Longest time from signing to an expiry, in blocks; at most what the protocol remembers. */
    lifetimeBlocksMax: uint(LIFETIME_BLOCKS, 1),
  }),
});

const { policy, allowUnbacked, confirmations, operators, governance, recovery, limits } =
  clusterConfigurationSchema.properties;

/** What the governance may change. The rest would make another cluster of it. */
const configurationChangesSchema = closed({
  policy: Type.Optional(policy),
  allowUnbacked: Type.Optional(allowUnbacked),
  confirmations: Type.Optional(confirmations),
  operators: Type.Optional(operators),
  governance: Type.Optional(governance),
  recovery: Type.Optional(recovery),
  limits: Type.Optional(limits),
});
export const configurationChangesShape = shape(configurationChangesSchema);
export type ConfigurationChanges = Static<typeof configurationChangesSchema>;

export type ClusterConfiguration = Static<typeof clusterConfigurationSchema>;

/** 100,000 keys of ten subkeys take some 100 MB in all; about four months of Namada's blocks. */
export const DEFAULT_LIMITS: ClusterConfiguration['limits'] = {
  registrationsMax: 100_000,
  lifetimeBlocksMax: LIFETIME_BLOCKS,
};

/** SHA-256 over the deterministic CBOR of a version: formatting and order of fields do not matter. 32 bytes. */
export function configurationHash(configuration: ClusterConfiguration): Uint8Array {
  return sha256(concatBytes(utf8(LABEL_CONFIGURATION), encodeCbor(configuration as CborValue)));
}

/** DER of the root that quotes must lead to. */
export function trustAnchorOf({ trustAnchor }: Pick<ClusterConfiguration, 'trustAnchor'>): Uint8Array {
  return trustAnchor === 'intel' ? intelRoot() : fromBase64Url(trustAnchor.development);
}

function inconsistent(why: string): never {
  throw new KithError<ClusterConfigurationErrorCode>('cluster-inconsistent', `the cluster configuration ${why}`);
}

/**
 * The rules that hold between fields.
 * @throws KithError `simulated-mainnet` or `cluster-inconsistent`.
 */
export function checkConfiguration(configuration: ClusterConfiguration): void {
  const { chainId, trustAnchor, allowSimulated, operators, governance, recovery, version } = configuration;
  if ((allowSimulated || trustAnchor !== 'intel') && isMainnet(chainId)) {
    throw new KithError<ClusterConfigurationErrorCode>(
      'simulated-mainnet',
      `simulated TDX protects nobody and cannot be allowed on the main network ${chainId}`,
    );
  }
  if (allowSimulated !== (trustAnchor !== 'intel')) {
    inconsistent('must name a development root if, and only if, it allows simulated TDX');
  }
  if (trustAnchor !== 'intel') checkDevelopmentRoot(trustAnchor.development);
  const genesis = version === 1;
  if (genesis !== (configuration.clusterId === undefined) || genesis !== (configuration.previous === undefined)) {
    inconsistent('must name its cluster and predecessor in version 2 and later, and only there');
  }
  for (const [what, { threshold, publicKeys }] of Object.entries({ governance, recovery })) {
    if (threshold > publicKeys.length || (threshold === 0 && publicKeys.length > 0)) {
      inconsistent(`asks for ${threshold} of ${publicKeys.length} ${what} keys`);
    }
    if (new Set(publicKeys).size !== publicKeys.length) inconsistent(`lists a ${what} key twice`);
  }
  const names = operators.map((operator) => operator.name);
  if (new Set(names).size !== names.length) inconsistent('lists an operator twice');
  const platforms = operators.flatMap((operator) => operator.platforms);
  if (new Set(platforms).size !== platforms.length) inconsistent('gives one platform to two operators');
  if (platforms.some((platform) => platform !== platform.toLowerCase()))
    inconsistent('must have platforms in lower case');
}

function checkDevelopmentRoot(base64url: string): void {
  try {
    const der = fromBase64Url(base64url);
    if (equalBytes(der, intelRoot()) || !parseTrustAnchor(der).development) {
      inconsistent("names a root of Intel's as its development root");
    }
  } catch (cause) {
    if (isKithError(cause, 'cluster-inconsistent') || !isKithError(cause)) throw cause;
    inconsistent(`names a development root that is none: ${cause.message}`);
  }
}
