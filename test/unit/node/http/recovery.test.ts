import { afterEach, describe, expect, it } from 'vitest';
import { KithError } from '../../../../src/core/errors.ts';
import { RECOVERY_SHARES_PER_MINUTE } from '../../../../src/node/http/limits.ts';
import { buildApp } from '../../../../src/node/http/server.ts';
import type { NodeService, RecoveryState } from '../../../../src/node/service.ts';
import { fakeService, ID, recordingLog } from '../../../support/node-service.ts';

const BOX = { suite: 'suite', enc: 'B'.repeat(43), ciphertext: 'abc_-' };

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const app of open.splice(0)) await app.close();
});

async function appOf(changes: Partial<NodeService> = {}, simulated = true) {
  const { service, asked } = fakeService(changes);
  const options = { host: '127.0.0.1', port: 0, version: '0.1.0', simulated, rateLimit: true };
  const app = await buildApp({ service, log: recordingLog().log }, options);
  open.push(app);
  const post = (payload: object = BOX) => app.inject({ method: 'POST', url: '/v1/recovery', payload });
  return { app, asked, post };
}

describe('the HTTP API after a total restart', () => {
  it('tells what is waited for, and nothing where nothing is', async () => {
    const { app } = await appOf();
    expect((await app.inject('/v1/recovery')).json()).toEqual({ state: 'none' });
    const state: RecoveryState = {
      state: 'total-restart',
      nodeId: ID,
      storeIdHash: ID,
      blob: 'abc',
      threshold: 2,
      entered: 1,
      needed: 2,
    };
    const waiting = await appOf({ recovery: () => state });
    expect((await waiting.app.inject('/v1/recovery')).json()).toEqual(state);
  });

  it('passes sealed shares on as they came', async () => {
    const { asked, post } = await appOf();
    const entered = await post();
    const sealed = { nonce: 'n', ciphertext: 'c' };
    expect([entered.statusCode, entered.json()]).toEqual([200, { entered: 1, needed: 2, status: 'waiting', sealed }]);
    expect(asked).toEqual([BOX]);
  });

  it('refuses what is no sealed request before anybody looks at it', async () => {
    const { asked, post } = await appOf();
    for (const payload of [{}, { ...BOX, enc: 'B' }, { ...BOX, ciphertext: '+' }, { ...BOX, share: 'x' }]) {
      expect((await post(payload)).statusCode).toBe(400);
    }
    expect(asked).toEqual([]);
  });

  it.each([
    ['not-recovering', 409],
    ['wrong-store', 409],
    ['other-wrap', 409],
    ['bad-share', 422],
    ['bad-wrap', 422],
  ])('answers %s with %i', async (code, status) => {
    const { post } = await appOf({
      enterRecoveryShare: async () => {
        throw new KithError(code, 'because');
      },
    });
    const refused = await post();
    expect([refused.statusCode, refused.json()]).toEqual([
      status,
      expect.objectContaining({ code, detail: 'because' }),
    ]);
  });

  it('takes as many shares a minute from one client as registrations', async () => {
    const { post } = await appOf({}, false);
    for (let sent = 0; sent < RECOVERY_SHARES_PER_MINUTE; sent++) expect((await post()).statusCode).toBe(200);
    expect((await post()).statusCode).toBe(429);
  });
});
