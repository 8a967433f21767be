// The ports of one boot, which end with it: after a crash no timer fires, no write lands, no call comes back, whatever
// promises are still under way in the same thread.

import type { Clock, Timer } from '../../src/core/ports.ts';
import type { Disk } from '../../src/node/disk.ts';
import type { ByteStream, Connection, Transport } from '../../src/p2p/index.ts';

/** Calls that change something outside of the boot, in the order they are made. */
export type PortCall = 'batch' | 'header-begins' | 'header-written' | 'custody-message';

export interface Life {
  readonly alive: boolean;
  /** From now on nothing of this boot has any effect. */
  end(): void;
  /**
   * Told of each port call; may end the life.
   * @returns whether the boot still lived afterwards.
   */
  call(kind: PortCall): boolean;
}

const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

export function createLife(onCall: (kind: PortCall) => void = () => undefined): Life {
  let alive = true;
  return {
    get alive() {
      return alive;
    },
    end() {
      alive = false;
    },
    call(kind) {
      if (alive) onCall(kind);
      return alive;
    },
  };
}

/** A clock whose timers end with the boot. */
export function mortalClock(clock: Clock, life: Life): Clock {
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    schedule(delayMs, callback): Timer {
      return clock.schedule(delayMs, () => {
        if (life.alive) callback();
      });
    },
  };
}

/** A crash before `header-begins` leaves the old header, one at `header-written` the new one. */
export function mortalDisk(disk: Disk, life: Life): Disk {
  const whileAlive = async <T>(work: () => Promise<T>): Promise<T> => {
    if (!life.alive) return never();
    const result = await work();
    return life.alive ? result : never();
  };
  return {
    ...disk,
    header: {
      read: () => whileAlive(() => disk.header.read()),
      write: (bytes) =>
        whileAlive(async () => {
          if (!life.call('header-begins')) return never();
          await disk.header.write(bytes);
          life.call('header-written');
        }),
    },
    openSealed: () =>
      whileAlive(async () => {
        const kv = await disk.openSealed();
        return { ...kv, batch: async (ops, options) => (life.call('batch') ? kv.batch(ops, options) : never()) };
      }),
    openChain: (how) => whileAlive(() => disk.openChain(how)),
    setAside: () => whileAlive(() => disk.setAside()),
  };
}

const CUSTODY_PROTOCOL = '/kith/custody/1';

/** Each chunk that is written to a stream of custody is a call; other protocols change nothing outside. */
export function mortalTransport(transport: Transport, life: Life): Transport {
  const stream = (protocol: string, inner: ByteStream): ByteStream => ({
    ...inner,
    async write(bytes) {
      const goesOut = protocol === CUSTODY_PROTOCOL ? life.call('custody-message') : life.alive;
      return goesOut ? inner.write(bytes) : never();
    },
  });
  const connection = (inner: Connection): Connection => ({
    ...inner,
    closed: inner.closed,
    async openStream(protocol, options) {
      if (!life.alive) return never();
      return stream(protocol, await inner.openStream(protocol, options));
    },
    onStream: (handler) => inner.onStream((protocol, opened) => handler(protocol, stream(protocol, opened))),
  });
  return {
    ...transport,
    start: (options) => transport.start(options),
    stop: () => transport.stop(),
    addresses: () => transport.addresses(),
    async dial(address, options) {
      if (!life.alive) return never();
      return connection(await transport.dial(address, options));
    },
    onConnection: (handler) =>
      transport.onConnection((inner) => {
        if (life.alive) handler(connection(inner));
      }),
  };
}
