// The highest head this node has seen of each other member, for that member's next boot to measure its disk by. Written
// along with whatever is written next: a head that is lost in a crash is one that others remember as well.

import { idBytes, type NodeId, nodeIdFromBytes } from '../../core/ids.ts';
import { HEIGHT_MAX } from '../../core/registration/limits.ts';
import { bytes, closed, shape, uint } from '../../core/schema.ts';
import { compareHeads, type JournalHead } from '../../keyserver/index.ts';
import type { Batch } from '../registrations/batch-writer.ts';
import type { SealedStore } from '../store/index.ts';
import { HEADS_MAX } from './limits.ts';

const headShape = shape(closed({ incarnation: uint(HEIGHT_MAX), sequence: uint(HEIGHT_MAX), hash: bytes(32) }));

export interface Heads {
  headOf(nodeId: NodeId): JournalHead | undefined;
  /** @param head as that member said it itself, signed or over its own connection. A lower one changes nothing. */
  noteHead(nodeId: NodeId, head: JournalHead): void;
  /** Adds to a batch that is written anyway. */
  complete(batch: Batch): void;
}

export async function openHeads({ store }: { store: SealedStore }): Promise<Heads> {
  const records = store.namespace('heads', headShape);
  const heads = new Map<NodeId, JournalHead>();
  for await (const [key, head] of records.entries()) heads.set(nodeIdFromBytes(key), head);
  const unwritten = new Set<NodeId>();

  return {
    headOf: (nodeId) => heads.get(nodeId),
    noteHead(nodeId, { incarnation, sequence, hash }) {
      const head = { incarnation, sequence, hash };
      const before = heads.get(nodeId);
      if (before ? compareHeads(head, before) <= 0 : heads.size >= HEADS_MAX) return;
      heads.set(nodeId, head);
      unwritten.add(nodeId);
    },
    complete(batch) {
      if (batch.isEmpty || unwritten.size === 0) return;
      const written = [...unwritten].map((nodeId) => [nodeId, heads.get(nodeId)!] as const);
      for (const [nodeId, head] of written) batch.write(records.put(idBytes(nodeId), head));
      batch.onSynced(() => {
        for (const [nodeId, head] of written) if (heads.get(nodeId) === head) unwritten.delete(nodeId);
      });
    },
  };
}
