// The node's place on a disk, as a port. Everything behind it belongs to the host.

import type { HeaderFile, KeyValueStore } from './store/index.ts';

/** Each costs its header in memory, and questions to the members; a machine gathers some in its life. */
export const LISTED_MAX = 16;

/** A store that was moved out of the way because nobody had its key. */
export interface SetAsideStore {
  /** Its name among those of this disk, for the log. */
  readonly place: string;
  /** As it was found; longer than any header if it is too long. */
  readonly header: Uint8Array;
  /** Its records, to be read: batches are refused `store-read-only`. @throws KithError of the store. */
  openSealed(): Promise<KeyValueStore>;
  /** What it held is elsewhere now: it is listed no more, and stays where it is. */
  markImported(): Promise<void>;
}

export interface Disk {
  readonly header: HeaderFile;
  /** Sealed records. @throws KithError of the store. */
  openSealed(): Promise<KeyValueStore>;
  /** Public rows of the chain. @param options.fresh begins with none, whatever is there. */
  openChain(options: { fresh: boolean }): Promise<KeyValueStore>;
  /** Moves header and sealed records out of the way, unharmed. @returns where, for the log. */
  setAside(): Promise<string>;
  /** What was set aside with header and records, and not imported; the oldest first, at most LISTED_MAX. */
  setAsideStores(): Promise<readonly SetAsideStore[]>;
}
