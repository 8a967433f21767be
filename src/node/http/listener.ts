// The life of a listener around a fastify instance.

import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { KithError, messageOf } from '../../core/errors.ts';

export interface HttpServer {
  readonly name: string;
  /** @throws KithError `listen-failed`. */
  start(): Promise<void>;
  /** Ends what is in work and closes. */
  stop(): Promise<void>;
  /** Where it listens, once started. */
  readonly address: AddressInfo | undefined;
}

/** A server that builds its app when it is started. */
export function createListener(
  name: string,
  build: () => Promise<FastifyInstance>,
  { host, port }: { readonly host: string; readonly port: number },
): HttpServer {
  let app: FastifyInstance | undefined;
  let starting: Promise<void> | undefined;
  return {
    name,
    start() {
      starting ??= (async () => {
        app = await build();
        await app.listen({ host, port }).catch((cause: unknown) => {
          throw new KithError('listen-failed', `cannot listen on ${host}:${port}: ${messageOf(cause)}`, { cause });
        });
      })();
      return starting;
    },
    async stop() {
      await starting?.catch(() => undefined);
      await app?.close();
    },
    get address() {
      return (app?.server.address() ?? undefined) as AddressInfo | undefined;
    },
  };
}
