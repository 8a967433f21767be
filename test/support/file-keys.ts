// Sealing keys kept in a file, as peers would keep them: so that a process can be killed and its store opened again.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import { systemRandom } from '../../src/core/system.ts';
import type { Disk } from '../../src/node/disk.ts';
import { memoryOnlyHeader } from '../../src/node/own-header.ts';
import type { SealingKeys } from '../../src/node/sealing-keys.ts';

/** @param path made with the first key; one line for each: store id and key in hex. */
export function createFileKeys(path: string, disk: Disk): SealingKeys {
  const lines = (): string[] => {
    try {
      return readFileSync(path, 'utf8').split('\n');
    } catch {
      return [];
    }
  };
  return {
    warning: () => undefined,
    async recover({ bytes, read: { storeId } }) {
      const found = lines().find((line) => line.startsWith(toHex(storeId)));
      return found === undefined
        ? undefined
        : { key: Secret.own(fromHex(found.split(' ')[1]!)), header: bytes, incarnation: 1 };
    },
    mayMake: async () => undefined,
    async keep(launched) {
      if (!launched.fresh) return;
      const { header, sealingKey } = memoryOnlyHeader({ random: systemRandom, disk }, launched);
      const line = `${toHex(launched.store.identity.storeId)} ${toHex(sealingKey.expose())}`;
      writeFileSync(`${path}.new`, [...lines(), line].join('\n'));
      renameSync(`${path}.new`, path);
      await disk.header.write(header);
    },
    stop: async () => undefined,
  };
}
