// A TCP proxy on loopback that keeps every byte in both directions: what a host sees of a connection.

import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterAll } from 'vitest';

export interface RecordingProxy {
  /** http://127.0.0.1:port */
  readonly url: string;
  /** Everything that went through so far, connection by connection. */
  recorded(): Uint8Array[];
}

/** @param target http://host:port */
export async function startRecordingProxy(target: string): Promise<RecordingProxy> {
  const { hostname, port } = new URL(target);
  const recordings: Buffer[][] = [];
  const sockets = new Set<Socket>();
  const server = createServer((incoming) => {
    const outgoing = connect(Number(port), hostname);
    for (const [from, to] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      const parts: Buffer[] = [];
      recordings.push(parts);
      sockets.add(from);
      from.on('data', (part: Buffer) => parts.push(part));
      from.on('error', () => to.destroy());
      from.on('close', () => sockets.delete(from));
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterAll(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    recorded: () => recordings.map((parts) => Buffer.concat(parts)),
  };
}
