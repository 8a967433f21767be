// A wallet for detection: the keys a user registers and signs with. It cannot spend; it can read the user's index set
// and end the user's registration, so it is a secret.

import { ed25519PublicKey } from '#crypto';
import { fromHex, toHex } from '../core/bytes.ts';
import { isKithError } from '../core/errors.ts';
import type { RegId } from '../core/ids.ts';
import { parseJson } from '../core/json.ts';
import type { Random } from '../core/ports.ts';
import { HEIGHT_MAX, SUBKEYS_MAX } from '../core/registration/limits.ts';
import { innerHash, type Payload, type RegistrationKeys, registrationId } from '../core/registration/payload.ts';
import { closed, hexText, list, shape, Type, uint } from '../core/schema.ts';
import {
  canonicalDetectionKey,
  type DetectionKey,
  deriveAuthSecret,
  deriveSeedKeys,
  makeDetectionKey,
  SEED_BYTES,
  seedDetectionKey,
} from '../fmd/browser.ts';
import { clientError } from './errors.ts';

/** A file of 20 subkeys has two kilobytes. */
export const WALLET_FILE_BYTES_MAX = 65_536;

const walletShape = shape(
  closed({
    version: Type.Literal(1),
    dataKey: hexText(32),
    authKey: hexText(32),
    detectionKey: closed({
      indices: list(uint(SUBKEYS_MAX - 1), SUBKEYS_MAX, 1),
      subkeys: list(hexText(32), SUBKEYS_MAX, 1),
    }),
    birthday: uint(HEIGHT_MAX),
  }),
);

export interface Wallet {
  /** Decrypts the index set; 32 bytes. */
  readonly dataKey: Uint8Array;
  /** Ed25519 secret; 32 bytes. */
  readonly authSecret: Uint8Array;
  readonly detectionKey: DetectionKey;
  /** First height the user wants transactions from. */
  readonly birthday: number;
}

/**
 * A wallet from a seed (32 bytes, random if left out), with subkeys 0 .. n-1. The seed is not part of it.
 * @throws KithError `bad-parameter`.
 */
export function createWallet(
  deps: { random: Random },
  options: { seed?: Uint8Array | undefined; n: number; birthday?: number | undefined },
): Wallet {
  const seed = options.seed ?? deps.random.bytes(SEED_BYTES);
  const keys = deriveSeedKeys(seed);
  return {
    dataKey: keys.dataKey,
    authSecret: deriveAuthSecret(seed),
    detectionKey: seedDetectionKey(keys, options.n),
    birthday: options.birthday ?? 0,
  };
}

/** The text of a wallet file. It holds every secret of the wallet. */
export function formatWallet({ dataKey, authSecret, detectionKey, birthday }: Wallet): string {
  const file = {
    version: 1,
    dataKey: toHex(dataKey),
    authKey: toHex(authSecret),
    detectionKey: { indices: detectionKey.indices, subkeys: detectionKey.subkeys.map(toHex) },
    birthday,
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/** @param source name of the file, for errors. @throws KithError `bad-wallet`, naming the field, never its value. */
export function parseWallet(contents: string, source: string): Wallet {
  try {
    const { dataKey, authKey, detectionKey, birthday } = walletShape.parse(parseJson(contents, source), source);
    const { indices, subkeys } = detectionKey;
    if (indices.length !== subkeys.length) {
      throw clientError('bad-wallet', `${source}: ${indices.length} indices but ${subkeys.length} subkeys`);
    }
    const pairs = indices.map((index, i) => ({ index, subkey: fromHex(subkeys[i]!) }));
    return {
      dataKey: fromHex(dataKey),
      authSecret: fromHex(authKey),
      detectionKey: makeDetectionKey(pairs),
      birthday,
    };
  } catch (cause) {
    if (isKithError(cause, 'bad-wallet') || !isKithError(cause)) throw cause;
    const where = cause.message.startsWith(source) ? '' : `${source}: `;
    throw clientError('bad-wallet', `${where}${cause.message}`, cause);
  }
}

export const walletKeys = ({ dataKey, detectionKey }: Wallet): RegistrationKeys => ({
  dataKey,
  detectionKey: canonicalDetectionKey(detectionKey),
});

/** What is registered: derived keys, so that the seed never leaves the wallet. */
export const walletPayload = (wallet: Wallet): Payload => ({ kind: 'keys', ...walletKeys(wallet) });

/** The id under which the wallet's index set is fetched. */
export const walletRegistrationId = (wallet: Wallet): RegId =>
  registrationId(innerHash(walletKeys(wallet)), ed25519PublicKey(wallet.authSecret));
