import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { KithError } from '../../../../src/core/errors.ts';
import { LOOK_UPS_PER_MINUTE } from '../../../../src/node/http/limits.ts';
import { PROBLEMS } from '../../../../src/node/http/problems.ts';
import { buildApp, createHttpServer, type HttpServerOptions } from '../../../../src/node/http/server.ts';
import type { NodeService } from '../../../../src/node/service.ts';
import { answer, fakeService, ID, recordingLog } from '../../../support/node-service.ts';

const BOX = { suite: 'suite', enc: 'B'.repeat(43), ciphertext: 'abc_-' };

const OPTIONS: HttpServerOptions = { host: '127.0.0.1', port: 0, version: '0.1.0', simulated: true, rateLimit: true };

interface OpenApiOperation {
  readonly summary: string;
  readonly operationId: string;
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly headers?: object; readonly content?: object }>
  >;
}

/** The codes that a described answer may have; none if it is no problem. */
const codesIn = (answer: OpenApiOperation['responses'][string] | undefined): string[] =>
  Object.keys(answer?.content ?? {}).includes('application/problem+json')
    ? answer!.description.replace('problem: ', '').split(', ')
    : [];

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const app of open.splice(0)) await app.close();
});

async function appOf(changes: Partial<NodeService> = {}, options: Partial<HttpServerOptions> = {}) {
  const { service, asked } = fakeService(changes);
  const { log, lines } = recordingLog();
  const app = await buildApp({ service, log }, { ...OPTIONS, ...options });
  open.push(app);
  return { app, asked, lines };
}

describe('the events of the HTTP server', () => {
  it('tell pattern and status of each answer, and never a path or an id', async () => {
    const { service } = fakeService();
    const told: [string, number][] = [];
    const codes: string[] = [];
    const events = {
      onAnswered: (route: string, status: number) => void told.push([route, status]),
      onProblem: (code: string) => void codes.push(code),
      onCertificate: () => undefined,
    };
    const app = await buildApp({ service, log: recordingLog().log, events }, OPTIONS);
    open.push(app);
    await app.inject(`/v1/registrations/${ID}`);
    await app.inject(`/v1/index-sets/${ID}?since=-1`);
    await app.inject({ method: 'POST', url: `/v1/registrations/${ID}/renew`, payload: BOX });
    await app.inject(`/nowhere/${ID}`);
    expect(told).toEqual([
      ['/v1/registrations/:id', 200],
      ['/v1/index-sets/:id', 400],
      ['/v1/registrations/:id/renew', 202],
      ['none', 404],
    ]);
    expect(codes).toEqual(['bad-shape', 'not-found']);
  });
});

describe('a call that takes time', () => {
  /** The operation's call, and the server's answer when it is allowed to go on. */
  async function slowRegister() {
    let told: (signal: AbortSignal) => void = () => undefined;
    let goOn: () => void = () => undefined;
    const called = new Promise<AbortSignal>((resolve) => {
      told = resolve;
    });
    const released = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const register: NodeService['register'] = async (_box, call) => {
      told(call.signal);
      await released;
      return answer;
    };
    const { service } = fakeService({ register });
    const server = createHttpServer({ service, log: recordingLog().log }, OPTIONS);
    await server.start();
    open.push({ close: () => server.stop() });
    const leaving = new AbortController();
    const body = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(BOX) };
    const response = fetch(`http://127.0.0.1:${server.address!.port}/v1/registrations`, {
      ...body,
      signal: leaving.signal,
    });
    response.catch(() => undefined);
    return { called, goOn: () => goOn(), leave: () => leaving.abort(), response };
  }

  it('goes on after its body was read', async () => {
    const { called, goOn, response } = await slowRegister();
    const signal = await called;
    // A round trip of another connection: the request has long been read to its end by then.
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(signal.aborted).toBe(false);
    goOn();
    expect((await response).status).toBe(201);
    expect(signal.aborted).toBe(false);
  });

  it('ends when the client goes away', async () => {
    const { called, leave } = await slowRegister();
    const signal = await called;
    const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    leave();
    await aborted;
    expect(signal.reason).toMatchObject({ code: 'aborted' });
  });
});

describe('the HTTP API', () => {
  it('serves health, readiness with its reasons, the node and its members', async () => {
    const { app } = await appOf();
    expect((await app.inject('/healthz')).json()).toEqual({ status: 'alive' });
    expect((await app.inject('/readyz')).statusCode).toBe(200);
    expect((await app.inject('/v1/node')).json().heights).toEqual({
      chain: 4,
      indexed: 3,
      detected: 2,
      anchored: 1,
      cluster: 3,
      first: 1,
    });
    expect((await app.inject('/v1/members')).json()).toEqual([]);
    const waiting = await appOf({ readiness: () => ({ ready: false, phase: 'recovering', reasons: ['no key yet'] }) });
    const unready = await waiting.app.inject('/readyz');
    expect([unready.statusCode, unready.json()]).toEqual([
      503,
      { ready: false, phase: 'recovering', reasons: ['no key yet'] },
    ]);
  });

  it('passes sealed operations on as they came, and tells confirmed from pending', async () => {
    const { app, asked } = await appOf();
    const created = await app.inject({ method: 'POST', url: '/v1/registrations', payload: BOX });
    expect([created.statusCode, created.json()]).toEqual([201, answer]);
    const pending = await app.inject({ method: 'POST', url: `/v1/registrations/${ID}/renew`, payload: BOX });
    expect([pending.statusCode, pending.json().status]).toEqual([202, 'pending']);
    const revoked = await app.inject({ method: 'POST', url: `/v1/registrations/${ID}/revoke`, payload: BOX });
    expect(revoked.statusCode).toBe(201);
    expect(asked).toEqual([BOX, [ID, BOX], [ID, BOX]]);
  });

  it('hands on certificates, and tells what is known from what is being fetched', async () => {
    const { app, asked } = await appOf();
    const url = `/v1/registrations/${ID}/certificate`;
    const show = (payload: object) => app.inject({ method: 'POST', url, payload });
    const shown = await show({ certificate: 'abc_-' });
    expect([shown.statusCode, shown.json()]).toEqual([202, { id: ID, status: 'wanted' }]);
    expect(asked).toEqual([[ID, 'abc_-']]);
    for (const body of [{}, { certificate: 5 }, { certificate: 'a+b' }, { certificate: 'A', more: 1 }]) {
      expect((await show(body)).statusCode).toBe(400);
    }
    expect((await show({ certificate: 'A'.repeat(60_000) })).statusCode).toBe(400);
    expect(asked.length).toBe(1);
    const known = await appOf({ presentCertificate: (id) => ({ id, status: 'known' }) });
    expect((await known.app.inject({ method: 'POST', url, payload: { certificate: 'abc' } })).statusCode).toBe(200);
  });

  it('answers look-ups with an ETag and 304 where nothing is new', async () => {
    const { app, asked } = await appOf();
    const fresh = await app.inject(`/v1/index-sets/${ID}?since=7&wait=3`);
    expect([fresh.statusCode, fresh.headers['etag'], fresh.json()]).toEqual([
      200,
      '"7"',
      { id: ID, since: 7, nonce: 'n', ciphertext: 'c' },
    ]);
    expect(asked).toEqual([{ since: 7, waitMs: 3000 }]);
    const same = await app.inject({ url: `/v1/index-sets/${ID}?since=7`, headers: { 'if-none-match': '"7"' } });
    expect([same.statusCode, same.body]).toEqual([304, '']);
    expect((await app.inject(`/v1/registrations/${ID}`)).json().status).toBe('confirmed');
  });

  it.each([
    ['a nonce that is too short', '/v1/attestation?nonce=00', /query: field nonce/],
    ['a missing nonce', '/v1/attestation', /query: the whole lacks the field nonce/],
    ['an unknown query field', `/v1/index-sets/${ID}?until=3`, /query: the whole has the unknown field until/],
    ['a height that is no number', `/v1/index-sets/${ID}?since=x`, /query: field since must be integer/],
    ['a negative height', `/v1/index-sets/${ID}?since=-1`, /query: field since/],
    ['a height beyond all numbers', `/v1/index-sets/${ID}?since=99999999999999999999`, /query: field since/],
    ['the same field twice', `/v1/index-sets/${ID}?since=1&since=2`, /query: field since/],
    ['a wait beyond the limit', `/v1/index-sets/${ID}?wait=56`, /query: field wait must be <= 55/],
    ['an id of another length', '/v1/index-sets/AAAA', /params: field id/],
    ['an id with unused bits set', `/v1/index-sets/${'A'.repeat(42)}B`, /43 characters of base64url/],
  ])('refuses %s, naming it', async (_name, url, detail) => {
    const { app, asked } = await appOf();
    const refused = await app.inject(url);
    expect(refused.statusCode).toBe(400);
    expect(refused.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(refused.json().detail).toMatch(detail);
    expect(asked).toEqual([]);
  });

  it.each([
    ['no JSON', 'nonsense', 400],
    ['nothing', '', 400],
    ['a list', '[]', 400],
    ['a missing field', JSON.stringify({ ...BOX, enc: undefined }), 400],
    ['an unknown field', JSON.stringify({ ...BOX, more: 1 }), 400],
    ['a number for text', JSON.stringify({ ...BOX, suite: 5 }), 400],
    ['text that is not base64url', JSON.stringify({ ...BOX, ciphertext: 'a+b/' }), 400],
    ['a prototype', '{"__proto__":{"suite":"x"},"suite":"s"}', 400],
    ['more than 64 KiB', JSON.stringify({ ...BOX, ciphertext: 'A'.repeat(70_000) }), 413],
  ])('refuses a body with %s', async (_name, payload, status) => {
    const { app, asked } = await appOf();
    const headers = { 'content-type': 'application/json' };
    const refused = await app.inject({ method: 'POST', url: '/v1/registrations', headers, payload });
    expect([refused.statusCode, refused.json().status]).toEqual([status, status]);
    expect(refused.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(asked).toEqual([]);
  });

  it('answers other media types, unknown paths and unknown registrations with problems', async () => {
    const { app } = await appOf({ registration: async () => undefined, indexSet: async () => undefined });
    const text = {
      method: 'POST' as const,
      url: '/v1/registrations',
      headers: { 'content-type': 'text/plain' },
      payload: 'x',
    };
    expect((await app.inject(text)).json()).toMatchObject({ status: 415, code: 'bad-media-type' });
    expect((await app.inject('/nowhere')).json()).toMatchObject({ status: 404, code: 'not-found' });
    expect((await app.inject(`/v1/registrations/${ID}`)).json()).toMatchObject({ code: 'unknown-registration' });
    expect((await app.inject(`/v1/index-sets/${ID}`)).json()).toMatchObject({ code: 'unknown-registration' });
  });

  it.each(Object.entries(PROBLEMS).filter(([code]) => code !== 'internal'))(
    'answers a %s of the service with its status and detail',
    async (code, { status, retryAfter }) => {
      const { app } = await appOf({
        register: () => Promise.reject(new KithError(code, 'what was wrong')),
      });
      const refused = await app.inject({ method: 'POST', url: '/v1/registrations', payload: BOX });
      expect(refused.statusCode).toBe(status);
      expect(refused.json()).toMatchObject({
        code,
        status,
        detail: 'what was wrong',
        type: `urn:kith:problem:${code}`,
      });
      expect(refused.headers['retry-after']).toBe(retryAfter === undefined ? undefined : String(retryAfter));
    },
  );

  it('hides what is behind a fault of its own, and logs it under the route without the id', async () => {
    const { app, lines } = await appOf({
      registration: () => {
        throw new Error('the secret is 42');
      },
    });
    const failed = await app.inject(`/v1/registrations/${ID}`);
    expect([failed.statusCode, failed.json().code]).toEqual([500, 'internal']);
    expect(failed.body).not.toContain('42');
    expect(lines.map(({ event }) => event)).toEqual(['http-fault']);
    expect(lines[0]!.fields?.['route']).toBe('/v1/registrations/:id');
    expect(JSON.stringify(lines)).not.toContain(ID);
  });

  it('limits each client, tells it so, and leaves loopback of a simulated cluster alone', async () => {
    const { app } = await appOf({}, { trustProxy: '127.0.0.1' });
    const look = (from: string) => app.inject({ url: `/v1/registrations/${ID}`, headers: { 'x-forwarded-for': from } });
    const first = await look('192.0.2.1');
    expect(Number(first.headers['ratelimit-limit'])).toBe(LOOK_UPS_PER_MINUTE);
    for (let i = 1; i < LOOK_UPS_PER_MINUTE; i++) expect((await look('192.0.2.1')).statusCode).toBe(200);
    const refused = await look('192.0.2.1');
    expect(refused.json()).toMatchObject({ status: 429, code: 'rate-limited' });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect((await look('192.0.2.2')).statusCode).toBe(200);
    expect((await look('127.0.0.1')).headers['ratelimit-limit']).toBeUndefined();
  });

  it('does not believe a forwarded address unless the proxy is trusted', async () => {
    const { app } = await appOf({}, { simulated: false });
    const look = (from: string) => app.inject({ url: `/v1/registrations/${ID}`, headers: { 'x-forwarded-for': from } });
    const before = Number((await look('192.0.2.1')).headers['ratelimit-remaining']);
    expect(Number((await look('192.0.2.2')).headers['ratelimit-remaining'])).toBe(before - 1);
  });

  it('lets any origin read, without credentials, the ETag and rate headers included', async () => {
    const { app } = await appOf();
    const { headers } = await app.inject({ url: '/v1/node', headers: { origin: 'https://wallet.example' } });
    expect(headers['access-control-allow-origin']).toBe('*');
    expect(headers['access-control-allow-credentials']).toBeUndefined();
    expect(headers['access-control-expose-headers']).toMatch(/ETag.*RateLimit-Remaining/);
    const preflight = await app.inject({
      method: 'OPTIONS',
      url: '/v1/registrations',
      headers: { origin: 'https://wallet.example', 'access-control-request-method': 'POST' },
    });
    expect(preflight.statusCode).toBe(204);
    expect(preflight.headers['access-control-allow-methods']).toBe('GET, POST');
  });

  it('says on every answer that a cluster is simulated, and only then', async () => {
    const simulated = await appOf();
    expect((await simulated.app.inject('/nowhere')).headers['x-kith-simulated']).toBe('true');
    const real = await appOf({}, { simulated: false });
    expect((await real.app.inject('/v1/node')).headers['x-kith-simulated']).toBeUndefined();
  });

  it('describes every route, and nothing else, as OpenAPI 3.1', async () => {
    const { app } = await appOf();
    const document = (await app.inject('/openapi.json')).json();
    expect(document.openapi).toBe('3.1.0');
    expect(Object.keys(document.paths).sort()).toEqual([
      '/healthz',
      '/readyz',
      '/v1/attestation',
      '/v1/index-sets/{id}',
      '/v1/members',
      '/v1/node',
      '/v1/recovery',
      '/v1/registrations',
      '/v1/registrations/{id}',
      '/v1/registrations/{id}/certificate',
      '/v1/registrations/{id}/renew',
      '/v1/registrations/{id}/revoke',
      '/v1/roster',
      '/v1/roster/leaves',
    ]);
  });

  it('describes an operation by a name of its own, and a fault of the node among its answers', async () => {
    const { app } = await appOf();
    const document = (await app.inject('/openapi.json')).json();
    const operations = Object.entries<Record<string, OpenApiOperation>>(document.paths).flatMap(([path, methods]) =>
      Object.values(methods).map((operation) => ({ path, ...operation })),
    );
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
    for (const { path, summary, operationId, responses } of operations) {
      expect([path, typeof summary, typeof operationId]).toEqual([path, 'string', 'string']);
      for (const [status, answer] of Object.entries(responses)) {
        for (const code of codesIn(answer)) expect([code, PROBLEMS[code]?.status]).toEqual([code, Number(status)]);
      }
    }
    const silent = operations.filter(({ responses }) => !('500' in responses)).map(({ path }) => path);
    expect(silent).toEqual(['/healthz', '/readyz']);
    const named = (path: string) => operations.find((operation) => operation.path === path)!.responses;
    expect(Object.keys(named('/v1/index-sets/{id}')['200']!.headers ?? {})).toEqual(['ETag']);
    expect(Object.keys(named('/v1/attestation')['503']!.headers ?? {})).toEqual(['Retry-After']);
  });

  const refusals = [
    ...readFileSync(new URL('../../../../src/core/registration/refusal.ts', import.meta.url), 'utf8').matchAll(
      /^ {2}\| '([a-z-]+)'/gm,
    ),
  ].map(([, code]) => code!);
  const throws = (code: string) => () => {
    throw new KithError(code, 'because');
  };
  it.each([
    [
      'POST',
      '/v1/registrations',
      'register',
      [...refusals, 'hpke-open', 'store-full', 'registrations-full', 'internal'],
    ],
    ['POST', '/v1/registrations/{id}/renew', 'renew', [...refusals, 'wrong-registration', 'wrong-operation']],
    ['POST', '/v1/registrations/{id}/revoke', 'revoke', [...refusals, 'not-ready']],
    [
      'POST',
      '/v1/registrations/{id}/certificate',
      'presentCertificate',
      ['bad-certificate', 'no-holder', 'wants-full'],
    ],
    ['GET', '/v1/registrations/{id}', 'registration', ['not-ready', 'unknown-registration']],
    ['GET', '/v1/index-sets/{id}', 'indexSet', ['since-beyond-tip', 'lookups-busy', 'not-ready', 'stopped']],
    ['GET', '/v1/attestation', 'attestation', ['quotes-busy', 'quote-source', 'collateral-unavailable', 'timeout']],
    [
      'POST',
      '/v1/recovery',
      'enterRecoveryShare',
      ['not-recovering', 'wrong-store', 'bad-share', 'bad-wrap', 'hpke-key'],
    ],
    ['GET', '/v1/roster', 'roster', ['not-ready']],
    ['POST', '/v1/roster/leaves', 'takeOff', ['bad-statement', 'leave-refused', 'not-ready', 'store-unavailable']],
  ] as const)('describes what %s %s may answer', async (method, path, call, codes) => {
    const nonce = path === '/v1/attestation' ? `?nonce=${'ab'.repeat(32)}` : '';
    const url = path.replace('{id}', ID) + nonce;
    const payloads: Record<string, object> = {
      presentCertificate: { certificate: 'abc' },
      takeOff: { statement: 'abc' },
    };
    const payload = payloads[call] ?? BOX;
    for (const code of codes) {
      const { app } = await appOf({ [call]: throws(code) });
      const answered = await app.inject({ method, url, ...(method === 'POST' ? { payload } : {}) });
      expect([answered.json().code, answered.headers['content-type']]).toEqual([
        code,
        'application/problem+json; charset=utf-8',
      ]);
      const document = (await app.inject('/openapi.json')).json();
      const { responses } = document.paths[path][method.toLowerCase()] as OpenApiOperation;
      expect(codesIn(responses[answered.statusCode])).toContain(code);
    }
  });
});

describe('the table of problems', () => {
  it('knows every reason for which an operation is refused', () => {
    const source = readFileSync(new URL('../../../../src/core/registration/refusal.ts', import.meta.url), 'utf8');
    const reasons = [...source.matchAll(/^ {2}\| '([a-z-]+)'/gm)].map((match) => match[1]!);
    expect(reasons.length).toBeGreaterThan(15);
    expect(reasons.filter((reason) => !(reason in PROBLEMS))).toEqual([]);
  });
});

describe('the listener', () => {
  it('serves over a socket, ends waiting requests on stop, and can be asked to stop twice', async () => {
    let waiting: (() => void) | undefined;
    const { service } = fakeService({
      indexSet: (id, { since }, { signal }) =>
        new Promise((resolve) => {
          waiting = () => resolve({ id, since, nonce: 'n', ciphertext: 'c', etag: '"e"' });
          signal.addEventListener('abort', () => waiting?.());
        }),
    });
    const server = createHttpServer({ service, log: recordingLog().log }, OPTIONS);
    await server.start();
    const url = `http://127.0.0.1:${server.address!.port}`;
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    const poll = fetch(`${url}/v1/index-sets/${ID}?wait=30`);
    while (!waiting) await new Promise((resolve) => setImmediate(resolve));
    const stopped = server.stop();
    waiting();
    expect((await poll).status).toBe(200);
    await stopped;
    await server.stop();
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  });

  it('tells the service when a client goes away', async () => {
    let gone: (() => void) | undefined;
    const left = new Promise<void>((resolve) => {
      gone = resolve;
    });
    let asked: (() => void) | undefined;
    const begun = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const { service } = fakeService({
      indexSet: (_id, _options, { signal }) => {
        asked?.();
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            gone?.();
            reject(new KithError('aborted', 'client left'));
          });
        });
      },
    });
    const server = createHttpServer({ service, log: recordingLog().log }, OPTIONS);
    await server.start();
    const controller = new AbortController();
    const poll = fetch(`http://127.0.0.1:${server.address!.port}/v1/index-sets/${ID}?wait=30`, {
      signal: controller.signal,
    });
    await begun;
    controller.abort();
    await expect(poll).rejects.toThrow();
    await left;
    await server.stop();
  });

  it('names a TLS file it cannot read', async () => {
    const server = createHttpServer(
      { service: fakeService().service, log: recordingLog().log },
      { ...OPTIONS, tls: { certFile: '/no/such/cert.pem', keyFile: '/no/such/key.pem' } },
    );
    await expect(server.start()).rejects.toThrow(/cannot read the TLS file \/no\/such\/cert.pem/);
    await server.stop();
  });
});
