// Keys that stand beside a cluster configuration, each in a file of its own for its own holder: operators,
// governance, recovery shares. Mode 0600, written whole or not at all, never over another.

import { ed25519PublicKey, x25519PublicKey } from '#crypto';
import { fromBase64Url, toBase64Url } from '../core/bytes.ts';
import { KithError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import type { Random } from '../core/ports.ts';
import { closed, shape, Type, text } from '../core/schema.ts';
import { readTextFile, writeSecretFile } from './files.ts';

const KINDS = ['operator', 'governance', 'recovery'] as const;
export type KeyKind = (typeof KINDS)[number];

export interface ClusterKey {
  readonly kind: KeyKind;
  /** The operator's name, or the number of the key. */
  readonly name: string;
  /** base64url. Ed25519, for recovery X25519. */
  readonly publicKey: string;
  /** 32 bytes. */
  readonly secretKey: Uint8Array;
}

const keyFile = shape(
  closed({
    kind: Type.Union(KINDS.map((kind) => Type.Literal(kind))),
    name: text(64, 1),
    clusterId: text(43, 43),
    publicKey: text(43, 43),
    secretKey: text(43, 43),
  }),
);
/** The file has about 300 bytes. */
const KEY_FILE_BYTES_MAX = 4_096;

export function makeKey(random: Random, kind: KeyKind, name: string): ClusterKey {
  const secretKey = random.bytes(32);
  return { kind, name, publicKey: publicKeyOf(kind, secretKey), secretKey };
}

function publicKeyOf(kind: KeyKind, secretKey: Uint8Array): string {
  return toBase64Url(kind === 'recovery' ? x25519PublicKey(secretKey) : ed25519PublicKey(secretKey));
}

/** Beside `cluster.json`: `cluster.operator-a.key`, `cluster.governance-1.key`, `cluster.recovery-1.key`. */
export function keyPath(clusterFile: string, key: Pick<ClusterKey, 'kind' | 'name'>): string {
  return `${clusterFile.replace(/\.json$/, '')}.${key.kind}-${key.name}.key`;
}

export async function writeKey(path: string, key: ClusterKey, clusterId: string): Promise<void> {
  const { kind, name, publicKey } = key;
  const file = { kind, name, clusterId, publicKey, secretKey: toBase64Url(key.secretKey) };
  await writeSecretFile(path, `${JSON.stringify(file, undefined, 2)}\n`, { overwrite: false });
}

/**
 * Reads a key file of the kind wanted, and of the cluster, if one is given.
 * @throws KithError `key-file` or those of reading.
 */
export async function readKey(path: string, kind: KeyKind, clusterId?: string): Promise<ClusterKey> {
  const file = keyFile.parse(parseJson(await readTextFile(path, KEY_FILE_BYTES_MAX), path), path);
  if (file.kind !== kind) throw new KithError('key-file', `${path} holds a key for ${file.kind}, expected ${kind}`);
  if (clusterId !== undefined && file.clusterId !== clusterId) {
    throw new KithError('key-file', `${path} holds a key of the cluster ${file.clusterId}, not of ${clusterId}`);
  }
  const secretKey = fromBase64Url(file.secretKey);
  if (secretKey.length !== 32 || publicKeyOf(kind, secretKey) !== file.publicKey) {
    throw new KithError('key-file', `${path}: the secret key does not belong to the public key`);
  }
  return { kind, name: file.name, publicKey: file.publicKey, secretKey };
}
