// The node's place on a disk, as a port. Everything behind it belongs to the host.

import type { HeaderFile, KeyValueStore } from './store/index.ts';

export interface Disk {
  readonly header: HeaderFile;
  /** Sealed records. @throws KithError of the store. */
  openSealed(): Promise<KeyValueStore>;
  /** Public rows of the chain. @param options.fresh begins with none, whatever is there. */
  openChain(options: { fresh: boolean }): Promise<KeyValueStore>;
  /** Moves header and sealed records to where nobody looks, unharmed. @returns where, for the log. */
  setAside(): Promise<string>;
}
