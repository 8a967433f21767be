// The header file on a disk: written beside, synced, renamed over, and the folder synced, so that a crash at any point
// leaves the old header or the new one. (An adapter, hence beside level.ts.)

import { constants } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { messageOf } from '../../core/errors.ts';
import { storeError } from './errors.ts';
import type { HeaderFile } from './header.ts';
import { HEADER_BYTES_MAX } from './limits.ts';

/** @param path of the header; its folder is made when it is first written. */
export function createHeaderFile(path: string): HeaderFile {
  const folder = dirname(path);
  const temporary = join(folder, `${basename(path)}.tmp`);
  let last: Promise<unknown> = Promise.resolve();

  async function replace(header: Uint8Array): Promise<void> {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeSynced(temporary, header);
      await rename(temporary, path);
      await syncFolder(folder);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      const full = codeOf(error) === 'ENOSPC' || codeOf(error) === 'EDQUOT';
      throw storeError(
        full ? 'store-full' : 'store-unavailable',
        `cannot write the store header: ${messageOf(error)}`,
        error,
      );
    }
  }

  return {
    async read() {
      try {
        return await readBounded(path, HEADER_BYTES_MAX + 1);
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return undefined;
        throw storeError('store-unavailable', `cannot read the store header: ${messageOf(error)}`, error);
      }
    },
    write(header) {
      const written = last.then(() => replace(header));
      last = written.catch(() => undefined);
      return written;
    },
  };
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);

async function writeSynced(path: string, content: Uint8Array): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readBounded(path: string, bytesMax: number): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const buffer = new Uint8Array(bytesMax);
    let length = 0;
    while (length < bytesMax) {
      const { bytesRead } = await file.read(buffer, length, bytesMax - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.slice(0, length);
  } finally {
    await file.close();
  }
}
