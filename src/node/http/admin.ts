// The admin listener: metrics and the console, for the operator alone. It has no password: it listens on loopback
// unless told otherwise, answers no other site, and refuses requests that reached it under somebody else's name, which
// is how a page in a browser would get at it (DNS rebinding).

import { isIP } from 'node:net';
import process from 'node:process';
import fastify, { type FastifyInstance } from 'fastify';
import { closed, shape, Type } from '../../core/schema.ts';
import type { Log } from '../log.ts';
import type { NodeService } from '../service.ts';
import type { NodeStats } from '../telemetry/stats.ts';
import { CONSOLE_PAGE, CONSOLE_POLICY } from './console-page.ts';
import { consoleState } from './console-state.ts';
import { ADMIN_CONNECTIONS_MAX, HEADERS_TIMEOUT_MS, KEEP_ALIVE_TIMEOUT_MS, REQUEST_TIMEOUT_MS } from './limits.ts';
import { createListener, type HttpServer } from './listener.ts';
import { isLoopback } from './loopback.ts';
import { answerProblem, sendProblem } from './replies.ts';

export interface AdminServerDeps {
  readonly service: NodeService;
  readonly stats: () => NodeStats;
  /** One scrape, in Prometheus' text format. */
  readonly metricsText: () => Promise<string>;
  /** Takes the node off the roster. @returns why it was not done. */
  readonly leave: (options: { signal: AbortSignal }) => Promise<string | undefined>;
  /** Called once the answer about it is sent. */
  readonly onLeft: () => void;
  readonly log: Log;
}

export interface AdminServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

/** Format 0.0.4 of Prometheus. */
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
/** The one body there is names a node. */
const BODY_BYTES_MAX = 1_024;
/** Every connected member is told, or has five seconds to answer. */
const LEAVE_MS = 15_000;

const leaveShape = shape(closed({ node: Type.String({ maxLength: 64 }) }));

/** The listener for metrics and console. */
export function createAdminServer(deps: AdminServerDeps, options: AdminServerOptions): HttpServer {
  return createListener('admin', () => buildAdminApp(deps, options), options);
}

/** The fastify instance with all routes, not listening yet: for tests that inject requests. */
export async function buildAdminApp(deps: AdminServerDeps, options: AdminServerOptions): Promise<FastifyInstance> {
  const { service, stats, metricsText, log } = deps;
  const app: FastifyInstance = fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    forceCloseConnections: true,
    return503OnClosing: true,
  });
  app.server.maxConnections = ADMIN_CONNECTIONS_MAX;
  app.server.headersTimeout = HEADERS_TIMEOUT_MS;
  app.setErrorHandler((error, request, reply) => sendProblem(log, request, reply, error));
  app.setNotFoundHandler((_request, reply) => answerProblem(reply, 'not-found', 'See /console and /metrics.'));
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
    if (!isOwnName(request.headers.host, options.host)) {
      return answerProblem(reply, 'wrong-host', 'Ask by IP address, as localhost, or by the name that --admin has.');
    }
    return undefined;
  });
  app.get('/healthz', async () => ({ status: 'alive' }));
  app.get('/metrics', async (_request, reply) => reply.type(METRICS_TYPE).send(await metricsText()));
  app.get('/console/state', async () => consoleState(service, stats(), process.memoryUsage.rss()));
  app.get('/console', async (_request, reply) =>
    reply.type('text/html; charset=utf-8').header('content-security-policy', CONSOLE_POLICY).send(CONSOLE_PAGE),
  );
  addLeave(app, deps);
  await app.ready();
  return app;
}

/**
 * POST /leave {node: its own id}. A page of another site cannot ask for it: a body of JSON needs leave of a preflight,
 * which nobody here gives.
 */
function addLeave(app: FastifyInstance, { service, leave, onLeft, log }: AdminServerDeps): void {
  app.removeContentTypeParser('text/plain');
  app.post('/leave', async (request, reply) => {
    // Metrics may be opened to a Prometheus elsewhere; this is for whoever is on the machine.
    if (!isLoopback(request.ip))
      return answerProblem(reply, 'not-local', 'Ask at 127.0.0.1, on the machine of the node.');
    const { node } = leaveShape.parse(request.body, 'the body');
    const { nodeId } = service.node();
    if (node !== nodeId) return answerProblem(reply, 'wrong-node', `This is node ${nodeId}.`);
    const why = await leave({ signal: AbortSignal.timeout(LEAVE_MS) });
    if (why !== undefined) return answerProblem(reply, 'not-left', LEAVE_REFUSALS[why] ?? why);
    log.info('left', { nodeId });
    reply.raw.once('close', onLeft);
    return { nodeId, left: true };
  });
}

/** What an operator can do about it. */
const LEAVE_REFUSALS: Readonly<Record<string, string>> = {
  'not-a-member': 'It is on no roster.',
  'nobody-connected': 'No member is connected that would hear of it; try again when one is.',
  'nobody-heard': 'No member has answered, so that the others still count it as a member; try again.',
};

/** Whether a Host header names this listener in a way that no foreign domain can. */
export function isOwnName(header: string | undefined, configured: string): boolean {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::\d{1,5})?$/.exec(header ?? '');
  if (!match) return false;
  if (match[1] !== undefined) return isIP(match[1]) === 6;
  const name = match[2]!.toLowerCase();
  return isIP(name) === 4 || name === 'localhost' || name === configured.toLowerCase();
}
