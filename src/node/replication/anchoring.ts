// What anchors need of a node: records in the sealed store, the chain it reads and sends to, and past rosters.

import { KithError } from '../../core/errors.ts';
import { bytesUpTo, closed, shape } from '../../core/schema.ts';
import type { ChainClient, Indexer } from '../../indexer/index.ts';
import type { AnchorChain, AnchorStore } from '../../replication/index.ts';
import type { SealedStore } from '../store/index.ts';

/** As anchors promise. */
const VALUE_BYTES_MAX = 65_536;
const recordShape = shape(closed({ value: bytesUpTo(VALUE_BYTES_MAX) }));

export function anchorStore(store: SealedStore): AnchorStore {
  const records = store.namespace('anchors', recordShape);
  return {
    async *entries() {
      for await (const [key, { value }] of records.entries()) yield [key, value] as const;
    },
    get: async (key) => (await records.get(key))?.value,
    commit: (writes) =>
      store.commit(writes.map(({ key, value }) => (value ? records.put(key, { value }) : records.delete(key)))),
  };
}

/** @param senders endpoints that take transactions, in order of preference; without one anchors stay among members. */
export function anchorChain(
  indexer: Pick<Indexer, 'blocks'>,
  senders: readonly Pick<ChainClient, 'send'>[],
): AnchorChain | undefined {
  if (senders.length === 0) return undefined;
  return {
    async send(text, options) {
      let failure: unknown = new KithError('internal', 'there is no endpoint to send to');
      for (const sender of senders) {
        try {
          await sender.send(text, options);
          return;
        } catch (error) {
          if (options.signal.aborted) throw error;
          failure = error;
        }
      }
      throw failure;
    },
    blocks: (from, options) => indexer.blocks(from, options),
  };
}
