// The stores that a node had to set aside because nobody gave it their keys. It goes on without them, and for as long as
// it runs, also after restarts, it waits for their keys to come back: then their operations go into the store in use.

import { toHex } from '../../core/bytes.ts';
import { sleep } from '../../core/deadline.ts';
import { isKithError, KithError, messageOf } from '../../core/errors.ts';
import type { ClusterId, NodeId } from '../../core/ids.ts';
import type { Part } from '../../core/life-cycle.ts';
import type { Secret } from '../../core/secret.ts';
import type { Disk, SetAsideStore } from '../disk.ts';
import type { Registrations } from '../registrations/registrations.ts';
import { readHeader, type StoreHeader } from '../store/index.ts';
import { importOperations } from './import-operations.ts';
import { enteredKey, firstKey, type KeySourcesDeps } from './keys.ts';
import { openSetAside, type StoreKey } from './open.ts';

export interface SetAsideDeps extends KeySourcesDeps {
  readonly clusterId: ClusterId;
  readonly disk: Pick<Disk, 'setAsideStores'>;
  /** Of the store in use, once it may take operations in. */
  readonly registrations: () => Pick<Registrations, 'takeIn'> | undefined;
  /** An earlier id of this node was proven: its place among the members is not needed any more. */
  readonly retire?:
    | ((nodeId: NodeId, nodeSecret: Secret, options: { signal: AbortSignal }) => Promise<void>)
    | undefined;
}

export interface SetAside extends Pick<Part, 'stop'> {
  /**
   * Offers a closed store to the holders of recovery keys, set aside or not yet.
   * @returns its data key once it came, kept for `scan` if the store is set aside meanwhile.
   */
  offer(header: StoreHeader): Offer;
  /** Takes up what is set aside by now; once the store in use is there, and after each time one was set aside. */
  scan(): Promise<void>;
  /** What to tell operators. */
  notes(): string[];
  /** Stores that wait for their key, and those that are not what their node wrote. */
  readonly counts: { readonly waiting: number; readonly refused: number };
}

export interface Offer {
  readonly key: Promise<Secret>;
  /** The store is open: shares are not wanted any more. */
  end(): void;
}

/** How often is looked whether operations may be taken in. */
const LOOK_MS = 1_000;
/** Before a store is read again that could not be taken in whole. */
const IMPORT_AGAIN_MS_MIN = 10_000;
const IMPORT_AGAIN_MS_MAX = 600_000;

/** Codes that say what a store is; others, such as a full disk, pass. */
const REFUSED = ['store-wrong-key', 'store-other-cluster', 'store-mixed', 'store-corrupt'] as const;

interface Offered extends Offer {
  readonly controller: AbortController;
}

export function createSetAside(deps: SetAsideDeps): SetAside {
  const { clock, log, disk } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  const offers = new Map<string, Offered>();
  const places = new Set<string>();
  const storeIds = new Set<string>();
  const works = new Set<Promise<void>>();
  const refusals: string[] = [];
  /** One store at a time is open. */
  let last: Promise<unknown> = Promise.resolve();

  function offer(header: StoreHeader): Offered {
    const name = toHex(header.storeId);
    const known = offers.get(name);
    if (known) return known;
    const controller = new AbortController();
    const key = enteredKey(deps, header, AbortSignal.any([signal, controller.signal]));
    const end = () => {
      offers.delete(name);
      controller.abort(new KithError('stopped', 'the store is open'));
    };
    const made = { controller, key, end };
    offers.set(name, made);
    return made;
  }

  /** What cannot be read does not keep the node from its own store. */
  async function listed(): Promise<readonly SetAsideStore[]> {
    try {
      return await disk.setAsideStores();
    } catch (error) {
      log.error('set-aside-failed', { reason: messageOf(error) });
      return [];
    }
  }

  function headerOf({ place, header }: SetAsideStore): StoreHeader | undefined {
    try {
      const read = readHeader(header);
      if (read.clusterId === deps.clusterId) return read;
      log.warn('set-aside-skipped', { where: place, reason: 'it is of another cluster' });
    } catch (error) {
      if (!isKithError(error)) throw error;
      log.warn('set-aside-skipped', { where: place, reason: error.message });
    }
    return undefined;
  }

  async function ready(): Promise<Pick<Registrations, 'takeIn'>> {
    for (;;) {
      const registrations = deps.registrations();
      if (registrations) return registrations;
      await sleep(clock, LOOK_MS, { signal });
    }
  }

  /** Whether everything in it is in the store in use now. @throws KithError of either store. */
  async function takeOver(aside: SetAsideStore, header: StoreHeader, key: StoreKey): Promise<boolean> {
    const registrations = await ready();
    const opened = await openSetAside(deps, aside, header, key);
    try {
      const counts = await importOperations(opened.store, registrations, { signal });
      log.info('store-imported', { where: aside.place, nodeId: header.nodeId, ...counts });
      if (counts.postponed > 0) return false;
      if (opened.nodeSecret) await deps.retire?.(header.nodeId, opened.nodeSecret, { signal });
    } finally {
      await opened.close();
    }
    await aside.markImported();
    return true;
  }

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = last.then(work, work);
    last = run.catch(() => undefined);
    return run;
  }

  async function lookAfter(aside: SetAsideStore, header: StoreHeader): Promise<void> {
    const offered = offer(header);
    const found = await firstKey(deps, { bytes: aside.header, read: header }, offered.key, signal);
    offered.end();
    using key = found.key;
    log.info('key-came-back', { where: aside.place, nodeId: header.nodeId, by: found.kind });
    for (let pauseMs = IMPORT_AGAIN_MS_MIN; ; pauseMs = Math.min(IMPORT_AGAIN_MS_MAX, pauseMs * 2)) {
      try {
        if (await inTurn(() => takeOver(aside, header, { ...found, key }))) return;
      } catch (error) {
        if (signal.aborted) throw error;
        const reason = messageOf(error);
        if (isKithError(error, ...REFUSED)) {
          log.error('set-aside-refused', { where: aside.place, nodeId: header.nodeId, code: error.code, reason });
          refusals.push(`set aside: the store of node ${header.nodeId} is refused (${error.code}): ${reason}`);
          return;
        }
        log.warn('import-failed', { where: aside.place, nodeId: header.nodeId, reason });
      }
      await sleep(clock, pauseMs, { signal });
    }
  }

  return {
    offer,
    async scan() {
      for (const aside of await listed()) {
        if (signal.aborted || places.has(aside.place)) continue;
        places.add(aside.place);
        const header = headerOf(aside);
        if (!header) continue;
        const name = toHex(header.storeId);
        // Two folders of one store are the host's doing; the other has its turn once this one is imported.
        if (storeIds.has(name)) continue;
        storeIds.add(name);
        const work = lookAfter(aside, header).catch((error: unknown) => {
          if (!signal.aborted) log.error('set-aside-failed', { where: aside.place, reason: messageOf(error) });
        });
        works.add(work);
      }
    },
    notes: () => [...refusals],
    get counts() {
      return { waiting: offers.size, refused: refusals.length };
    },
    async stop() {
      stopping.abort(new KithError('stopped', 'the node stops'));
      await Promise.all(works);
    },
  };
}
