// The wallets of `kith dev` and the index set each must get: receivers of the recording with the sets it was recorded
// with, and fresh wallets with what offline detection of the same chain finds.

import { fileURLToPath } from 'node:url';
import { createWallet, type Entry, type Wallet } from '../client/index.ts';
import { parseJson } from '../core/json.ts';
import { list, shape, Type, uint } from '../core/schema.ts';
import { systemRandom } from '../core/system.ts';
import { parseReplay, REPLAY_BYTES_MAX } from '../devnet/index.ts';
import { GAMMA, KEYS_FILE_BYTES_MAX, parseKeysFile } from '../fmd/index.ts';
import type { CommandContext } from './command.ts';
import { readTextFile } from './files.ts';
import { detectRecordedChain } from './fmd-detect.ts';

export interface Sample {
  readonly name: string;
  readonly wallet: Wallet;
  /** Subkeys. */
  readonly n: number;
  /** The exact index set. */
  readonly expected: readonly Entry[];
  /** The transactions that were made for it. */
  readonly own: readonly Entry[];
  /** Registers when the chain has ended, and is scanned for from its beginning. */
  readonly late: boolean;
}

export interface Samples {
  readonly replayPath: string;
  readonly first: number;
  readonly last: number;
  readonly samples: readonly Sample[];
}

/** The same folder whether this file runs from src/cli or from dist/cli. */
export const CHAIN_FOLDER = new URL('../../test/vectors/chain/', import.meta.url);

/** Of the recording: one of each n; all others register late. */
const EARLY_RECEIVERS = 6;
const FRESH_N = 8;
/** For a chain of which no receiver is known. */
const FRESH_OF_OTHERS = [
  { n: 3, late: false },
  { n: FRESH_N, late: false },
  { n: 14, late: true },
] as const;

const entry = list(uint(), 2, 2);
const recordingShape = shape(
  Type.Object({
    receivers: list(Type.Object({ id: uint(), n: uint(), own: list(entry, 1e6), index_set: list(entry, 1e6) }), 1e6),
  }),
);

/**
 * Reads the chain, the one that comes with kith unless another is named, and makes the wallets.
 * @throws KithError of the files; `bad-replay`.
 */
export async function loadSamples(replay: string | undefined, context: CommandContext): Promise<Samples> {
  const replayPath = replay ?? fileURLToPath(new URL('chain.jsonl', CHAIN_FOLDER));
  const { first, last } = parseReplay(await readTextFile(replayPath, REPLAY_BYTES_MAX));
  const recorded = replay === undefined ? await receivers() : [];
  const fresh = replay === undefined ? [{ n: FRESH_N, late: false }] : FRESH_OF_OTHERS;
  const samples = [...recorded, ...(await freshSamples(fresh, replayPath, context))];
  return { replayPath, first, last, samples };
}

const toEntry = ([height, index]: readonly number[]): Entry => [height!, index!];

async function receivers(): Promise<Sample[]> {
  const path = fileURLToPath(new URL('receivers.json', CHAIN_FOLDER));
  const contents = await readTextFile(path, KEYS_FILE_BYTES_MAX);
  const { receivers: keys } = parseKeysFile(contents, path);
  const { receivers: recorded } = recordingShape.parse(parseJson(contents, path), path);
  return recorded.map(({ id, n, own, index_set }, position) => {
    const { dataKey, authSecret } = createWallet({ random: systemRandom }, { n: 1 });
    const wallet = { dataKey, authSecret, detectionKey: keys[position]!.key, birthday: 0 };
    const late = position >= EARLY_RECEIVERS;
    return { name: `receiver ${id}`, wallet, n, expected: index_set.map(toEntry), own: own.map(toEntry), late };
  });
}

async function freshSamples(
  wanted: readonly { readonly n: number; readonly late: boolean }[],
  replayPath: string,
  context: CommandContext,
): Promise<Sample[]> {
  const wallets = wanted.map(({ n }) => createWallet({ random: systemRandom }, { n }));
  const keys = wallets.map(({ detectionKey }, id) => ({ id, key: detectionKey }));
  const detection = await detectRecordedChain({ gamma: GAMMA, receivers: keys }, replayPath, context);
  return wanted.map(({ n, late }, i) => ({
    name: wanted.length === 1 ? 'fresh' : `fresh ${i + 1}`,
    wallet: wallets[i]!,
    n,
    expected: detection.receivers[i]!.indexSet,
    own: [],
    late,
  }));
}
