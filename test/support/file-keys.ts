// Sealing keys kept in a file, as peers would keep them: so that a process can be killed and its store opened again.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import type { SealingKeys } from '../../src/node/sealing-keys.ts';

/** @param path made with the first key; one line for each: store id and key in hex. */
export function createFileKeys(path: string): SealingKeys {
  const lines = (): string[] => {
    try {
      return readFileSync(path, 'utf8').split('\n');
    } catch {
      return [];
    }
  };
  return {
    warning: undefined,
    async recover({ storeId }) {
      const found = lines().find((line) => line.startsWith(toHex(storeId)));
      return found === undefined ? undefined : Secret.own(fromHex(found.split(' ')[1]!));
    },
    async entrust(key, storeId) {
      writeFileSync(`${path}.new`, [...lines(), `${toHex(storeId)} ${toHex(key.expose())}`].join('\n'));
      renameSync(`${path}.new`, path);
    },
  };
}
