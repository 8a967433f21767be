// A node's folder on a real disk: header, sealed records, public rows, and what was set aside. (An adapter, hence
// beside level.ts.)

import { access, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../core/errors.ts';
import { type Disk, LISTED_MAX, type SetAsideStore } from '../disk.ts';
import { storeError } from './errors.ts';
import { openLevelStore } from './level.ts';
import { createHeaderFile } from './level-header-file.ts';
import { readOnly } from './read-only.ts';

const HEADER = 'header';
const SEALED = 'sealed';
const CHAIN = 'chain';
const SET_ASIDE = 'set-aside';
/** An empty file in a folder whose operations are in the store of this node. */
const IMPORTED = 'imported';

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
        // A copy of the header first: whenever a crash comes, the records are beside one.
        const header = await createHeaderFile(join(folder, HEADER)).read();
        if (header) await createHeaderFile(join(place, HEADER)).write(header);
        await moveIfThere(join(folder, SEALED), join(place, SEALED));
        await rm(join(folder, HEADER), { force: true });
        return place;
      } catch (error) {
        throw storeError('store-unavailable', `cannot set the store in ${folder} aside: ${messageOf(error)}`, error);
      }
    },
    async setAsideStores() {
      const found: SetAsideStore[] = [];
      const parent = join(folder, SET_ASIDE);
      try {
        for (const number of await numbersIn(parent)) {
          const store = found.length < LISTED_MAX ? await setAsideAt(join(parent, String(number))) : undefined;
          if (store) found.push(store);
        }
        return found;
      } catch (error) {
        throw storeError('store-unavailable', `cannot list what is set aside: ${messageOf(error)}`, error);
      }
    },
  };
}

async function setAsideAt(place: string): Promise<SetAsideStore | undefined> {
  const header = await createHeaderFile(join(place, HEADER)).read();
  const there = (name: string) =>
    access(join(place, name)).then(
      () => true,
      () => false,
    );
  // A crash while it was set aside may have left one without the other, and the whole under the next number.
  if (!header || !(await there(SEALED)) || (await there(IMPORTED))) return undefined;
  return {
    place,
    header,
    openSealed: async () => readOnly(await openLevelStore(join(place, SEALED))),
    async markImported() {
      try {
        await createHeaderFile(join(place, IMPORTED)).write(new Uint8Array(0));
      } catch (error) {
        throw storeError('store-unavailable', `cannot mark ${place} as imported: ${messageOf(error)}`, error);
      }
    },
  };
}

async function numbersIn(parent: string): Promise<number[]> {
  const names = await readdir(parent).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names
    .filter((name) => /^[1-9]\d{0,8}$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** A new folder with the lowest number above all there are. */
async function nextPlace(parent: string): Promise<string> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  const place = join(parent, String(((await numbersIn(parent)).at(-1) ?? 0) + 1));
  await mkdir(place, { mode: 0o700 });
  return place;
}

async function moveIfThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
