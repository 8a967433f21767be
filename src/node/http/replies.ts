// Problems as replies, for both listeners.

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Log } from '../log.ts';
import { problemOf, problemOfError } from './problems.ts';

/** The route's pattern, never the path: that holds an id. */
export const routeOf = (request: FastifyRequest): string => request.routeOptions.url ?? 'none';

/** Told the code of each problem that is answered: a word of the table of problems. */
export type OnProblem = (code: string) => void;

/** Answers with the problem of a code. */
export function answerProblem(reply: FastifyReply, code: string, detail: string, onProblem?: OnProblem): FastifyReply {
  const { problem } = problemOf(code, detail);
  onProblem?.(problem.code);
  return reply.code(problem.status).type('application/problem+json').send(problem);
}

/** Answers with the problem of whatever was thrown; faults of ours go into the log. */
export function sendProblem(
  log: Log,
  request: FastifyRequest,
  reply: FastifyReply,
  error: unknown,
  onProblem?: OnProblem,
): FastifyReply {
  const { problem, retryAfter, fault } = problemOfError(error);
  onProblem?.(problem.code);
  const route = routeOf(request);
  if (fault) {
    log.error('http-fault', { route, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  } else log.debug('http-refused', { route, code: problem.code });
  if (retryAfter !== undefined && !reply.hasHeader('retry-after')) reply.header('retry-after', String(retryAfter));
  return reply.code(problem.status).type('application/problem+json').send(problem);
}
