// Group commit: what arrives within a short window, or while the disk is busy, goes to the disk together, in the order
// it came, and each caller hears once its group is there.

import type { Clock } from '../../core/ports.ts';
import { storeError } from './errors.ts';

export interface GroupCommit<T> {
  /**
   * Resolves or rejects with the group the items went in. @throws KithError `store-busy`, `store-closed`.
   * @param options.urgent does not wait for others to join: it is a group already.
   */
  push(items: readonly T[], bytes: number, options?: { readonly urgent?: boolean }): Promise<void>;
  /** Takes no more and waits until all are settled. Idempotent. */
  close(): Promise<void>;
}

export interface GroupCommitOptions<T> {
  readonly windowMs: number;
  readonly groupBytesMax: number;
  readonly queueBytesMax: number;
  /** Called for one group at a time. */
  readonly write: (items: readonly T[]) => Promise<void>;
}

interface Waiting<T> {
  readonly items: readonly T[];
  readonly bytes: number;
  resolve(): void;
  reject(error: unknown): void;
}

export function createGroupCommit<T>({ clock }: { clock: Clock }, options: GroupCommitOptions<T>): GroupCommit<T> {
  const { windowMs, groupBytesMax, queueBytesMax, write } = options;
  const queue: Waiting<T>[] = [];
  let queuedBytes = 0;
  let closed = false;
  let running: Promise<void> | undefined;
  let armed = false;

  function takeGroup(): Waiting<T>[] {
    let bytes = 0;
    let length = 0;
    while (length < queue.length && (length === 0 || bytes + queue[length]!.bytes <= groupBytesMax)) {
      bytes += queue[length++]!.bytes;
    }
    queuedBytes -= bytes;
    return queue.splice(0, length);
  }

  async function drain(): Promise<void> {
    while (queue.length > 0) {
      const group = takeGroup();
      try {
        await write(group.flatMap(({ items }) => items));
        for (const { resolve } of group) resolve();
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    running = undefined;
  }

  function start(): void {
    armed = false;
    if (queue.length > 0) running ??= drain();
  }

  return {
    push(items, bytes, { urgent = false } = {}) {
      if (closed) return Promise.reject(storeError('store-closed', 'the store is closed'));
      if (queuedBytes + bytes > queueBytesMax) {
        return Promise.reject(storeError('store-busy', `${queuedBytes} bytes are waiting for the disk already`));
      }
      queuedBytes += bytes;
      return new Promise((resolve, reject) => {
        queue.push({ items, bytes, resolve, reject });
        if (urgent) start();
        if (running || armed) return;
        armed = true;
        clock.schedule(windowMs, start);
      });
    },
    async close() {
      closed = true;
      start();
      await running;
    },
  };
}
