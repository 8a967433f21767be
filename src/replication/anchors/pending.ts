// Operations held here that no anchor names yet, in the order in which they came, and their tags in the epoch at hand.

import { toHex } from '../../core/bytes.ts';
import { sleep } from '../../core/deadline.ts';
import { idBytes, type OpId } from '../../core/ids.ts';
import type { Clock } from '../../core/ports.ts';
import type { OperationRef } from '../log-entry.ts';
import { SUPERSEDED_EPOCHS, TAGGING_SLICE } from './limits.ts';
import { tagOf } from './tags.ts';

export interface Pending {
  readonly size: number;
  add(refs: Iterable<OperationRef>, epoch: number): void;
  remove(opIds: Iterable<OpId>): void;
  /** The oldest that still count, at most `max`. */
  oldest(max: number): OperationRef[];
  /**
   * By the hex of their tags in an epoch. Each operation is tagged once an epoch, in slices with pauses between them.
   * @param tagKey asked for at each slice; undefined ends it.
   */
  byTag(epoch: number, tagKey: () => Uint8Array | undefined): Promise<ReadonlyMap<string, OperationRef>>;
  /** Lets go of what has not counted for a while. */
  expire(epoch: number): void;
}

export function createPending(deps: { clock: Clock; counts(ref: OperationRef): boolean }): Pending {
  const held = new Map<OpId, { readonly ref: OperationRef; readonly epoch: number }>();
  let tagged = { epoch: -1, byTag: new Map<string, OperationRef>(), queue: [] as OperationRef[] };

  return {
    get size() {
      return held.size;
    },
    add(refs, epoch) {
      for (const ref of refs) {
        if (held.has(ref.opId)) continue;
        held.set(ref.opId, { ref, epoch });
        tagged.queue.push(ref);
      }
    },
    remove(opIds) {
      for (const opId of opIds) held.delete(opId);
    },
    oldest(max) {
      const found: OperationRef[] = [];
      for (const { ref } of held.values()) {
        if (found.length === max) break;
        if (deps.counts(ref)) found.push(ref);
      }
      return found;
    },
    async byTag(epoch, tagKey) {
      if (tagged.epoch !== epoch) {
        tagged = { epoch, byTag: new Map(), queue: [...held.values()].map(({ ref }) => ref) };
      }
      const { byTag, queue } = tagged;
      for (let done = 0; queue.length > 0; done += TAGGING_SLICE) {
        if (done > 0) await sleep(deps.clock, 0);
        const key = tagKey();
        if (!key) break;
        for (const ref of queue.splice(-TAGGING_SLICE)) byTag.set(toHex(tagOf(key, idBytes(ref.opId))), ref);
      }
      return byTag;
    },
    expire(epoch) {
      for (const [opId, { ref, epoch: since }] of held) {
        if (since + SUPERSEDED_EPOCHS <= epoch && !deps.counts(ref)) held.delete(opId);
      }
    },
  };
}
