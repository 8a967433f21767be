import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { formatCluster } from '../../../src/attestation/index.ts';
import { KithError } from '../../../src/core/errors.ts';
import { LIFETIME_BLOCKS } from '../../../src/core/registration/limits.ts';
import { cluster, createFakeNode, type Deviations, listenFakeNode, listenTampered } from '../../support/fake-node.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { kith } from '../../support/terminal.ts';

const folder = temporaryFolder();
const clusterFile = join(folder, 'cluster.json');
writeFileSync(clusterFile, formatCluster(cluster));
const walletFile = join(folder, 'wallet.json');
const opened: AsyncDisposable[] = [];
afterAll(async () => {
  for (const one of opened) await one[Symbol.asyncDispose]();
});
let files = 0;

async function serve(deviations: Deviations = {}, how: typeof listenFakeNode = listenFakeNode) {
  const node = createFakeNode(deviations);
  const listening = await how(node);
  opened.push(listening);
  return { node, url: listening.url };
}

async function wallet(): Promise<string> {
  if (!existsSync(walletFile)) await kith('client', 'keygen', '--out', walletFile, '-n', '4', '--birthday', '10');
  return walletFile;
}

async function client(command: string, url: string, ...more: string[]) {
  const words = ['--node', url, '--wallet', await wallet(), '--cluster', clusterFile, '--json', ...more];
  const { exitCode, out, err } = await kith('client', command, ...words);
  return {
    exitCode,
    err,
    json: JSON.parse(out) as Record<string, unknown> & { error?: { code: string; message: string } },
  };
}

describe('kith client keygen', () => {
  it('writes a wallet that only its owner reads, and never over another', async () => {
    const out = join(folder, `wallet-${files++}.json`);
    const { exitCode, out: text } = await kith('client', 'keygen', '--out', out, '--json');
    expect([exitCode, statSync(out).mode & 0o777]).toEqual([0, 0o600]);
    expect(JSON.parse(text)).toEqual({ out, id: expect.stringMatching(/^[\w-]{43}$/), n: 8, birthday: 0 });
    const written = readFileSync(out, 'utf8');
    expect(Object.keys(JSON.parse(written))).toEqual(['version', 'dataKey', 'authKey', 'detectionKey', 'birthday']);
    const again = await kith('client', 'keygen', '--out', out);
    expect([again.exitCode, again.err]).toEqual([1, expect.stringContaining('exists already')]);
    expect(readFileSync(out, 'utf8')).toBe(written);
  });

  it('makes the same wallet of the same seed, given as option or file', async () => {
    const seed = '5a'.repeat(32);
    const seedFile = join(folder, 'seed');
    writeFileSync(seedFile, `${seed}\n`);
    const [a, b] = [join(folder, 'a.json'), join(folder, 'b.json')];
    await kith('client', 'keygen', '--out', a, '--seed', seed, '--birthday', '7', '-n', '3');
    await kith('client', 'keygen', '--out', b, '--seed-file', seedFile, '--birthday', '7', '-n', '3');
    expect(readFileSync(a, 'utf8')).toBe(readFileSync(b, 'utf8'));
    expect(JSON.parse(readFileSync(a, 'utf8'))).toMatchObject({ birthday: 7, detectionKey: { indices: [0, 1, 2] } });
    expect(readFileSync(a, 'utf8')).not.toContain(seed);
  });

  it.each([
    ['a short seed', ['--seed', '5a']],
    ['a seed that is no hex', ['--seed', 'zz'.repeat(32)]],
    ['two seeds', ['--seed', '5a'.repeat(32), '--seed-file', clusterFile]],
    ['no subkeys', ['-n', '0']],
    ['too many subkeys', ['-n', '21']],
    ['a negative birthday', ['--birthday', '-1']],
    ['a gigantic birthday', ['--birthday', '9'.repeat(16)]],
    ['an unknown option', ['--colour', 'red']],
  ])('refuses %s', async (_name, words) => {
    const out = join(folder, `never-${files++}.json`);
    const { exitCode, err } = await kith('client', 'keygen', '--out', out, ...words);
    expect([exitCode, existsSync(out)]).toEqual([2, false]);
    expect(err).not.toContain('5a5a');
  });
});

describe('kith client', () => {
  it('registers, reads, renews, revokes, and says each time that the cluster is simulated', async () => {
    const { node, url } = await serve();
    const register = await client('register', url);
    const { id } = register.json;
    expect(register).toEqual({
      exitCode: 0,
      err: expect.stringMatching(/^kith: THIS CLUSTER IS SIMULATED[^\n]*\n$/),
      json: {
        id,
        status: 'confirmed',
        unbacked: true,
        receipts: [expect.stringMatching(/^[A-Za-z0-9_-]{300,}$/)],
        expiryHeight: 1_000 + LIFETIME_BLOCKS,
        simulated: true,
      },
    });
    expect((await client('register', url)).json).toEqual(register.json);
    node.scan(1, 50, [
      [9, 0],
      [30, 1],
      [40, 2],
    ]);
    const entries = [
      [30, 1],
      [40, 2],
    ];
    const all = await client('index-set', url, '--wait-for', '50');
    expect([all.exitCode, all.json]).toEqual([0, { id, syncedTo: 50, entries, simulated: true }]);
    expect((await client('index-set', url, '--since', '30')).json).toMatchObject({ syncedTo: 50, entries: [[40, 2]] });
    expect((await client('status', url)).json).toMatchObject({ id, status: 'confirmed', confirmations: 1 });
    expect((await client('renew', url, '--expires-in', '100')).json).toMatchObject({
      status: 'confirmed',
      expiryHeight: 1_100,
    });
    const bare = await client('renew', url, '--expires-in', '90', '--without-keys');
    expect(bare.json).toMatchObject({ expiryHeight: 1_090 });
    expect(node.received.map(({ operation }) => operation.type)).toEqual(['register', 'register', 'register', 'renew']);
    expect((await client('revoke', url)).json).toMatchObject({ id, status: 'confirmed' });
    expect((await client('status', url)).json).toMatchObject({ status: 'revoked' });
    expect(await client('index-set', url)).toMatchObject({
      exitCode: 1,
      json: { error: { code: 'unknown-registration' } },
    });
  });

  it('prints for people too', async () => {
    const { node, url } = await serve();
    const words = ['--node', url, '--wallet', await wallet(), '--cluster', clusterFile];
    const registered = await kith('client', 'register', ...words);
    expect([registered.exitCode, registered.out]).toEqual([
      0,
      expect.stringMatching(/^confirmed: .{43}\n.*1 receipts of 1 needed\nunbacked: .*\nsealed to node .* of op-a/),
    ]);
    node.scan(1, 20, [[15, 3]]);
    expect((await kith('client', 'index-set', ...words)).out).toBe(
      '15 3\n1 entries, complete up to height 20 (kith-test)\n',
    );
    expect((await kith('client', 'status', ...words)).out).toMatch(/^confirmed: .{43}\nexpires at height/);
  });

  it('reads from the registered birthday on, and says so when it is above that of the wallet', async () => {
    const { node, url } = await serve();
    await client('register', url, '--birthday', '25');
    expect(JSON.parse(readFileSync(await wallet(), 'utf8'))).toMatchObject({ birthday: 10 });
    node.scan(1, 50, [
      [20, 0],
      [30, 1],
    ]);
    const { json, err } = await client('index-set', url, '--wait-for', '50');
    expect(json).toMatchObject({ syncedTo: 50, entries: [[30, 1]], from: 25 });
    expect(err).toContain('heights below 25 were not looked at');
    await client('renew', url);
    expect(node.received.at(-1)!.operation).toMatchObject({ type: 'register', birthday: 25 });
  });

  it('unites what several nodes answer, and names those that do not', async () => {
    const [a, b, stranger] = [await serve(), await serve(), await serve()];
    for (const { url } of [a, b]) await client('register', url);
    a.node.scan(1, 20, [[15, 0]]);
    b.node.scan(21, 40, [[33, 1]]);
    const both = await client('index-set', a.url, '--node', b.url, '--node', stranger.url);
    expect(both.json).toMatchObject({
      syncedTo: 40,
      entries: [
        [15, 0],
        [33, 1],
      ],
    });
    expect(both.err).toMatch(new RegExp(`without ${stranger.url} refuses: `));
  });

  it('leaves a pending registration pending when its time is over: that is no failure', async () => {
    const { url } = await serve({ pendingAnswers: 9 });
    expect(await client('register', url, '--wait', '0')).toMatchObject({
      exitCode: 0,
      json: { status: 'pending', receipts: [] },
    });
    const waited = await serve({ pendingAnswers: 1 });
    expect((await client('register', waited.url, '--wait', '20')).json).toMatchObject({ status: 'confirmed' });
  });

  it('keeps a certificate, and brings the registration back with it', async () => {
    const { node, url } = await serve();
    const file = join(folder, 'certificate.json');
    const slow = await serve({ pendingAnswers: 9 });
    const pending = await client('register', slow.url, '--wait', '0', '--certificate', file);
    expect([pending.exitCode, existsSync(file), pending.err]).toEqual([
      0,
      false,
      expect.stringContaining('not written'),
    ]);
    const registered = await client('register', url, '--certificate', file);
    expect(registered.exitCode).toBe(0);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      type: 'register',
      receipts: registered.json['receipts'],
    });
    const id = registered.json['id'];
    const restore = (...more: string[]) => client('restore', url, '--certificate', file, ...more);
    expect((await restore()).json).toMatchObject({ id, restored: 'known' });
    const stranger = await serve();
    expect((await restore('--node', stranger.url)).json).toMatchObject({ id, restored: 'known' });
    node.forget();
    const again = await restore();
    expect(again.json).toMatchObject({ id, restored: 'registered', status: 'confirmed' });
    expect(node.received.length).toBe(2);
    writeFileSync(file, '{}');
    expect((await restore()).json.error?.code).toBe('bad-certificate');
  });

  it('ends in time when the height does not come', async () => {
    const { node, url } = await serve();
    await client('register', url);
    node.scan(1, 20);
    const { exitCode, json } = await client('index-set', url, '--wait-for', '21', '--timeout', '1');
    expect([exitCode, json.error?.code, json.error?.message]).toEqual([
      1,
      'not-synced',
      expect.stringContaining('synced to 20, not to 21'),
    ]);
  });

  it('sends nothing to a node it does not believe', async () => {
    const other = 'aa'.repeat(48);
    const measurements = { mrtd: other, rtmr0: other, rtmr1: other, rtmr2: other, rtmr3: other };
    const { node, url } = await serve({ report: { measurements } }, listenTampered);
    for (const command of ['register', 'renew', 'revoke']) {
      const { exitCode, json } = await client(command, url);
      expect([exitCode, json.error?.code]).toEqual([1, 'node-not-believed']);
    }
    expect(node.posted).toEqual([]);
  });

  it('tells a forged index set, a refusal and a node that is not there', async () => {
    const forge: Deviations['tamper'] = (path, answer) =>
      path.startsWith('/v1/index') ? { ...answer, nonce: 'A'.repeat(32) } : answer;
    const forger = await serve({ tamper: forge }, listenTampered);
    await client('register', forger.url);
    expect(await client('index-set', forger.url)).toMatchObject({
      exitCode: 1,
      json: { error: { code: 'forged-answer' } },
    });
    const busy = await serve({ refuse: () => new KithError('not-ready', 'catching up') }, listenTampered);
    expect(await client('register', busy.url)).toMatchObject({ exitCode: 1, json: { error: { code: 'not-ready' } } });
    expect(await client('register', 'http://127.0.0.1:1')).toMatchObject({
      exitCode: 1,
      json: { error: { code: 'node-unreachable' } },
    });
  });

  it.each([
    ['register', ['--birthday', 'x']],
    ['register', ['--birthday', '-1']],
    ['register', ['--expires-in', '0']],
    ['register', ['--expires-in', '1600001']],
    ['register', ['--wait', '-1']],
    ['register', ['--node', 'http://127.0.0.1:2']],
    ['register', ['--node', 'ftp://x']],
    ['renew', ['--without-keys']],
    ['renew', ['--without-keys', '--expires-in', '5', '--birthday', '5']],
    ['revoke', ['--expires-in', '5']],
    ['status', ['--wait', '5']],
    ['index-set', ['--since', '-1']],
    ['index-set', ['--since', '281474976710656']],
    ['index-set', ['--wait-for', '1e3']],
    ['index-set', ['--timeout', '0']],
    ['index-set', ['--node', 'http://127.0.0.1:1/']],
  ])('%s %j is wrong usage', async (command, words) => {
    expect((await client(command, 'http://127.0.0.1:1', ...words)).exitCode).toBe(2);
  });

  it('wants node, wallet and cluster, and reads no broken ones', async () => {
    const broken = join(folder, 'broken');
    writeFileSync(broken, '{"version":1}');
    const given = { '--node': 'http://127.0.0.1:1', '--wallet': await wallet(), '--cluster': clusterFile };
    for (const command of ['register', 'renew', 'revoke', 'status', 'index-set']) {
      for (const left of Object.keys(given)) {
        const words = Object.entries(given).flatMap(([name, value]) => (name === left ? [] : [name, value]));
        expect((await kith('client', command, ...words)).exitCode).toBe(2);
      }
      for (const [name, code] of [
        ['--wallet', 'bad-wallet'],
        ['--cluster', 'cluster-malformed'],
      ] as const) {
        const words = Object.entries({ ...given, [name]: broken }).flat();
        const { exitCode, out } = await kith('client', command, ...words, '--json');
        expect([exitCode, JSON.parse(out).error.code]).toEqual([1, code]);
      }
    }
  });
});

describe('kith status', () => {
  it('shows a cluster at a glance, ready or not', async () => {
    const { url } = await serve();
    const ready = await kith('status', '--node', url, '--json');
    expect([ready.exitCode, JSON.parse(ready.out)]).toEqual([
      0,
      {
        node: expect.objectContaining({ clusterId: cluster.id, heights: expect.objectContaining({ chain: 1_000 }) }),
        members: [expect.objectContaining({ operator: 'op-a', lag: 0 })],
        ready: true,
        reasons: [],
      },
    ]);
    const readiness = { ready: false, phase: 'catching-up', reasons: ['500 blocks behind'] } as const;
    const behind = await serve({ readiness });
    const text = await kith('status', '--node', behind.url);
    expect([text.exitCode, text.out]).toEqual([
      0,
      expect.stringMatching(/catching-up \(not ready\).*- 500 blocks behind.*op-a/s),
    ]);
    expect(text.err).toContain('SIMULATED');
  });

  it('shows the roster with who is away, and who holds the key of the node', async () => {
    const [b, c, d] = ['b', 'c', 'd'].map((letter) => letter.repeat(43)) as [string, string, string];
    const tamper: Deviations['tamper'] = (path, answer) =>
      path === '/v1/node'
        ? {
            ...answer,
            roster: [
              { nodeId: b, operator: 'op-b', standing: 'connected' },
              { nodeId: c, operator: 'op-c', standing: 'away' },
            ],
            custody: { phase: 'backed', keyEpoch: 4, threshold: 1, shares: 2, holders: [b] },
            quorum: { needed: 2, reachable: 2 },
          }
        : path === '/v1/members'
          ? [b, d].map((nodeId) => ({
              nodeId,
              operator: 'op-b',
              tcbStatus: 'UpToDate',
              phase: 'ready',
              lag: 3,
              lastSeenSeconds: 1,
            }))
          : answer;
    const { url } = await serve({ tamper }, listenTampered);
    const { out } = await kith('status', '--node', url);
    expect(out).toContain('custody backed, key epoch 4, 1 of 2 shares open the store, 1 known to be held');
    expect(out).toContain('quorum 2 of 2 needed');
    expect(out).toMatch(/^b{43} +op-b +connected +UpToDate +ready +3 +1\.0 s +holds a share *$/m);
    expect(out).toMatch(/^c{43} +op-c +away +- +- +- +- +- *$/m);
    // Connected, and not on the roster.
    expect(out).toMatch(/^d{43} +op-b +no +UpToDate/m);
  });

  it('lets no node steer the terminal', async () => {
    const tamper: Deviations['tamper'] = (path, answer) =>
      path === '/readyz' ? { phase: 'x', reasons: ['\u001b[2J\nkith: fine'] } : answer;
    const { url } = await serve({ tamper }, listenTampered);
    expect((await kith('status', '--node', url)).out).toContain('- \\u001b[2J\\u000akith: fine');
  });

  it.each([
    ['/v1/node', { heights: {} }],
    ['/v1/node', { simulated: 'no' }],
    ['/v1/node', { members: -1 }],
    ['/v1/node', { phase: 'x'.repeat(129) }],
    ['/v1/node', { clusterId: 'short' }],
    ['/v1/node', { roster: [{ nodeId: 'short' }] }],
    ['/v1/node', { custody: { phase: 'backed' } }],
    ['/v1/members', [{ nodeId: 'x' }]],
    ['/v1/members', Array.from({ length: 1_025 }, () => ({}))],
    ['/readyz', { reasons: 'none' }],
    ['/readyz', { phase: 'ready', reasons: Array.from({ length: 65 }, () => '') }],
  ])('calls a wrong answer to %s bad', async (at, change) => {
    const tamper: Deviations['tamper'] = (path, answer) =>
      path !== at ? answer : Array.isArray(change) ? change : { ...answer, ...change };
    const { url } = await serve({ tamper }, listenTampered);
    const { exitCode, out } = await kith('status', '--node', url, '--json');
    expect([exitCode, JSON.parse(out).error.code]).toEqual([1, 'bad-answer']);
  });

  it('wants a URL', async () => {
    expect((await kith('status')).exitCode).toBe(2);
    expect((await kith('status', '--node', 'nonsense')).exitCode).toBe(2);
  });
});
