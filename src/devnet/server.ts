// HTTP around the simulated chain, and the clock that makes its blocks.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KithError, messageOf } from '../core/errors.ts';
import type { Devnet } from './devnet.ts';
import { REQUEST_BYTES_MAX, STALL_MS_MAX } from './limits.ts';

export interface DevnetServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Time from block to block; left out: blocks are made only by `advance`. */
  readonly blockMs?: number | undefined;
}

export interface DevnetServer {
  /** http://host:port */
  readonly url: string;
  stop(): Promise<void>;
}

/** @throws KithError `listen-failed`. */
export async function serveDevnet(devnet: Devnet, options: DevnetServerOptions): Promise<DevnetServer> {
  const server = createServer({ requestTimeout: 30_000 }, (request, response) => {
    handle(devnet, request, response).catch(() => response.destroy());
  });
  await listen(server, options);
  const { blockMs } = options;
  const timer = blockMs === undefined ? undefined : setInterval(() => devnet.advance(), blockMs);
  const { address, port, family } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    async stop() {
      clearInterval(timer);
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function listen(server: Server, { host, port }: DevnetServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new KithError('listen-failed', `cannot listen on ${host}:${port}: ${messageOf(cause)}`, { cause }));
    });
    server.listen(port, host, () => resolve());
  });
}

async function handle(devnet: Devnet, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const controller = new AbortController();
  const giveUp = setTimeout(() => controller.abort(), STALL_MS_MAX);
  response.once('close', () => {
    clearTimeout(giveUp);
    controller.abort();
  });
  const body = await readBody(request);
  if (!body) {
    response.writeHead(413, { connection: 'close' }).end();
    return;
  }
  const method = request.method === 'POST' ? 'POST' : 'GET';
  const answer = await devnet.answer({ method, target: request.url ?? '/', body }, { signal: controller.signal });
  const isJson = answer.body[0] === 0x7b || answer.body[0] === 0x5b;
  response.writeHead(answer.status, {
    'content-type': isJson ? 'application/json' : 'text/plain; charset=utf-8',
    'content-length': answer.body.length,
  });
  response.end(answer.body);
}

async function readBody(request: IncomingMessage): Promise<Uint8Array | undefined> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > REQUEST_BYTES_MAX) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}
