// The paths of the API: each unpacks a request, calls the service, and packs its answer.

import type { FastifyInstance, FastifyReply } from 'fastify';
import { fromHex } from '../../core/bytes.ts';
import { KithError } from '../../core/errors.ts';
import { parseRegId } from '../../core/ids.ts';
import type { SealedBox } from '../../core/sealed-request.ts';
import type { IndexSetAnswer, NodeService, OperationAnswer, ServiceCall } from '../service.ts';
import {
  ATTESTATIONS_PER_MINUTE,
  CERTIFICATES_PER_MINUTE,
  LEAVES_PER_MINUTE,
  LOOK_UPS_PER_MINUTE,
  RECOVERY_SHARES_PER_MINUTE,
  REGISTRATIONS_PER_MINUTE,
} from './limits.ts';
import {
  attestationAnswer,
  certificateAnswer,
  certificateBody,
  healthAnswer,
  idParams,
  indexSetAnswer,
  indexSetQuery,
  leaveBody,
  leftAnswer,
  membersAnswer,
  nodeAnswer,
  nonceQuery,
  operationAnswer,
  problemsOf,
  readinessAnswer,
  recoveryAnswer,
  registrationAnswer,
  rosterAnswer,
  sealedBody,
  shareAnswer,
} from './schemas.ts';

const limited = (max: number) => ({ rateLimit: { max } });
const answers = (description: string, schema: object) => ({ description, content: { 'application/json': { schema } } });

const ENTITY_TAG = { ETag: { type: 'string', description: 'depends on id, since and the synced height only' } };

export function addRoutes(app: FastifyInstance, service: NodeService): void {
  addStateRoutes(app, service);
  addOperationRoutes(app, service);
  addCertificateRoute(app, service);
  addLookUpRoutes(app, service);
  addRecoveryRoutes(app, service);
  addRosterRoutes(app, service);
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
}

function addStateRoutes(app: FastifyInstance, service: NodeService): void {
  app.get(
    '/healthz',
    {
      schema: {
        operationId: 'health',
        summary: 'Whether the process is alive',
        response: { 200: answers('alive', healthAnswer) },
      },
    },
    async () => ({ status: 'alive' as const }),
  );
  app.get(
    '/readyz',
    {
      schema: {
        operationId: 'readiness',
        summary: 'Whether the node serves, and if not, why',
        response: { 200: answers('ready', readinessAnswer), 503: answers('not ready', readinessAnswer) },
      },
    },
    async (_request, reply) => {
      const { ready, phase, reasons } = service.readiness();
      return reply.code(ready ? 200 : 503).send({ ready, phase, reasons });
    },
  );
  app.get(
    '/v1/node',
    {
      schema: {
        operationId: 'node',
        summary: 'The node itself',
        response: { 200: answers('this node', nodeAnswer), ...problemsOf() },
      },
    },
    async () => service.node(),
  );
  app.get(
    '/v1/members',
    {
      schema: {
        operationId: 'members',
        summary: 'This node and the members it is connected with',
        response: { 200: answers('members', membersAnswer), ...problemsOf() },
      },
    },
    async () => service.members(),
  );
  app.get<{ Querystring: { nonce: string } }>(
    '/v1/attestation',
    {
      config: limited(ATTESTATIONS_PER_MINUTE),
      schema: {
        operationId: 'attestation',
        summary: 'A quote over the key to seal to, fresh for the nonce',
        querystring: nonceQuery,
        response: { 200: answers('evidence', attestationAnswer), ...problemsOf(400, 429, 503) },
      },
    },
    async (request, reply) => await service.attestation(fromHex(request.query.nonce), callOf(reply)),
  );
}

function addOperationRoutes(app: FastifyInstance, service: NodeService): void {
  const response = {
    201: answers('confirmed by a quorum', operationAnswer),
    202: answers('durable here, confirmation pending', operationAnswer),
    ...problemsOf(400, 404, 409, 413, 415, 422, 429, 503),
  };
  const config = limited(REGISTRATIONS_PER_MINUTE);
  app.post<{ Body: SealedBox }>(
    '/v1/registrations',
    {
      config,
      schema: { operationId: 'register', summary: 'Register: a sealed, signed operation', body: sealedBody, response },
    },
    async (request, reply) => sendOperation(reply, await service.register(request.body, callOf(reply))),
  );
  for (const kind of ['renew', 'revoke'] as const) {
    app.post<{ Body: SealedBox; Params: { id: string } }>(
      `/v1/registrations/:id/${kind}`,
      {
        config,
        schema: {
          operationId: kind,
          summary: `${kind}: a sealed, signed operation`,
          params: idParams,
          body: sealedBody,
          response,
        },
      },
      async (request, reply) =>
        sendOperation(reply, await service[kind](parseRegId(request.params.id), request.body, callOf(reply))),
    );
  }
}

function addCertificateRoute(app: FastifyInstance, service: NodeService): void {
  app.post<{ Body: { certificate: string }; Params: { id: string } }>(
    '/v1/registrations/:id/certificate',
    {
      config: limited(CERTIFICATES_PER_MINUTE),
      schema: {
        operationId: 'showCertificate',
        summary: 'Shows a certificate to a node that does not know the registration: it fetches it from the holders',
        params: idParams,
        body: certificateBody,
        response: {
          200: answers('the registration is known here', certificateAnswer),
          202: answers('it is being fetched', certificateAnswer),
          ...problemsOf(400, 413, 415, 422, 429, 503),
        },
      },
    },
    async (request, reply) => {
      const answer = service.presentCertificate(parseRegId(request.params.id), request.body.certificate);
      return reply.code(answer.status === 'known' ? 200 : 202).send(answer);
    },
  );
}

function addLookUpRoutes(app: FastifyInstance, service: NodeService): void {
  const config = limited(LOOK_UPS_PER_MINUTE);
  app.get<{ Params: { id: string } }>(
    '/v1/registrations/:id',
    {
      config,
      schema: {
        operationId: 'registration',
        summary: 'The state of a registration',
        params: idParams,
        response: { 200: answers('state', registrationAnswer), ...problemsOf(400, 404, 429, 503) },
      },
    },
    async (request, reply) => found(await service.registration(parseRegId(request.params.id), callOf(reply))),
  );
  app.get<{ Params: { id: string }; Querystring: { since?: number; wait?: number } }>(
    '/v1/index-sets/:id',
    {
      config,
      schema: {
        operationId: 'indexSet',
        summary: 'The index set, encrypted to the data key of the registration and padded',
        description: 'With If-None-Match and the entity tag of an earlier answer: 304 while no new height is synced.',
        params: idParams,
        querystring: indexSetQuery,
        response: {
          200: { ...answers('one sealed blob', indexSetAnswer), headers: ENTITY_TAG },
          304: { description: 'no new synced height', type: 'null', headers: ENTITY_TAG },
          ...problemsOf(400, 404, 422, 429, 503),
        },
      },
    },
    async (request, reply) => {
      const { since = 0, wait = 0 } = request.query;
      const options = { since, waitMs: wait * 1000 };
      const answer = found(await service.indexSet(parseRegId(request.params.id), options, callOf(reply)));
      reply.header('etag', answer.etag).header('cache-control', 'no-cache');
      if (request.headers['if-none-match'] === answer.etag) return reply.code(304).send();
      return reply.type('application/json; charset=utf-8').send(indexSetText(answer));
    },
  );
}

function addRecoveryRoutes(app: FastifyInstance, service: NodeService): void {
  const config = limited(RECOVERY_SHARES_PER_MINUTE);
  app.get(
    '/v1/recovery',
    {
      config,
      schema: {
        operationId: 'recovery',
        summary: 'After a total restart: the data key of the store, under the recovery keys of the cluster',
        response: { 200: answers('what is waited for', recoveryAnswer), ...problemsOf(429) },
      },
    },
    async () => service.recovery(),
  );
  app.post<{ Body: SealedBox }>(
    '/v1/recovery',
    {
      config,
      schema: {
        operationId: 'enterRecoveryShare',
        summary: 'After a total restart: one share of that key, sealed to the attested node',
        body: sealedBody,
        response: { 200: answers('taken', shareAnswer), ...problemsOf(400, 409, 413, 415, 422, 429, 503) },
      },
    },
    async (request, reply) => await service.enterRecoveryShare(request.body, callOf(reply)),
  );
}

function addRosterRoutes(app: FastifyInstance, service: NodeService): void {
  app.get(
    '/v1/roster',
    {
      schema: {
        operationId: 'roster',
        summary: 'The members, with what an operator names to take one of them off',
        response: { 200: answers('members', rosterAnswer), ...problemsOf(503) },
      },
    },
    async () => service.roster(),
  );
  app.post<{ Body: { statement: string } }>(
    '/v1/roster/leaves',
    {
      config: limited(LEAVES_PER_MINUTE),
      schema: {
        operationId: 'takeOff',
        summary: 'Takes a member off the roster: a leave signed by its operator',
        body: leaveBody,
        response: { 200: answers('it is off', leftAnswer), ...problemsOf(400, 409, 413, 415, 429, 503) },
      },
    },
    async (request) => service.takeOff(request.body.statement),
  );
}

function found<T>(value: T | undefined): T {
  if (value === undefined) throw new KithError('unknown-registration', 'This node knows no registration with this id.');
  return value;
}

function sendOperation(reply: FastifyReply, answer: OperationAnswer): FastifyReply {
  return reply.code(answer.status === 'confirmed' ? 201 : 202).send(answer);
}

/** By hand: its texts are base64url, and looking for what needs escaping costs as much as sealing them. */
const indexSetText = ({ id, since, nonce, ciphertext }: IndexSetAnswer): string =>
  `{"id":"${id}","since":${since},"nonce":"${nonce}","ciphertext":"${ciphertext}"}`;

/**
 * The signal aborts when the client goes away before it is answered. `request.signal` would not do: a request closes as
 * soon as its body was read. Made when it is asked for: few calls wait.
 */
function callOf(reply: FastifyReply): ServiceCall {
  let controller: AbortController | undefined;
  return {
    get signal() {
      if (controller) return controller.signal;
      const made = new AbortController();
      controller = made;
      const { raw } = reply;
      const onClose = () => {
        if (!raw.writableFinished) made.abort(new KithError('aborted', 'the client has gone'));
      };
      if (raw.destroyed) onClose();
      else raw.once('close', onClose);
      return made.signal;
    },
  };
}
