// Secrets of users and nodes whose bytes no host may ever see: every byte that goes to a disk or into the network is
// looked at.

import { toBase64Url } from '../../../src/core/bytes.ts';
import { createSecretScan, type SecretScan } from '../../support/secret-scan.ts';
import { USERS_MAX, userAt } from './people.ts';

export interface Marks {
  /** Looks for what is marked. */
  scan(bytes: Uint8Array, where: () => string): void;
  /** Marks a secret, at least eight bytes, from now on. */
  mark(name: string, secret: Uint8Array): void;
  readonly scannedBytes: number;
}

let ofUsers: SecretScan | undefined;

/** Of all users there may be; the same in every run. */
function usersScan(): SecretScan {
  if (ofUsers) return ofUsers;
  const secrets = new Map<string, Uint8Array>();
  for (let i = 0; i < USERS_MAX; i++) {
    const { seed, wallet } = userAt(i);
    secrets.set(`the seed of user ${i}`, seed);
    secrets.set(`the data key of user ${i}`, wallet.dataKey);
    secrets.set(`the signing key of user ${i}`, wallet.authSecret);
    for (const [j, subkey] of wallet.detectionKey.subkeys.entries()) secrets.set(`subkey ${j} of user ${i}`, subkey);
  }
  ofUsers = createSecretScan(secrets);
  return ofUsers;
}

export function createMarks(onFound: (where: string, names: string[]) => void): Marks {
  const own = createSecretScan(new Map());
  const scans = [usersScan(), own];
  const known = new Set<string>();
  let scannedBytes = 0;
  return {
    scan(bytes, where) {
      scannedBytes += bytes.length;
      for (const scan of scans) {
        const found = scan.find(bytes);
        if (found.length > 0) onFound(where(), found);
      }
    },
    mark(name, secret) {
      const text = toBase64Url(secret);
      if (known.has(text)) return;
      known.add(text);
      own.add(name, secret);
    },
    get scannedBytes() {
      return scannedBytes;
    },
  };
}
