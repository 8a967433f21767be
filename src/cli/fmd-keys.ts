// `kith fmd keygen` and `kith fmd flag`: keys and flags for trying detection out.

import type { Command } from 'commander';
import { toHex, utf8 } from '../core/bytes.ts';
import { systemRandom } from '../core/system.ts';
import {
  type CompactSecretKey,
  createFlag,
  decodePublicKey,
  deriveDetectionKey,
  deriveSeedKeys,
  detectionKeyToJson,
  diversifiedBasepoint,
  encodeFlagBorsh,
  encodePublicKey,
  encodeSecretKey,
  firstIndices,
  GAMMA,
  generateSecretKey,
  publicKeyOf,
  SEED_BYTES,
} from '../fmd/index.ts';
import { addCommand, hexBytes, integerOption, usageError } from './command.ts';
import { writeSecretFile } from './files.ts';

const RECEIVERS_MAX = 10_000;
const FLAGS_MAX = 100_000;
const TAG_CHARS_MAX = 256;

function basepointOption(tag: string | undefined) {
  if (tag !== undefined && tag.length > TAG_CHARS_MAX) {
    throw usageError(`--tag must have at most ${TAG_CHARS_MAX} characters`);
  }
  return diversifiedBasepoint(utf8(tag ?? ''));
}

function addKeygen(parent: Command): void {
  addCommand<{ out: string; n: number; count: number; seed?: string; tag?: string }>(
    parent,
    'keygen',
    'make receivers: a keys file for `kith fmd detect` (secret, mode 0600) and their public keys',
    (command) =>
      command
        .requiredOption('--out <file>', 'keys file to write; must not exist')
        .option('-n <subkeys>', 'subkeys per detection key; false-positive rate 2^-n', integerOption(1, GAMMA), 8)
        .option('--count <receivers>', 'how many receivers', integerOption(1, RECEIVERS_MAX), 1)
        .option('--seed <hex>', `derive the one receiver from this seed of ${SEED_BYTES} bytes`)
        .option('--tag <text>', 'print public keys diversified by this tag'),
    async ({ out, n, count, seed, tag }) => {
      if (seed !== undefined && count !== 1) throw usageError('--seed makes one receiver; leave --count out');
      const basepoint = basepointOption(tag);
      const secrets: CompactSecretKey[] =
        seed === undefined
          ? Array.from({ length: count }, () => generateSecretKey({ random: systemRandom }))
          : [deriveSeedKeys(hexBytes(seed, '--seed', SEED_BYTES)).secretKey];
      const receivers = secrets.map((secret, id) => ({
        id,
        n,
        compact_secret_key: encodeSecretKey(secret).map(toHex),
        detection_key: detectionKeyToJson(deriveDetectionKey(secret, firstIndices(n))),
      }));
      await writeSecretFile(out, `${JSON.stringify({ gamma: GAMMA, receivers })}\n`, { overwrite: false });
      const publicKeys = secrets.map((secret) => encodePublicKey(publicKeyOf(secret, basepoint)).map(toHex).join(''));
      return {
        json: { out, gamma: GAMMA, receivers: publicKeys.map((publicKey, id) => ({ id, n, publicKey })) },
        text: `${publicKeys.map((key, id) => `receiver ${id}  public key ${key}\n`).join('')}secrets in ${out}\n`,
      };
    },
  );
}

function addFlag(parent: Command): void {
  addCommand<{ publicKey: string; count: number; tag?: string }>(
    parent,
    'flag',
    'make flags for a receiver, as a sender does: 111 bytes Borsh each, in hex',
    (command) =>
      command
        .requiredOption('--public-key <hex>', 'compact public key as `kith fmd keygen` prints it (two points)')
        .option('--count <flags>', 'how many flags', integerOption(1, FLAGS_MAX), 1)
        .option('--tag <text>', 'the tag the public key was diversified by'),
    async ({ publicKey, count, tag }) => {
      const bytes = hexBytes(publicKey, '--public-key', 64);
      const key = decodePublicKey([bytes.subarray(0, 32), bytes.subarray(32)], basepointOption(tag));
      const flags = Array.from({ length: count }, () =>
        toHex(encodeFlagBorsh(createFlag({ random: systemRandom }, key))),
      );
      return { json: { flags }, text: `${flags.join('\n')}\n` };
    },
  );
}

export function addFmdKeys(parent: Command): void {
  addKeygen(parent);
  addFlag(parent);
}
