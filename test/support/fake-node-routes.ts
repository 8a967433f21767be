// The paths of the HTTP API without HTTP: for tests whose clock must know of every wait.

import { fromHex } from '../../src/core/bytes.ts';
import { KithError } from '../../src/core/errors.ts';
import { parseRegId } from '../../src/core/ids.ts';
import type { SealedBox } from '../../src/core/sealed-request.ts';
import { problemOfError } from '../../src/node/http/problems.ts';
import type { NodeService } from '../../src/node/service.ts';

interface Asked {
  readonly path: string;
  readonly body: string | undefined;
  readonly signal: AbortSignal;
}

interface Answered {
  readonly status: number;
  readonly answer: Record<string, unknown>;
  readonly retryAfterSeconds: number | undefined;
}

/** What the service answers, errors as problems. @param refusal thrown instead of the answer. */
export async function requestOf(service: NodeService, asked: Asked, refusal?: KithError): Promise<Answered> {
  try {
    if (refusal) throw refusal;
    return { ...(await route(service, asked)), retryAfterSeconds: undefined };
  } catch (error) {
    const { problem, retryAfter } = problemOfError(error);
    return { status: problem.status, answer: { ...problem }, retryAfterSeconds: retryAfter };
  }
}

async function route(service: NodeService, { path, body, signal }: Asked) {
  const { pathname, searchParams } = new URL(path, 'http://node.test');
  const [, , noun = '', id = '', verb] = pathname.split('/');
  const ok = (answer: unknown, status = 200) => ({ status, answer: answer as Record<string, unknown> });
  const call = { signal };
  if (pathname === '/v1/node') return ok(service.node());
  if (pathname === '/v1/members') return ok(service.members());
  if (pathname === '/readyz') {
    const { ready, ...readiness } = service.readiness();
    return ok(readiness, ready ? 200 : 503);
  }
  if (pathname === '/v1/recovery') {
    return ok(
      body === undefined ? service.recovery() : await service.enterRecoveryShare(JSON.parse(body) as SealedBox, call),
    );
  }
  if (noun === 'attestation') return ok(await service.attestation(fromHex(searchParams.get('nonce') ?? ''), call));
  if (noun === 'index-sets') {
    const query = { since: Number(searchParams.get('since')), waitMs: 1000 * Number(searchParams.get('wait')) };
    return ok(known(await service.indexSet(parseRegId(id), query, call)));
  }
  if (noun === 'registrations' && body === undefined)
    return ok(known(await service.registration(parseRegId(id), call)));
  if (verb === 'certificate' && body !== undefined) {
    const { certificate } = JSON.parse(body) as { certificate: string };
    const answer = service.presentCertificate(parseRegId(id), certificate);
    return ok(answer, answer.status === 'known' ? 200 : 202);
  }
  if (noun === 'registrations' && body !== undefined) {
    const box = JSON.parse(body) as SealedBox;
    const answer =
      id === '' ? await service.register(box, call) : await operate(service, parseRegId(id), verb, box, call);
    return ok(answer, answer.status === 'confirmed' ? 201 : 202);
  }
  throw new KithError('not-found', 'nothing here');
}

function operate(
  service: NodeService,
  id: Parameters<NodeService['renew']>[0],
  verb: string | undefined,
  box: SealedBox,
  call: { signal: AbortSignal },
) {
  if (verb !== 'renew' && verb !== 'revoke') throw new KithError('not-found', 'nothing here');
  return service[verb](id, box, call);
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new KithError('unknown-registration', 'This node knows no registration with this id.');
  return value;
}
