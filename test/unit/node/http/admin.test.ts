import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { buildAdminApp, isOwnName } from '../../../../src/node/http/admin.ts';
import { createAdminServer } from '../../../../src/node/http/index.ts';
import type { NodeService } from '../../../../src/node/service.ts';
import { createMetrics } from '../../../../src/node/telemetry/index.ts';
import { bodyInChromium, chromium } from '../../../support/chromium.ts';
import { fakeProcess, fakeService, fakeStats, recordingLog } from '../../../support/node-service.ts';

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const app of open.splice(0)) await app.close();
});

function depsOf(changes: Partial<NodeService> = {}) {
  const { service } = fakeService(changes);
  const { log, lines } = recordingLog();
  const metrics = createMetrics({ stats: () => fakeStats(), runtime: () => fakeProcess });
  const leaving = { leave: async () => undefined, onLeft: () => undefined };
  return { deps: { service, stats: () => fakeStats(), metricsText: () => metrics.text(), ...leaving, log }, lines };
}

async function appOf(changes: Partial<NodeService> = {}, host = '127.0.0.1') {
  const { deps, lines } = depsOf(changes);
  const app = await buildAdminApp(deps, { host, port: 0 });
  open.push(app);
  return { app, lines };
}

describe('the admin listener', () => {
  it('serves metrics in the format of Prometheus', async () => {
    const { app } = await appOf();
    const answer = await app.inject('/metrics');
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(answer.body).toContain('\nkith_detection_keys 41\n');
  });

  it('serves the state that the console shows', async () => {
    const reasons = ['no key yet', '<img src=x onerror=alert(1)>'];
    const { app } = await appOf({ readiness: () => ({ ready: false, phase: 'recovering', reasons }) });
    const answer = await app.inject('/console/state');
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    expect(answer.json()).toMatchObject({
      ready: false,
      phase: 'recovering',
      reasons,
      simulated: true,
      heights: { chain: 1_005, first: 1_001 },
      registrations: { held: 12, max: 14 },
      detection: { keys: 41, pending: 89, blocksBehind: 31 },
      quorum: { needed: 103, reachable: 104 },
    });
    expect(answer.json().memory.residentBytes).toBeGreaterThan(1e6);
    expect((await app.inject('/healthz')).json()).toEqual({ status: 'alive' });
  });

  it('serves a console that is whole in itself and may run nothing but its own script', async () => {
    const { app } = await appOf();
    const { body, headers } = await app.inject('/console');
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    const policy = String(headers['content-security-policy']);
    expect(policy).toMatch(/^default-src 'none'; /);
    expect(policy).not.toMatch(/unsafe|http|\*|data:/);
    expect(policy).toContain("frame-ancestors 'none'");
    for (const [tag, directive] of [
      ['script', 'script-src'],
      ['style', 'style-src'],
    ] as const) {
      const parts = [...body.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, 'g'))];
      const hashes = parts.map(([, text = '']) => createHash('sha256').update(text).digest('base64'));
      expect(hashes.length).toBe(1);
      expect(policy).toContain(`${directive} 'sha256-${hashes[0]}';`);
    }
    expect(body).not.toMatch(/\s(on[a-z]+|style|src|href)=/);
    expect(body).not.toMatch(/innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|\/\/[a-z]/);
    expect(body).toContain('SIMULATED');
    expect(body).toContain('color-scheme: light dark');
  });

  it('keeps its answers out of caches, frames and other sites', async () => {
    const { app } = await appOf();
    for (const url of ['/metrics', '/console', '/console/state', '/healthz']) {
      const { headers } = await app.inject({ url, headers: { origin: 'http://evil.example' } });
      expect(headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
      expect(headers['access-control-allow-origin']).toBeUndefined();
    }
  });

  it.each(['evil.example', 'evil.example:8080', 'localhost.evil.example', '127.0.0.1.evil.example'])(
    'refuses to answer as %j: a page of that name would read the console',
    async (host) => {
      const { app } = await appOf();
      for (const url of ['/metrics', '/console', '/console/state', '/healthz', '/nowhere']) {
        const answer = await app.inject({ url, headers: { host } });
        expect([answer.statusCode, answer.json().code]).toEqual([421, 'wrong-host']);
      }
    },
  );

  it('answers by its address, as localhost and by the name it was given', async () => {
    const names = ['127.0.0.1', '10.1.2.3:9', '[::1]', '[fe80::1]:80', 'localhost', 'LOCALHOST:1', 'Node-1.internal:9'];
    expect(names.map((name) => isOwnName(name, 'node-1.internal'))).toEqual(names.map(() => true));
    const others = [
      undefined,
      'node-1.internal',
      '::1',
      '[::1',
      '[evil.example]',
      'a b',
      'localhost:',
      '127.0.0.1:1:2',
    ];
    expect(others.map((name) => isOwnName(name, '127.0.0.1'))).toEqual(others.map(() => false));
  });

  it('answers what it does not have, and faults, with problems; the fault is in the log only', async () => {
    const { deps, lines } = depsOf();
    const metricsText = () => Promise.reject(new Error('the secret reason'));
    const app = await buildAdminApp({ ...deps, metricsText }, { host: '127.0.0.1', port: 0 });
    open.push(app);
    expect((await app.inject('/nowhere')).json()).toMatchObject({ status: 404, code: 'not-found' });
    expect((await app.inject({ method: 'POST', url: '/console' })).statusCode).toBe(404);
    const fault = await app.inject('/metrics');
    expect([fault.statusCode, fault.json().code]).toEqual([500, 'internal']);
    expect(fault.body).not.toContain('secret reason');
    expect(lines.map(({ event, fields }) => [event, fields?.['route']])).toEqual([['http-fault', '/metrics']]);
  });

  describe('asked to let its node leave', () => {
    async function leaving(why?: string) {
      const { deps, lines } = depsOf();
      const seen = { left: 0, asked: 0 };
      const leave = async () => {
        seen.asked++;
        return why;
      };
      const app = await buildAdminApp({ ...deps, leave, onLeft: () => seen.left++ }, { host: '127.0.0.1', port: 0 });
      open.push(app);
      const post = (payload: string, type = 'application/json') =>
        app.inject({ method: 'POST', url: '/leave', payload, headers: { 'content-type': type } });
      return { app, post, seen, lines };
    }

    it('takes it off the roster and lets it stop, if the node is named', async () => {
      const { post, seen, lines } = await leaving();
      const answer = await post('{"node": "n"}');
      expect([answer.statusCode, answer.json()]).toEqual([200, { nodeId: 'n', left: true }]);
      expect(seen).toEqual({ asked: 1, left: 1 });
      expect(lines.map(({ event }) => event)).toEqual(['left']);
    });

    it.each([
      ['{"node": "another"}', 409, 'wrong-node'],
      ['{}', 400, 'bad-shape'],
      ['{"node": 7}', 400, 'bad-shape'],
      ['{"node": "n", "more": 1}', 400, 'bad-shape'],
      ['', 400, 'bad-json'],
    ])('refuses %j', async (body, status, code) => {
      const { post, seen } = await leaving();
      const answer = await post(body);
      expect([answer.statusCode, answer.json().code]).toEqual([status, code]);
      expect(seen).toEqual({ asked: 0, left: 0 });
    });

    it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=b'])(
      'refuses %s, which a page of any site may send',
      async (type) => {
        const { app, post, seen } = await leaving();
        expect((await post('{"node": "n"}', type)).statusCode).toBe(415);
        const preflight = await app.inject({
          method: 'OPTIONS',
          url: '/leave',
          headers: { origin: 'http://evil.example', 'access-control-request-method': 'POST' },
        });
        expect(preflight.statusCode).toBe(404);
        expect((await app.inject('/leave')).statusCode).toBe(404);
        expect(seen).toEqual({ asked: 0, left: 0 });
      },
    );

    it.each(['10.0.0.7', '::ffff:192.168.0.1', 'fe80::1'])('refuses %s, another machine', async (remoteAddress) => {
      const { app, seen } = await leaving();
      const answer = await app.inject({ method: 'POST', url: '/leave', payload: { node: 'n' }, remoteAddress });
      expect([answer.statusCode, answer.json().code]).toEqual([403, 'not-local']);
      expect((await app.inject({ url: '/metrics', remoteAddress })).statusCode).toBe(200);
      expect(seen).toEqual({ asked: 0, left: 0 });
    });

    it('goes on if it could not leave, and says why', async () => {
      const { post, seen } = await leaving('nobody-connected');
      const answer = await post('{"node": "n"}');
      expect([answer.statusCode, answer.json()]).toMatchObject([409, { code: 'not-left' }]);
      expect(answer.json().detail).toContain('No member is connected');
      expect(seen.left).toBe(0);
    });
  });

  it('listens, says where, and stops, also twice', async () => {
    const server = createAdminServer(depsOf().deps, { host: '127.0.0.1', port: 0 });
    expect(server.address).toBeUndefined();
    await server.start();
    await server.start();
    const { port } = server.address!;
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const asked = request({ port, host: '127.0.0.1', path: '/healthz' }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      });
      asked.on('error', reject).end();
    });
    expect(status).toBe(200);
    await server.stop();
    await server.stop();
    expect(server.address).toBeUndefined();
  });
});

describe.skipIf(!chromium)('the console in a browser', () => {
  it('runs under its policy, shows the state, and shows what is hostile as text', async () => {
    const reasons = ['<img src=x onerror="document.body.textContent=1">'];
    const { deps } = depsOf({ readiness: () => ({ ready: false, phase: 'recovering', reasons }) });
    const server = createAdminServer(deps, { host: '127.0.0.1', port: 0 });
    await server.start();
    try {
      const body = await bodyInChromium(`http://127.0.0.1:${server.address!.port}/console`);
      expect(body).toContain('<div id="simulated">SIMULATED</div>');
      expect(body).toContain('<div id="phase" class="bad">recovering, not ready</div>');
      expect(body).toContain('<dt>anchored</dt><dd>1002</dd>');
      expect(body).toContain('<li>&lt;img src=x onerror=');
    } finally {
      await server.stop();
    }
  });
});
