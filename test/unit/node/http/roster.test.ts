import { afterEach, describe, expect, it } from 'vitest';
import { LEAVES_PER_MINUTE } from '../../../../src/node/http/limits.ts';
import { buildApp } from '../../../../src/node/http/server.ts';
import { fakeService, ID, recordingLog } from '../../../support/node-service.ts';

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const app of open.splice(0)) await app.close();
});

async function appOf(simulated = true) {
  const { service, asked } = fakeService();
  const options = { host: '127.0.0.1', port: 0, version: '0.1.0', simulated, rateLimit: true };
  const app = await buildApp({ service, log: recordingLog().log }, options);
  open.push(app);
  const post = (payload: object) => app.inject({ method: 'POST', url: '/v1/roster/leaves', payload });
  return { app, asked, post };
}

describe('the HTTP API of the roster', () => {
  it('tells what a leave has to name, and passes leaves on as they came', async () => {
    const { app, asked, post } = await appOf();
    expect((await app.inject('/v1/roster')).json()).toEqual({
      genesisId: ID,
      members: [{ nodeId: 'n', operator: 'a', standing: 'away', joinId: ID }],
    });
    const taken = await post({ statement: 'abc_-' });
    expect([taken.statusCode, taken.json(), asked]).toEqual([200, { nodeId: 'n', left: true }, ['abc_-']]);
  });

  it('refuses what is no statement before anybody looks at it', async () => {
    const { asked, post } = await appOf();
    for (const payload of [{}, { statement: '+' }, { statement: 'A'.repeat(1_025) }, { statement: 'abc', more: 1 }]) {
      expect((await post(payload)).statusCode).toBe(400);
    }
    expect(asked).toEqual([]);
  });

  it('takes a few a minute from one client', async () => {
    const { post } = await appOf(false);
    for (let sent = 0; sent < LEAVES_PER_MINUTE; sent++)
      expect((await post({ statement: 'abc' })).statusCode).toBe(200);
    expect((await post({ statement: 'abc' })).statusCode).toBe(429);
  });
});
