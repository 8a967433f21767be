// The disks of one node in memory, with what is set aside: they survive its restarts, and a host can copy them.

import { type Disk, LISTED_MAX, type SetAsideStore } from '../../src/node/disk.ts';
import {
  createMemoryDisk,
  createMemoryHeaderFile,
  type HeaderFile,
  type MemoryDisk,
  type MemoryDiskOptions,
  readOnly,
} from '../../src/node/store/index.ts';

/** Disks of one node that survive its restarts. */
export interface TestDisk extends Disk {
  readonly header: HeaderFile;
  readonly sealed: MemoryDisk;
  readonly chain: () => MemoryDisk;
  readonly asides: () => number;
  /** What was set aside, the oldest first, for a host to do with as it likes. */
  readonly aside: AsideDisk[];
}

export interface AsideDisk {
  header: Uint8Array | undefined;
  readonly sealed: MemoryDisk;
  imported: boolean;
}

export function createTestDisk(options: { sealed?: MemoryDiskOptions; chain?: MemoryDiskOptions } = {}): TestDisk {
  const empty = ({ onBatch }: MemoryDiskOptions = {}) => createMemoryDisk(onBatch ? { onBatch } : {});
  let header = createMemoryHeaderFile();
  let sealed = createMemoryDisk(options.sealed);
  let chain = createMemoryDisk(options.chain);
  const aside: AsideDisk[] = [];
  return {
    header: { read: () => header.read(), write: (bytes) => header.write(bytes) },
    get sealed() {
      return sealed;
    },
    chain: () => chain,
    asides: () => aside.length,
    aside,
    openSealed: async () => sealed.open(),
    async openChain({ fresh }) {
      if (fresh) chain = empty(options.chain);
      return chain.open();
    },
    async setAside() {
      aside.push({ header: await header.read(), sealed, imported: false });
      header = createMemoryHeaderFile();
      sealed = empty(options.sealed);
      return `aside ${aside.length}`;
    },
    async setAsideStores() {
      return aside
        .flatMap((store, i): SetAsideStore[] => {
          if (!store.header || store.imported || store.sealed.image().size === 0) return [];
          return [
            {
              place: `aside ${i + 1}`,
              header: store.header,
              openSealed: async () => readOnly(store.sealed.open()),
              markImported: async () => {
                store.imported = true;
              },
            },
          ];
        })
        .slice(0, LISTED_MAX);
    },
  };
}

/** What the host sees of a disk now, on another one. */
export async function copyDisk(disk: TestDisk): Promise<TestDisk> {
  const header = await disk.header.read();
  const copy = createTestDisk({ sealed: { image: disk.sealed.image() }, chain: { image: disk.chain().image() } });
  if (header) await copy.header.write(header);
  return copy;
}
