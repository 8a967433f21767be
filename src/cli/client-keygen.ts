// `kith client keygen`: a wallet for detection, in a file of its own.

import type { Command } from 'commander';
import { createWallet, formatWallet, walletRegistrationId } from '../client/index.ts';
import { HEIGHT_MAX, SUBKEYS_MAX } from '../core/registration/limits.ts';
import { systemRandom } from '../core/system.ts';
import { SEED_BYTES } from '../fmd/index.ts';
import { addCommand, hexBytes, integerOption, type Outcome, usageError } from './command.ts';
import { readTextFile, writeSecretFile } from './files.ts';

interface KeygenOptions {
  out: string;
  n: number;
  birthday: number;
  seed?: string;
  seedFile?: string;
}

/** 64 digits and a line end. */
const SEED_FILE_BYTES_MAX = 1_024;

export function addClientKeygen(group: Command): void {
  addCommand<KeygenOptions>(
    group,
    'keygen',
    'make a wallet file (secret, mode 0600): detection key, data key, signing key; it cannot spend',
    (command) =>
      command
        .requiredOption('--out <file>', 'wallet file to write; must not exist')
        .option('-n <subkeys>', 'subkeys; false-positive rate 2^-n', integerOption(1, SUBKEYS_MAX), 8)
        .option('--birthday <height>', 'first height you want transactions from', integerOption(0, HEIGHT_MAX), 0)
        .option('--seed <hex>', `derive from this seed of ${SEED_BYTES} bytes; other users of this machine can see it`)
        .option('--seed-file <file>', 'read the seed, as hex, from a file instead'),
    keygen,
  );
}

async function keygen({ out, n, birthday, ...options }: KeygenOptions): Promise<Outcome> {
  const seed = await seedOf(options);
  const wallet = createWallet({ random: systemRandom }, { seed, n, birthday });
  seed?.fill(0);
  await writeSecretFile(out, formatWallet(wallet), { overwrite: false });
  const id = walletRegistrationId(wallet);
  return { json: { out, id, n, birthday }, text: `registration id ${id}\nwallet in ${out}: keep it secret\n` };
}

async function seedOf({ seed, seedFile }: Pick<KeygenOptions, 'seed' | 'seedFile'>): Promise<Uint8Array | undefined> {
  if (seed !== undefined && seedFile !== undefined) throw usageError('give --seed or --seed-file, not both');
  if (seed !== undefined) return hexBytes(seed, '--seed', SEED_BYTES);
  if (seedFile === undefined) return undefined;
  return hexBytes((await readTextFile(seedFile, SEED_FILE_BYTES_MAX)).trim(), `the seed in ${seedFile}`, SEED_BYTES);
}
