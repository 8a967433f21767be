// A node's folder on a real disk: header, sealed records, public rows, and what was set aside. (An adapter, hence
// beside level.ts.)

import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../core/errors.ts';
import type { Disk } from '../disk.ts';
import { storeError } from './errors.ts';
import { openLevelStore } from './level.ts';
import { createHeaderFile } from './level-header-file.ts';

const HEADER = 'header';
const SEALED = 'sealed';
const CHAIN = 'chain';
const SET_ASIDE = 'set-aside';

/** @param folder made when something is written first. */
export function createLevelDisk(folder: string): Disk {
  return {
    header: createHeaderFile(join(folder, HEADER)),
    openSealed: () => openLevelStore(join(folder, SEALED)),
    async openChain({ fresh }) {
      const path = join(folder, CHAIN);
      if (fresh) await rm(path, { recursive: true, force: true });
      return openLevelStore(path, { compression: true });
    },
    async setAside() {
      try {
        const place = await nextPlace(join(folder, SET_ASIDE));
        // The records first: without its header a store is set aside again, a header without its records is not.
        await moveIfThere(join(folder, SEALED), join(place, SEALED));
        await moveIfThere(join(folder, HEADER), join(place, HEADER));
        return place;
      } catch (error) {
        throw storeError('store-unavailable', `cannot set the store in ${folder} aside: ${messageOf(error)}`, error);
      }
    },
  };
}

/** A new folder with the lowest number above all there are. */
async function nextPlace(parent: string): Promise<string> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  const numbers = (await readdir(parent)).map(Number).filter(Number.isSafeInteger);
  const place = join(parent, String(Math.max(0, ...numbers) + 1));
  await mkdir(place, { mode: 0o700 });
  return place;
}

async function moveIfThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
