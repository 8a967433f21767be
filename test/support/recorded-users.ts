// The receivers of the recorded chain as wallets, each with the index set that its keys must get.

import { readFileSync } from 'node:fs';
import type { Wallet } from '../../src/client/index.ts';
import { fromHex } from '../../src/core/bytes.ts';
import { seededRandom } from './seeded-random.ts';

export interface RecordedUser {
  readonly id: number;
  readonly wallet: Wallet;
  readonly indexSet: readonly (readonly [number, number])[];
}

interface Receiver {
  readonly id: number;
  readonly detection_key: { readonly indices: number[]; readonly subkeys: string[] };
  readonly index_set: [number, number][];
}

const path = new URL('../vectors/chain/receivers.json', import.meta.url);

/** Fresh data and signing keys for each name. */
export function recordedUsers(name: string): RecordedUser[] {
  const { receivers } = JSON.parse(readFileSync(path, 'utf8')) as { receivers: Receiver[] };
  return receivers.map(({ id, detection_key, index_set }) => {
    const random = seededRandom(`${name} ${id}`);
    const detectionKey = { indices: detection_key.indices, subkeys: detection_key.subkeys.map(fromHex) };
    const wallet = { dataKey: random.bytes(32), authSecret: random.bytes(32), detectionKey, birthday: 0 };
    return { id, wallet, indexSet: index_set };
  });
}
