// Ports of loopback for nodes that must know one another's before they start, and keep them when they start again.

import { type AddressInfo, createServer } from 'node:net';

const LOOPBACK = '127.0.0.1';

/** So many different ones, free a moment ago: all are held until the last is found. */
export async function findFreePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  try {
    return await Promise.all(
      servers.map(
        (server) =>
          new Promise<number>((resolve, reject) => {
            server.once('error', reject);
            server.listen(0, LOOPBACK, () => resolve((server.address() as AddressInfo).port));
          }),
      ),
    );
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}
