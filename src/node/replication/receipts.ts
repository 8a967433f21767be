// Receipts of this node, counted by the operations they are for.

import type { Replica } from '../../replication/index.ts';
import type { ReplicationCounter } from '../telemetry/index.ts';

/** The same; `counter` is told of each that was given or not. */
export function countedReceipts(
  receipt: Replica['receipt'],
  counter: Pick<ReplicationCounter, 'receipts'>,
): Replica['receipt'] {
  return (opIds) => {
    const given = receipt(opIds);
    counter.receipts(given ? 'given' : 'withheld', opIds.length);
    return given;
  };
}
