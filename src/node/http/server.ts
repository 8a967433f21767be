// The public HTTP listener: fastify around a NodeService. Requests are checked here, answered there.

import cors from '@fastify/cors';
import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import fastify, { type FastifyInstance } from 'fastify';
import { shape, type TSchema } from '../../core/schema.ts';
import type { Log } from '../log.ts';
import type { NodeService } from '../service.ts';
import {
  CONNECTIONS_MAX,
  HEADERS_TIMEOUT_MS,
  KEEP_ALIVE_TIMEOUT_MS,
  RATE_CLIENTS_MAX,
  REQUEST_TIMEOUT_MS,
} from './limits.ts';
import { createListener, type HttpServer } from './listener.ts';
import { isLoopback } from './loopback.ts';
import { convertQuery } from './query.ts';
import { answerProblem, routeOf, sendProblem } from './replies.ts';
import { addRoutes } from './routes.ts';
import { BODY_BYTES_MAX } from './schemas.ts';
import { notAfterOf, readTlsFile } from './tls-files.ts';

export interface HttpServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Software version, for the description of the API. */
  readonly version: string;
  /** Whether every answer must say that the cluster is simulated. */
  readonly simulated: boolean;
  readonly rateLimit: boolean;
  /** Proxies whose X-Forwarded-For is believed, as CIDR; undefined: none. */
  readonly trustProxy?: string | undefined;
  readonly tls?: { readonly certFile: string; readonly keyFile: string } | undefined;
}

/** Told what was answered: for counting. */
export interface HttpEvents {
  /** @param route the pattern, never the path, which holds an id; `none` where no route matched. */
  onAnswered(route: string, status: number): void;
  /** @param code of the problem that was answered: a word of the table of problems. */
  onProblem(code: string): void;
  /** Of TLS, if the server has a certificate. @param notAfter seconds since 1970. */
  onCertificate(notAfter: number): void;
}

export interface HttpServerDeps {
  readonly service: NodeService;
  readonly log: Log;
  readonly events?: HttpEvents | undefined;
}

/** The public API of a node. */
export function createHttpServer(deps: HttpServerDeps, options: HttpServerOptions): HttpServer {
  return createListener('http', () => buildApp(deps, options), options);
}

/** The fastify instance with all routes, not listening yet: for tests that inject requests. */
export async function buildApp(
  { service, log, events }: HttpServerDeps,
  options: HttpServerOptions,
): Promise<FastifyInstance> {
  const https = options.tls && {
    cert: await readTlsFile(options.tls.certFile),
    key: await readTlsFile(options.tls.keyFile),
  };
  if (https) events?.onCertificate(notAfterOf(https.cert));
  const app: FastifyInstance = fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    trustProxy: options.trustProxy ?? false,
    return503OnClosing: true,
    routerOptions: { maxParamLength: 64 },
    // A proto or constructor key in a body is an error of the shape, not something to strip.
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    // What fastify refuses before there is a route: a path that does not decode, a parameter that is too long.
    frameworkErrors: (error, request, reply) => sendProblem(log, request, reply, error, events?.onProblem),
    ...(https ? { https } : {}),
  });
  app.removeContentTypeParser('text/plain');
  app.server.maxConnections = CONNECTIONS_MAX;
  app.server.headersTimeout = HEADERS_TIMEOUT_MS;
  app.setValidatorCompiler(({ schema, httpPart }) => validatorOf(schema as TSchema, httpPart ?? 'request'));
  app.setErrorHandler((error, request, reply) => sendProblem(log, request, reply, error, events?.onProblem));
  app.setNotFoundHandler((_request, reply) =>
    answerProblem(reply, 'not-found', 'See /openapi.json for what there is.', events?.onProblem),
  );
  if (events) {
    app.addHook('onResponse', async (request, reply) => events.onAnswered(routeOf(request), reply.statusCode));
  }
  if (options.simulated) {
    app.addHook('onSend', async (_request, reply) => {
      reply.header('x-kith-simulated', 'true');
    });
  }
  await app.register(cors, {
    origin: '*',
    methods: ['GET', 'POST'],
    credentials: false,
    exposedHeaders: ['ETag', 'Retry-After', 'RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'],
  });
  await app.register(rateLimit, {
    global: false,
    enableDraftSpec: true,
    cache: RATE_CLIENTS_MAX,
    timeWindow: 60_000,
    allowList: (request) => !options.rateLimit || (options.simulated && isLoopback(request.ip)),
  });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'kith',
        version: options.version,
        description: 'The API of a kith node.',
        license: { name: 'Apache-2.0' },
      },
    },
  });
  await app.register(async (scope) => addRoutes(scope, service));
  await app.ready();
  return app;
}

/** Checks a part of a request by its schema, with errors that name the field. */
function validatorOf(schema: TSchema, part: string) {
  const form = shape(schema);
  const where = part === 'querystring' ? 'query' : part;
  return (data: unknown) => {
    const value = part === 'querystring' ? convertQuery(schema, data) : data;
    try {
      return { value: form.parse(value, where) };
    } catch (error) {
      return { error: error as Error };
    }
  };
}
