import { afterEach, describe, expect, it } from 'vitest';
import { createAdminServer, type HttpServer } from '../../../src/node/http/index.ts';
import { createMetrics } from '../../../src/node/telemetry/index.ts';
import { fakeProcess, fakeService, fakeStats, recordingLog } from '../../support/node-service.ts';
import { kith } from '../../support/terminal.ts';

const open: HttpServer[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.stop();
});

/** The admin listener of a node that answers `why` when it is to leave. */
async function listening(why?: string) {
  const seen = { asked: 0, left: 0 };
  const metrics = createMetrics({ stats: () => fakeStats(), runtime: () => fakeProcess });
  const server = createAdminServer(
    {
      service: fakeService().service,
      stats: () => fakeStats(),
      metricsText: () => metrics.text(),
      leave: async () => {
        seen.asked++;
        return why;
      },
      onLeft: () => seen.left++,
      log: recordingLog().log,
    },
    { host: '127.0.0.1', port: 0 },
  );
  open.push(server);
  await server.start();
  return { seen, url: `http://127.0.0.1:${server.address!.port}/` };
}

describe('kith leave', () => {
  it('takes the node off and says which', async () => {
    const { seen, url } = await listening();
    const { exitCode, out } = await kith('leave', '--admin', url, '--json');
    expect([exitCode, JSON.parse(out)]).toEqual([0, { nodeId: 'n', left: true }]);
    expect(seen).toEqual({ asked: 1, left: 1 });
    expect((await kith('leave', '--admin', url)).out).toBe('node n has left its cluster and stops\n');
  });

  it('ends with 1 and the reason of the node', async () => {
    const { seen, url } = await listening('not-a-member');
    const { exitCode, out, err } = await kith('leave', '--admin', url, '--json');
    expect(exitCode).toBe(1);
    expect(JSON.parse(out)).toEqual({ error: { code: 'not-left', message: 'It is on no roster.' } });
    expect(err).toBe('kith: It is on no roster.\n');
    expect(seen.left).toBe(0);
  });

  it('ends with 1 where nobody listens, and with 2 for what is no URL', async () => {
    const { url } = await listening();
    await open.pop()!.stop();
    const { exitCode, out } = await kith('leave', '--admin', url, '--json');
    expect([exitCode, JSON.parse(out).error.code]).toEqual([1, 'node-unreachable']);
    expect((await kith('leave', '--admin', 'here')).exitCode).toBe(2);
  });
});
