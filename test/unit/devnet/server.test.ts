// The simulated chain on a socket: the HTTP server, the real transport, and `kith devnet`.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { runProgram } from '../../../src/cli/command.ts';
import { buildProgram } from '../../../src/cli/program.ts';
import { fromUtf8 } from '../../../src/core/bytes.ts';
import { createDevnet, serveDevnet } from '../../../src/devnet/index.ts';
import { createHttpTransport } from '../../../src/indexer/index.ts';
import { madeUpLines, replayOf } from '../../support/replay.ts';

const { signal } = new AbortController();
const chain = fileURLToPath(new URL('../../vectors/chain/chain.jsonl', import.meta.url));

describe('the server', () => {
  it('answers over HTTP what the chain answers in process, and refuses bodies without end', async () => {
    const devnet = createDevnet({ replay: replayOf(madeUpLines(1, 9)) });
    const server = await serveDevnet(devnet, { host: '127.0.0.1', port: 0 });
    const transport = createHttpTransport(server.url);
    for (const target of ['/status', '/block?height=3', '/api/v1/height', '/nothing']) {
      const request = { method: 'GET', target } as const;
      const over = await transport.request(request, { signal, bytesMax: 1_000_000 });
      const inside = await devnet.answer(request, { signal });
      expect([over.status, fromUtf8(over.body)]).toEqual([inside.status, fromUtf8(inside.body)]);
    }
    const body = new Uint8Array(3 * 1024 * 1024);
    expect((await transport.request({ method: 'POST', target: '/', body }, { signal, bytesMax: 1_000 })).status).toBe(
      413,
    );
    await server.stop();
    await expect(
      transport.request({ method: 'GET', target: '/status' }, { signal, bytesMax: 1_000 }),
    ).rejects.toMatchObject({
      code: 'upstream-unreachable',
    });
  });

  it('says when it cannot listen', async () => {
    const devnet = createDevnet({ replay: replayOf(madeUpLines(1, 9)) });
    const server = await serveDevnet(devnet, { host: '127.0.0.1', port: 0 });
    const port = Number(new URL(server.url).port);
    await expect(serveDevnet(devnet, { host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'listen-failed' });
    await server.stop();
  });
});

describe('the HTTP transport', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close().closeAllConnections();
  });

  function hostile(handler: Parameters<typeof createServer>[1]): Promise<string> {
    const server = createServer(handler);
    servers.push(server);
    return new Promise((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
    });
  }

  const ask = (url: string, bytesMax = 1_000) =>
    createHttpTransport(url).request({ method: 'GET', target: '/status' }, { signal, bytesMax });

  it('reads no more than it was told, however much is sent', async () => {
    let sent = 0;
    const url = await hostile((_, response) => {
      const more = () => {
        while (!response.destroyed && sent < 1e9 && response.write(new Uint8Array(65_536))) sent += 65_536;
      };
      response.on('drain', more);
      more();
    });
    await expect(ask(url, 1_000_000)).rejects.toMatchObject({ code: 'answer-too-large' });
    expect(sent).toBeLessThan(100_000_000);
  });

  it('follows no redirect and names a connection that breaks', async () => {
    const away = await hostile((_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end());
    await expect(ask(away)).rejects.toMatchObject({ code: 'upstream-unreachable' });
    const broken = await hostile((_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half');
      response.destroy();
    });
    await expect(ask(broken)).rejects.toMatchObject({ code: 'upstream-unreachable' });
  });

  it('keeps a path before its targets and credentials out of its name', async () => {
    const seen: (string | undefined)[] = [];
    const url = await hostile((request, response) => {
      seen.push(request.url, request.headers.authorization);
      response.end('ok');
    });
    const withPath = `${url.replace('http://', 'http://user:p%40ss@')}/rpc/`;
    await ask(withPath);
    expect(seen).toEqual(['/rpc/status', `Basic ${Buffer.from('user:p@ss').toString('base64')}`]);
    expect(createHttpTransport(withPath).name).toBe(`${url}/rpc`);
    for (const wrong of ['ftp://host', 'host:26657', '']) {
      expect(() => createHttpTransport(wrong)).toThrow('expected the http or https URL');
    }
  });

  it('lets go of a request when told', async () => {
    const url = await hostile(() => undefined);
    const controller = new AbortController();
    const work = createHttpTransport(url).request(
      { method: 'GET', target: '/' },
      { signal: controller.signal, bytesMax: 1_000 },
    );
    controller.abort(new Error('enough'));
    await expect(work).rejects.toThrow('enough');
  });
});

describe('kith devnet', () => {
  /** Runs the command; `stop` interrupts it. */
  function start(args: readonly string[]) {
    const controller = new AbortController();
    const out: string[] = [];
    const errors: string[] = [];
    let heard: (text: string) => void;
    const first = new Promise<string>((resolve) => {
      heard = resolve;
    });
    const exit = runProgram(buildProgram, ['devnet', ...args], {
      stdout: {
        write(text: string) {
          out.push(text);
          heard(text);
        },
      },
      stderr: { write: (text: string) => errors.push(text) },
      signal: controller.signal,
    });
    return { first, exit, out, errors, stop: () => controller.abort() };
  }

  it('serves the chain until it is interrupted, and says where', async () => {
    const args = ['--replay', chain, '--http', '127.0.0.1:0', '--start-after', '5', '--block-ms', '20', '--json'];
    const run = start([...args, '--chain-id', 'my-chain', '--comet-version', '0.38']);
    const facts = JSON.parse(await run.first) as { url: string };
    expect(facts).toEqual({ url: facts.url, chainId: 'my-chain', first: 1_031_830, tip: 1_031_834 });
    const transport = createHttpTransport(facts.url);
    const latest = async () => {
      const { body } = await transport.request({ method: 'GET', target: '/status' }, { signal, bytesMax: 10_000 });
      const { result } = JSON.parse(fromUtf8(body)) as { result: { sync_info: { latest_block_height: string } } };
      return Number(result.sync_info.latest_block_height);
    };
    // Blocks come by themselves: asking takes longer than making one.
    while ((await latest()) < 1_031_837);
    run.stop();
    expect(await run.exit).toBe(0);
    expect(run.out.length).toBe(1);
    await expect(latest()).rejects.toMatchObject({ code: 'upstream-unreachable' });
  });

  it('can begin with faults', async () => {
    const run = start(['--replay', chain, '--http', '127.0.0.1:0', '--fault', 'errors=1', '--fault', 'stalls=0']);
    const url = /at (\S+),/.exec(await run.first)![1]!;
    const { status } = await createHttpTransport(url).request(
      { method: 'GET', target: '/status' },
      { signal, bytesMax: 10_000 },
    );
    expect(status).toBe(500);
    run.stop();
    expect(await run.exit).toBe(0);
  });

  it.each([
    [['--replay', '/nonexistent', '--http', '127.0.0.1:0'], 1, 'cannot read /nonexistent'],
    [['--replay', chain], 2, "required option '--http <host:port>' not specified"],
    [['--replay', chain, '--http', 'nowhere'], 2, 'expected HOST:PORT'],
    [['--replay', chain, '--http', '127.0.0.1:70000'], 2, 'expected HOST:PORT'],
    [['--replay', chain, '--http', '127.0.0.1:0', '--fault', 'errors=2'], 2, 'expected KIND=RATE'],
    [['--replay', chain, '--http', '127.0.0.1:0', '--comet-version', '1.0'], 2, 'expected 0.37 or 0.38'],
  ] as const)('ends with a reason and exit code when used wrongly (%#)', async (args, exitCode, message) => {
    const run = start(args);
    expect(await run.exit).toBe(exitCode);
    expect(run.errors.join('')).toContain(message);
    expect(run.errors.length).toBe(1);
  });
});
