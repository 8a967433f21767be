import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCluster, DEFAULT_LIMITS, defaultPolicy, formatCluster } from '../../../src/attestation/index.ts';
import { type Check, runCheck, worst } from '../../../src/cli/doctor-check.ts';
import { checkMemory, checkNodeVersion } from '../../../src/cli/doctor-machine.ts';
import { checkClock, tcpOfMultiaddr } from '../../../src/cli/doctor-network.ts';
import { checkQuotes, describeCluster } from '../../../src/cli/doctor-trust.ts';
import { ed25519PublicKey } from '../../../src/core/crypto/node.ts';
import { clusterIdFromBytes, nodeIdFromBytes } from '../../../src/core/ids.ts';
import { Secret } from '../../../src/core/secret.ts';
import { createDevnet, type DevnetServer, serveDevnet } from '../../../src/devnet/index.ts';
import { signHeader } from '../../../src/node/store/index.ts';
import { measurements } from '../../support/attestation.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { madeUpLines, replayOf } from '../../support/replay.ts';
import { kith } from '../../support/terminal.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const CHAIN = 'kith-test';

/** Made for these tests: P-256, CN localhost, valid for a century. */
const CERT = `-----BEGIN CERTIFICATE-----
MIIBfjCCASWgAwIBAgIUR9yGGQcw27wFEG+W82+ylxHRhREwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTA2NTUxOVoYDzIxMjYxMDI4
MDY1NTE5WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATu+PGrouqj0tM0/r5Mo97oC9OvlChYF7N2qNEcQuug9WThnyAIrEJM
+i/6vx/E0TxkOswrWP2T5z/aGWZmPI8Bo1MwUTAdBgNVHQ4EFgQU3x1CHzOAqp/w
8rEmafsJ9QMyNtgwHwYDVR0jBBgwFoAU3x1CHzOAqp/w8rEmafsJ9QMyNtgwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiB27h6LEISwMybHP+u26TwG
2YFMSGGK4cjvekzYCCK18QIgfsWd6gJMLTrXkIcsTOMuPNdJTSUPAVsptdcHQVdk
Wmg=
-----END CERTIFICATE-----
`;
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgMP+baE8cUpFLZmZZ
d1gBCPeT+jWolrlPLdFZmPmQMIehRANCAATu+PGrouqj0tM0/r5Mo97oC9OvlChY
F7N2qNEcQuug9WThnyAIrEJM+i/6vx/E0TxkOswrWP2T5z/aGWZmPI8B
-----END PRIVATE KEY-----
`;
const OTHER_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgnEqSJVuphQZxMQd+
pZkivBwWs4zpxqrblwEIqoLDlzWhRANCAATwi43VOvlXb1SzX0+f9EOdX1ovyNcv
oJmHLk6mxeKCNePEXeVbt4+ppQKq+VPunudRQUGEmbJp72+OyZmRU/d9
-----END PRIVATE KEY-----
`;

let devnet: DevnetServer;
let taken: Server;
let takenPort: number;

beforeAll(async () => {
  const init = ['cluster', 'init', '--out', at('cluster.json'), '--chain-id', CHAIN, '--simulated', '--allow-unbacked'];
  expect((await kith(...init)).exitCode).toBe(0);
  const chain = createDevnet({ replay: replayOf(madeUpLines(100, 20)), chainId: CHAIN });
  devnet = await serveDevnet(chain, { host: '127.0.0.1', port: 0 });
  taken = createServer((_request, response) => response.end('not an API'));
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  takenPort = (taken.address() as AddressInfo).port;
});

afterAll(async () => {
  await devnet.stop();
  await new Promise((resolve) => taken.close(resolve));
});

/** A configuration that a node can be started with, changed. */
function configuration(changes: Record<string, unknown> = {}): string[] {
  const options = {
    cluster: at('cluster.json'),
    'data-dir': at('data'),
    http: '127.0.0.1:0',
    listen: '/ip4/127.0.0.1/tcp/0',
    quotes: 'simulated',
    'comet-rpc': [devnet.url],
    'masp-indexer': [devnet.url],
    ...changes,
  };
  writeFileSync(at('config.json'), JSON.stringify(options));
  return ['--config', at('config.json')];
}

async function doctor(...words: string[]) {
  const { exitCode, out } = await kith('doctor', ...words, '--json');
  const { ok, checks } = JSON.parse(out) as { ok: boolean; checks: Check[] };
  expect(exitCode).toBe(ok ? 0 : 1);
  expect(ok).toBe(checks.every(({ status }) => status !== 'failed'));
  const of = (name: string) => checks.find(({ check }) => check === name);
  return { ok, checks, of };
}

/** The one check that failed because of a change. */
async function failureOf(changes: Record<string, unknown>): Promise<[string, string]> {
  const { checks } = await doctor(...configuration(changes));
  const wrong = checks.filter(({ status }) => status === 'failed');
  expect(wrong.map(({ check }) => check).length).toBe(1);
  return [wrong[0]!.check, wrong[0]!.detail];
}

describe('kith doctor', () => {
  it('finds nothing in the way of a configuration that is right, and leaves nothing behind', async () => {
    const { ok, checks, of } = await doctor(...configuration());
    expect(checks.filter(({ status }) => status === 'failed')).toEqual([]);
    expect(ok).toBe(true);
    expect(checks.map(({ check }) => check)).toEqual([
      ...['node-version', 'options', 'cluster', 'quotes', 'data-dir', 'store', 'addresses', 'tls', 'memory'],
      ...['comet-rpc', 'masp-indexer', 'clock'],
    ]);
    expect(of('cluster')?.detail).toMatch(/chain kith-test, SIMULATED: protects nobody, a first node may serve alone/);
    expect(of('comet-rpc')?.detail).toMatch(/chain kith-test: heights 100 to 118, block 117 is \d+ s old/);
    expect(of('quotes')?.detail).toContain('the policy believes this build');
    expect(existsSync(at('data'))).toBe(false);
  });

  it('says the same as text, one line a check, and takes flags before the file', async () => {
    const { exitCode, out } = await kith('doctor', ...configuration(), '--data-dir', at('cluster.json'));
    expect(exitCode).toBe(1);
    expect(out).toMatch(/^ok {7}cluster {7}cluster /m);
    expect(out).toMatch(/^failed {3}data-dir {6}.*cluster\.json is not a folder$/m);
    expect(out.trimEnd().split('\n').at(-1)).toBe('a node would not start like this');
  });

  it.each([
    ['an option that does not exist', { htpp: '1' }, /there is no option "htpp"/],
    ['a value of the wrong form', { http: 'nonsense' }, /http of the file: expected HOST:PORT/],
  ])('stops at %s', async (_name, changes, detail) => {
    const { checks } = await doctor(...configuration(changes));
    expect(checks.map(({ check, status }) => [check, status])).toEqual([
      ['node-version', 'ok'],
      ['options', 'failed'],
    ]);
    expect(checks[1]?.detail).toMatch(detail);
  });

  it('says which configuration file it cannot read', async () => {
    const { of } = await doctor('--config', at('nowhere.json'));
    expect(of('options')).toMatchObject({ status: 'failed', detail: expect.stringContaining('nowhere.json') });
  });

  it('goes on without a cluster configuration, and says what that kept from being checked', async () => {
    writeFileSync(at('broken.json'), '{"version": 1');
    for (const [cluster, detail] of [
      [at('broken.json'), /not JSON/],
      [at('nowhere.json'), /no such file/],
    ] as const) {
      const { checks, of } = await doctor(...configuration({ cluster }));
      expect(checks.filter(({ status }) => status === 'failed').map(({ check }) => check)).toEqual(['cluster']);
      expect(of('cluster')?.detail).toMatch(detail);
      expect([of('quotes')?.status, of('memory')?.status]).toEqual(['warning', 'warning']);
      expect(of('comet-rpc')?.status).toBe('ok');
    }
  });

  it('names the option whose port is taken, by another or by an option of its own', async () => {
    const [check, detail] = await failureOf({ http: `127.0.0.1:${takenPort}` });
    expect([check, detail]).toEqual(['addresses', `--http 127.0.0.1:${takenPort}: the port is taken`]);
    const free = createServer();
    await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    const twice = { http: `127.0.0.1:${port}`, listen: `/ip4/127.0.0.1/tcp/${port}` };
    expect(await failureOf(twice)).toEqual(['addresses', `--listen 127.0.0.1:${port}: the port is taken`]);
    expect(await failureOf({ admin: '192.0.2.1:1' })).toEqual([
      'addresses',
      '--admin 192.0.2.1:1: this machine does not have the address',
    ]);
    expect((await failureOf({ listen: '/unix/x' }))[1]).toMatch(/expected \/ip4\/ADDRESS\/tcp\/PORT/);
  });

  it('names an upstream that serves another chain, speaks nonsense, or does not answer', async () => {
    const other = await serveDevnet(createDevnet({ replay: replayOf(madeUpLines(1, 4)), chainId: 'other' }), {
      host: '127.0.0.1',
      port: 0,
    });
    const wrong = await failureOf({ 'comet-rpc': [devnet.url, other.url] });
    expect(wrong).toEqual(['comet-rpc', `${other.url} serves the chain "other", not ${CHAIN}`]);
    await other.stop();
    expect((await failureOf({ 'comet-rpc': other.url }))[1]).toContain('ECONNREFUSED');
    const nonsense = await failureOf({ 'masp-indexer': `http://user:hunter2@127.0.0.1:${takenPort}` });
    expect(nonsense).toEqual(['masp-indexer', expect.stringContaining('not JSON')]);
    expect(nonsense[1]).not.toContain('hunter2');
    expect(await failureOf({ 'comet-rpc': [], 'masp-indexer': [] })).toEqual([
      'chain',
      'no upstream: give --comet-rpc or --masp-indexer',
    ]);
  });

  it('warns of heights that an upstream no longer has', async () => {
    const { of } = await doctor(...configuration({ 'start-height': 99 }));
    expect(of('comet-rpc')).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining('it has not --start-height 99'),
    });
  });

  it('refuses quotes that the cluster cannot believe', async () => {
    expect(await failureOf({ quotes: 'configfs' })).toEqual(['quotes', expect.stringContaining('--quotes simulated')]);
    const cluster = JSON.parse(readFileSync(at('cluster.json'), 'utf8')) as Record<string, unknown>;
    const text = JSON.stringify(cluster).replaceAll(/"mrtd":"[0-9a-f]{96}"/g, `"mrtd":"${'00'.repeat(48)}"`);
    expect(text).toContain('"mrtd":"0000');
    writeFileSync(at('other-build.json'), text);
    const [check, detail] = await failureOf({ cluster: at('other-build.json') });
    expect([check, detail]).toEqual(['quotes', expect.stringContaining('does not believe this build')]);
  });
});

describe('the data folder', () => {
  it('is looked at where it is: writable, its owner only, and nothing is left in it', async () => {
    mkdirSync(at('store'), { mode: 0o700 });
    const { of } = await doctor(...configuration({ 'data-dir': at('store') }));
    expect(of('data-dir')?.status).not.toBe('failed');
    expect(of('store')).toMatchObject({ status: 'ok', detail: expect.stringContaining('no store yet') });
    expect(readdirSync(at('store'))).toEqual([]);
    chmodSync(at('store'), 0o755);
    const open = await doctor(...configuration({ 'data-dir': at('store') }));
    expect(open.of('data-dir')).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining('open to others (mode 755)'),
    });
  });

  it('cannot be below a file', async () => {
    const { of } = await doctor(...configuration({ 'data-dir': join(at('cluster.json'), 'below', 'data') }));
    expect(of('data-dir')).toMatchObject({
      status: 'failed',
      detail: expect.stringMatching(/cannot be made: .*cluster\.json is not a folder$/),
    });
  });

  it('may hold a store of this cluster, and of no other', async () => {
    const data = at('full');
    mkdirSync(data, { mode: 0o700 });
    const { clusterId } = JSON.parse((await kith('cluster', 'show', at('cluster.json'), '--json')).out);
    const nodeSecret = Secret.own(new Uint8Array(32).fill(5));
    const nodeId = nodeIdFromBytes(ed25519PublicKey(nodeSecret.expose()));
    const write = (id: string) => {
      const header = {
        ...{ clusterId: clusterIdFromBytes(new Uint8Array(Buffer.from(id, 'base64url'))), nodeId },
        ...{ storeId: new Uint8Array(32), keyEpoch: 3, threshold: 0, keyServers: [] },
        ...{ keyCommitment: new Uint8Array(32), wrappedDataKey: new Uint8Array(72) },
        recoveryWrappedDataKey: undefined,
      };
      writeFileSync(join(data, 'header'), signHeader(header, nodeSecret));
    };
    write(clusterId);
    const { of } = await doctor(...configuration({ 'data-dir': data }));
    expect(of('store')).toMatchObject({ status: 'ok', detail: `store of node ${nodeId}, key epoch 3, no key servers` });
    write('A'.repeat(43));
    expect(await failureOf({ 'data-dir': data })).toEqual(['store', expect.stringContaining('is of the cluster AAAA')]);
    writeFileSync(join(data, 'header'), 'damaged');
    expect(await failureOf({ 'data-dir': data })).toEqual(['store', expect.stringContaining('damaged')]);
    rmSync(data, { recursive: true });
  });
});

describe('TLS files', () => {
  const pem = (name: string, text: string) => {
    writeFileSync(at(name), text, { mode: 0o600 });
    return at(name);
  };

  it('must be there, be PEM, and belong together', async () => {
    const cert = pem('a.crt', CERT);
    const key = pem('a.key', KEY);
    const right = await doctor(...configuration({ 'tls-cert': cert, 'tls-key': key }));
    expect(right.of('tls')).toMatchObject({ status: 'ok' });
    chmodSync(key, 0o644);
    const open = await doctor(...configuration({ 'tls-cert': cert, 'tls-key': key }));
    expect(open.of('tls')).toMatchObject({ status: 'warning', detail: expect.stringContaining('chmod 600') });
    for (const [wrong, detail] of [
      [pem('b.key', OTHER_KEY), 'no certificate with its key'],
      [pem('c.key', 'nonsense'), 'no certificate with its key'],
      [at('nowhere.key'), 'no such file'],
    ] as const) {
      const failure = await failureOf({ 'tls-cert': cert, 'tls-key': wrong });
      expect(failure).toEqual(['tls', expect.stringContaining(detail)]);
    }
  });
});

describe('the single checks', () => {
  it('compare the clock with the newest block only', () => {
    const now = 1_000_000_000;
    const cases: [number[], string, RegExp][] = [
      [[now - 500_000, now - 59_000], 'ok', /within 60 s/],
      [[now - 61_000], 'warning', /61 s after the newest block: the clock is ahead, or the chain stands still/],
      [[now - 5_000, now + 90_000], 'warning', /90 s before the newest block: the clock is behind/],
      [[], 'warning', /no upstream told/],
    ];
    for (const [times, status, detail] of cases) {
      expect(checkClock(times, now)).toMatchObject({ status, detail: expect.stringMatching(detail) });
    }
  });

  it('measure memory by the registrations the cluster allows', () => {
    expect(checkMemory(100_000, 1e9).status).toBe('ok');
    expect(checkMemory(100_000, 0.9e9).status).toBe('warning');
    expect(checkMemory(1_000_000, 4e9)).toMatchObject({ detail: expect.stringContaining('7.3 GB') });
    expect(checkMemory(1).status).toBe('ok');
  });

  it('know which Node is too old', () => {
    const versions = ['18.20.0', '20.18.9', '20.19.0', '22.1.0', '24.0.0'];
    expect(versions.map((version) => checkNodeVersion(version).status)).toEqual([
      ...['failed', 'failed', 'ok', 'ok', 'ok'],
    ]);
    expect(checkNodeVersion(process.versions.node).status).toBe('ok');
  });

  it('read the TCP address of a multiaddr', () => {
    expect(tcpOfMultiaddr('/ip4/0.0.0.0/tcp/9000')).toEqual({ host: '0.0.0.0', port: 9_000 });
    expect(tcpOfMultiaddr('/ip6/::1/tcp/1/p2p/12D3')).toEqual({ host: '::1', port: 1 });
    for (const text of ['/ip4/1.2.3.4/udp/1', '/ip4/1.2.3.4/tcp/70000', '1.2.3.4:5', '']) {
      expect(tcpOfMultiaddr(text)).toBeUndefined();
    }
  });

  it('want real quotes from the kernel, and only for a real cluster', async () => {
    const real = createCluster({
      version: 1,
      chainId: CHAIN,
      trustAnchor: 'intel',
      policy: defaultPolicy([measurements]),
      allowSimulated: false,
      allowUnbacked: false,
      confirmations: 1,
      operators: [],
      governance: { threshold: 1, publicKeys: [Buffer.alloc(32, 2).toString('base64url')] },
      recovery: { threshold: 0, publicKeys: [] },
      limits: DEFAULT_LIMITS,
    });
    expect(formatCluster(real)).not.toBe('');
    expect((await checkQuotes('simulated', real)).detail).toContain('not believed');
    expect((await checkQuotes('configfs', real, folder)).status).toBe('ok');
    expect((await checkQuotes('configfs', real, at('nowhere'))).detail).toContain('no TDX guest');
    const policy = defaultPolicy([]);
    const deaf = { ...real, configuration: { ...real.configuration, policy } };
    expect(describeCluster(deaf)).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('believes no build'),
    });
  });

  it('end with the signal, and turn whatever is thrown into one printable line', async () => {
    const controller = new AbortController();
    const hanging = runCheck('a', controller.signal, () => new Promise(() => undefined));
    controller.abort();
    expect(await hanging).toMatchObject({ check: 'a', status: 'failed' });
    const { signal } = new AbortController();
    const hostile = await runCheck('b', signal, () => {
      throw Object.assign(new Error(`x\n\u202e${'y'.repeat(5_000)}`), { code: 'E' });
    });
    expect(hostile.detail).toMatch(/^x\\u000a\\u202ey+\.\.\.$/);
    expect((await runCheck('c', signal, () => Promise.reject(new TypeError('oops')))).detail).toContain(
      'fault in kith',
    );
  });

  it('say the worst of several findings, with the lines that led to it', () => {
    const [good, odd, bad] = (['ok', 'warning', 'failed'] as const).map((status) => ({ status, detail: status }));
    expect(worst([good!, good!])).toEqual({ status: 'ok', detail: 'ok; ok' });
    expect(worst([good!, odd!])).toEqual({ status: 'warning', detail: 'warning' });
    expect(worst([odd!, bad!, good!])).toEqual({ status: 'failed', detail: 'warning; failed' });
  });
});
