// The records of one open store: what is on the disk, checked at each read, and the one way to change it. A change is
// one batch with a new root; memory follows only when it is on the disk. Changes come one at a time (group-commit.ts).
//
// A batch that failed may come to light after a crash. So before the next one the keys it touched are written back as
// they were; until then they are answered from memory.

import { concatBytes, equalBytes } from '../../core/bytes.ts';
import type { KithError } from '../../core/errors.ts';
import type { Random } from '../../core/ports.ts';
import { storeError } from './errors.ts';
import type { KeyValueOp, KeyValueStore } from './key-value.ts';
import { NAMESPACE_TAG_BYTES, type StoreKeys } from './keys.ts';
import { DISK_KEY_BYTES } from './record.ts';
import { bytesOf, nameOf, RecordIndex } from './record-index.ts';
import { headOf, openRoot, ROOT_KEY, type Root, type StoreHead, type StoreIdentity, sealRoot } from './root.ts';
import { scanRecords } from './scan.ts';
import { addElement, elementOf, SET_HASH_BYTES, subtractElement } from './set-hash.ts';

/** By disk key: the new ciphertext, or undefined to delete. */
export type Changes = ReadonlyMap<string, Uint8Array | undefined>;

/** Above every disk key that starts with `tag`. */
const endOf = (tag: Uint8Array): Uint8Array =>
  concatBytes(tag, new Uint8Array(DISK_KEY_BYTES - NAMESPACE_TAG_BYTES + 1).fill(0xff));

interface TableDeps {
  readonly kv: KeyValueStore;
  readonly random: Random;
}

export class RecordTable {
  readonly #deps: TableDeps;
  readonly #keys: StoreKeys;
  readonly #index: RecordIndex;
  #root: Root;
  #head: StoreHead;
  /** The highest number given to a batch, failed ones included: no two states ever share one. */
  #lastSeq: number;
  #inFlight: { readonly changes: Changes; readonly done: Promise<void> } | undefined;
  /** What the keys of a failed batch held before it. */
  readonly #before = new Map<string, Uint8Array | undefined>();
  #broken: KithError | undefined;

  private constructor(deps: TableDeps, keys: StoreKeys, index: RecordIndex, root: Root) {
    this.#deps = deps;
    this.#keys = keys;
    this.#index = index;
    this.#root = root;
    this.#head = headOf(keys, root);
    this.#lastSeq = root.batchSeq;
  }

  /** Writes the root of a store without records. @throws KithError `store-not-empty`, `store-full`. */
  static async create(deps: TableDeps, keys: StoreKeys, identity: StoreIdentity): Promise<RecordTable> {
    for await (const _ of deps.kv.range(new Uint8Array(0))) {
      throw storeError('store-not-empty', 'there are records already where a new store was to be made');
    }
    const root = { ...identity, batchSeq: 0, records: 0, setHash: new Uint8Array(SET_HASH_BYTES) };
    await deps.kv.batch([{ kind: 'put', key: ROOT_KEY, value: sealRoot(deps, keys, root) }]);
    return new RecordTable(deps, keys, new RecordIndex(), root);
  }

  /** Checks everything on the disk. @throws KithError `store-mixed`, `store-corrupt`, `store-other-cluster`. */
  static async load(deps: TableDeps, keys: StoreKeys, identity: StoreIdentity): Promise<RecordTable> {
    const root = openRoot(keys, await deps.kv.get(ROOT_KEY), identity);
    return new RecordTable(deps, keys, await scanRecords(deps.kv, keys, root), root);
  }

  get head(): StoreHead {
    return this.#head;
  }

  get records(): number {
    return this.#root.records;
  }

  count(tag: Uint8Array): number {
    return this.#index.count(tag);
  }

  /**
   * The ciphertext under a disk key as of the last synced batch.
   * @throws KithError `store-mixed` if the disk holds another one: after that the store answers nothing more.
   */
  async read(name: string): Promise<Uint8Array | undefined> {
    for (;;) {
      this.#throwIfBroken();
      if (this.#inFlight?.changes.has(name)) {
        await this.#inFlight.done;
        continue;
      }
      if (this.#before.has(name)) return this.#before.get(name);
      const element = this.#index.get(name)?.slice();
      if (!element) return undefined;
      const sealed = await this.#readChecked(name, element);
      if (sealed) return sealed;
      const now = this.#index.get(name);
      const changed = !now || !equalBytes(now, element) || this.#before.has(name);
      if (!changed && !this.#inFlight?.changes.has(name)) {
        this.#broken = storeError('store-mixed', 'a record on the disk was changed while the store was open');
      }
    }
  }

  /** Every record of a namespace that is there from beginning to end, each once and checked as by `read`. */
  async *readAll(tag: Uint8Array): AsyncGenerator<readonly [name: string, sealed: Uint8Array], void, undefined> {
    const left = new Set(this.#index.names(tag));
    for await (const [diskKey, seen] of this.#deps.kv.range(tag, endOf(tag))) {
      const name = nameOf(diskKey);
      if (!left.delete(name)) continue;
      const sealed = this.#isCurrent(name, diskKey, seen) ? seen : await this.read(name);
      if (sealed) yield [name, sealed];
    }
    // Deleted meanwhile, or dropped by the host.
    for (const name of left) {
      const sealed = await this.read(name);
      if (sealed) yield [name, sealed];
    }
  }

  #isCurrent(name: string, diskKey: Uint8Array, sealed: Uint8Array): boolean {
    this.#throwIfBroken();
    if (this.#before.has(name)) return false;
    const element = this.#index.get(name);
    return element !== undefined && equalBytes(elementOf(this.#keys.set, diskKey, sealed), element);
  }

  async #readChecked(name: string, element: Uint8Array): Promise<Uint8Array | undefined> {
    const diskKey = bytesOf(name);
    const sealed = await this.#deps.kv.get(diskKey);
    return sealed && equalBytes(elementOf(this.#keys.set, diskKey, sealed), element) ? sealed : undefined;
  }

  #throwIfBroken(): void {
    if (this.#broken) throw this.#broken;
  }

  /**
   * Makes the changes, all or none, and resolves once they are on the disk. Not to be called again before that.
   * @throws KithError `store-full`: none of them counts.
   */
  async write(changes: Changes): Promise<void> {
    this.#throwIfBroken();
    // Nothing new is tried before the last failure is undone, so that there is never more than one batch to undo.
    if (this.#before.size > 0) await this.#apply(new Map(this.#before));
    const effective = new Map([...changes].filter(([name, sealed]) => sealed || this.#index.get(name)));
    if (effective.size > 0) await this.#apply(effective);
  }

  async #apply(changes: Changes): Promise<void> {
    let settle = (): void => undefined;
    const done = new Promise<void>((resolve) => {
      settle = resolve;
    });
    this.#inFlight = { changes, done };
    try {
      await this.#applyInFlight(changes);
    } finally {
      this.#inFlight = undefined;
      settle();
    }
  }

  async #applyInFlight(changes: Changes): Promise<void> {
    const { kv } = this.#deps;
    const setHash = this.#root.setHash.slice();
    let records = this.#index.size;
    const elements = new Map<string, Uint8Array>();
    const ops: KeyValueOp[] = [];
    for (const [name, sealed] of changes) {
      const key = bytesOf(name);
      const old = this.#index.get(name);
      if (old) subtractElement(setHash, old);
      records += (sealed ? 1 : 0) - (old ? 1 : 0);
      if (sealed) {
        const element = elementOf(this.#keys.set, key, sealed);
        addElement(setHash, element);
        elements.set(name, element);
      }
      ops.push(sealed ? { kind: 'put', key, value: sealed } : { kind: 'delete', key });
    }
    const root: Root = { ...this.#root, batchSeq: ++this.#lastSeq, records, setHash };
    ops.push({ kind: 'put', key: ROOT_KEY, value: sealRoot(this.#deps, this.#keys, root) });
    try {
      await kv.batch(ops);
    } catch (error) {
      await this.#remember(changes);
      throw error;
    }
    for (const name of changes.keys()) {
      const element = elements.get(name);
      if (element) this.#index.set(name, element);
      else this.#index.delete(name);
    }
    this.#before.clear();
    this.#root = root;
    this.#head = headOf(this.#keys, root);
  }

  /** Keeps what the keys of a failed batch hold; the key-value store still shows it. */
  async #remember(changes: Changes): Promise<void> {
    const missing = [...changes.keys()].filter((name) => !this.#before.has(name));
    try {
      for (const name of missing) {
        const element = this.#index.get(name);
        const sealed = element && (await this.#readChecked(name, element));
        if (element && !sealed) throw storeError('store-mixed', 'a record on the disk was changed');
        this.#before.set(name, sealed);
      }
    } catch (cause) {
      this.#broken = storeError('store-unavailable', 'after a failed batch the disk cannot be read either', cause);
    }
  }
}
