// A TCP proxy on loopback that can be cut, healed and slowed, for all who dial or for one of them: a partition between
// processes.

import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout } from 'node:timers';

/**
 * `closed`: connections are reset, as when the host is there and the port is not. `silent`: they stay and carry
 * nothing, as when a cable was pulled; what is sent meanwhile is lost with its connection.
 */
export type CutKind = 'closed' | 'silent';

export interface TcpGate {
  /** Where to dial instead. */
  readonly port: number;
  /** From now on nothing goes through; with `who`, nothing of that one. */
  cut(how?: CutKind, who?: string): void;
  /** Undoes the cut with the same `who`. Connections that were cut stay ended; new ones go through. */
  heal(who?: string): void;
  /** Each piece arrives so much later, in both directions, in order. */
  delay(ms: number): void;
  stop(): Promise<void>;
}

interface Way {
  readonly who: string | undefined;
  /** Whether it was ever silent: then it has lost bytes and is never used again. */
  broken: boolean;
  end(): void;
}

/** @param target port of loopback. @param options.whoIs names who dials from a port; needed to cut one of them. */
export async function startTcpGate(
  target: number,
  options: { readonly whoIs?: (port: number) => string | undefined } = {},
): Promise<TcpGate> {
  const ways = new Set<Way>();
  const cuts = new Map<string | undefined, CutKind>();
  let delayMs = 0;
  const cutOf = (who: string | undefined): CutKind | undefined => cuts.get(undefined) ?? cuts.get(who);

  function carry(from: Socket, to: Socket, way: Way): void {
    // After a change of the delay a piece must not overtake the one before.
    let last: Promise<void> = Promise.resolve();
    from.on('data', (piece: Buffer) => {
      const passes = delayMs > 0 ? new Promise<void>((resolve) => setTimeout(resolve, delayMs)) : undefined;
      const before = last;
      last = (async () => {
        await passes;
        await before;
        way.broken ||= cutOf(way.who) !== undefined;
        if (!way.broken && !to.destroyed) to.write(piece);
      })();
    });
    from.on('end', () => void last.then(() => to.end()));
  }

  const server = createServer((incoming) => {
    const who = options.whoIs?.(incoming.remotePort!);
    if (cutOf(who) === 'closed') {
      incoming.destroy();
      return;
    }
    const outgoing = connect(target, '127.0.0.1');
    const way: Way = {
      who,
      broken: false,
      end() {
        ways.delete(way);
        incoming.destroy();
        outgoing.destroy();
      },
    };
    ways.add(way);
    for (const socket of [incoming, outgoing]) socket.on('error', way.end).on('close', way.end);
    carry(incoming, outgoing, way);
    carry(outgoing, incoming, way);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endAll = (who?: string) => {
    for (const way of [...ways]) if (who === undefined || way.who === who) way.end();
  };

  return {
    port: (server.address() as AddressInfo).port,
    cut(how = 'closed', who) {
      cuts.set(who, how);
      if (how === 'closed') endAll(who);
      else for (const way of ways) way.broken ||= cutOf(way.who) !== undefined;
    },
    heal(who) {
      if (cuts.delete(who)) endAll(who);
    },
    delay(ms) {
      delayMs = ms;
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      endAll();
      await closed;
    },
  };
}
