import { describe, expect, it } from 'vitest';
import { createCluster } from '../../../src/attestation/index.ts';
import {
  createWalletClient,
  type RegisterOptions,
  registerWallet,
  registrationStatus,
  renewWallet,
  revokeWallet,
  walletRegistrationId,
} from '../../../src/client/index.ts';
import { KithError } from '../../../src/core/errors.ts';
import { HEIGHT_MAX, LIFETIME_BLOCKS } from '../../../src/core/registration/limits.ts';
import { cluster, createFakeNode, type Deviations } from '../../support/fake-node.ts';
import { rejectionOf } from '../../support/outcome.ts';
import { createBench, wallet } from '../../support/wallet-client.ts';

const { signal } = new AbortController();
const id = walletRegistrationId(wallet);

function benchOf(deviations: Deviations = {}) {
  const { clock, node } = createBench();
  const deps = node(deviations);
  return {
    ...deps,
    deps,
    clock,
    register: (how: Partial<RegisterOptions> = {}) => registerWallet(deps, cluster, wallet, { signal, ...how }),
  };
}
const onNode = (change: (answer: Record<string, unknown>) => unknown): Deviations => ({
  tamper: (path, answer) => (path === '/v1/node' ? change(answer) : answer),
});
const heights = (chain: unknown, indexed: unknown = chain) =>
  onNode((answer) => ({ ...answer, heights: { chain, indexed, detected: 0, anchored: 0 } }));

describe('registering', () => {
  it('verifies the node, signs at the height of the chain, and takes the longest lifetime', async () => {
    const { node, register } = benchOf({ height: 5_000 });
    const made = await register();
    expect(made).toMatchObject({ id, status: 'confirmed', version: 5_000, expiryHeight: 5_000 + LIFETIME_BLOCKS });
    expect(made.node).toMatchObject({ operator: 'op-a', simulated: true });
    expect(node.asked.map((path) => path.replace(/=.*/, ''))).toEqual([
      '/v1/attestation?nonce',
      '/v1/node',
      '/v1/registrations',
    ]);
    expect(node.received[0]!.operation).toMatchObject({ type: 'register', birthday: wallet.birthday, version: 5_000 });
  });

  it('keeps to what the cluster and the caller say', async () => {
    const small = createCluster({ ...cluster.configuration, limits: { registrationsMax: 5, lifetimeBlocksMax: 700 } });
    const { deps, node, register } = benchOf();
    expect((await rejectionOf(registerWallet(deps, small, wallet, { signal })))?.code).toBe('node-not-believed');
    const tooLong = await rejectionOf(registerWallet(deps, small, wallet, { signal, expiresInBlocks: 701 }));
    expect([tooLong?.code, tooLong?.message]).toEqual(['bad-parameter', expect.stringContaining('1 to 700 blocks')]);
    for (const expiresInBlocks of [0, -1, 1.5, LIFETIME_BLOCKS + 1, Number.NaN]) {
      expect((await rejectionOf(register({ expiresInBlocks })))?.code).toBe('bad-parameter');
    }
    expect(await register({ expiresInBlocks: 50, birthday: 600, height: 900 })).toMatchObject({ expiryHeight: 950 });
    expect(node.received.map(({ operation }) => operation)).toMatchObject([{ birthday: 600, version: 900 }]);
  });

  const unbelieved: [string, Deviations][] = [
    [
      'other measurements',
      {
        report: {
          measurements: {
            mrtd: 'aa'.repeat(48),
            rtmr0: 'aa'.repeat(48),
            rtmr1: 'aa'.repeat(48),
            rtmr2: 'aa'.repeat(48),
            rtmr3: 'aa'.repeat(48),
          },
        },
      },
    ],
    [
      'another key to seal to',
      {
        tamper: (path, answer) =>
          path.startsWith('/v1/att')
            ? { ...answer, hpke: [{ suite: 'x25519-hkdf-sha256-chacha20poly1305', publicKey: 'A'.repeat(43) }] }
            : answer,
      },
    ],
    ['another roster', { tamper: (path, answer) => (path.startsWith('/v1/att') ? { ...answer, roster: [] } : answer) }],
  ];
  it.each(unbelieved)('sends nothing but questions to a node with %s', async (_name, deviations) => {
    const { clock, node, deps, register } = benchOf(deviations);
    const attempts = [
      () => register({ waitMs: 1_000 }),
      () => renewWallet(deps, cluster, wallet, { signal }),
      () => renewWallet(deps, cluster, wallet, { signal, withoutKeys: true, expiresInBlocks: 5 }),
      () => revokeWallet(deps, cluster, wallet, { signal }),
    ];
    for (const attempt of attempts) {
      expect((await clock.settle(rejectionOf(attempt())))?.code).toBe('node-not-believed');
    }
    expect([node.posted, node.received]).toEqual([[], []]);
    expect(node.asked.length).toBeGreaterThan(0);
  });

  it('does not sign at heights that nobody can mean', async () => {
    const cases: [Deviations, string][] = [
      [heights(0), 'not-ready'],
      [heights(5), 'birthday-beyond-tip'],
      [heights(HEIGHT_MAX), 'bad-parameter'],
      [heights(HEIGHT_MAX + 1), 'bad-answer'],
      [heights(-1), 'bad-answer'],
      [heights('900'), 'bad-answer'],
      [heights(1.5), 'bad-answer'],
      [heights(null), 'bad-answer'],
      [onNode(({ heights: _, ...rest }) => rest), 'bad-answer'],
      [onNode(() => 'x'.repeat(100)), 'bad-answer'],
    ];
    for (const [deviations, code] of cases) {
      const { node, register } = benchOf(deviations);
      expect((await rejectionOf(register()))?.code).toBe(code);
      expect(node.posted).toEqual([]);
    }
    for (const height of [0, -1, 0.5, HEIGHT_MAX]) {
      expect((await rejectionOf(benchOf().register({ height, birthday: 0 })))?.code).toBe('bad-parameter');
    }
  });

  it('signs no further ahead of what the node has indexed than a cluster takes', async () => {
    const { node, register } = benchOf(heights(90_000, 900));
    expect(await register()).toMatchObject({ version: 910 });
    expect(node.received.length).toBe(1);
  });
});

describe('waiting for confirmed', () => {
  it('asks until the node says so, sealed', async () => {
    const { clock, node, register } = benchOf({ pendingAnswers: 1 });
    const made = await clock.settle(register({ waitMs: 30_000 }));
    expect([made.status, made.receipts.length, node.posted.length]).toEqual(['confirmed', 1, 2]);
    expect(node.received[1]!.operation).toEqual(node.received[0]!.operation);
    expect(clock.pending).toBe(0);
  });

  it('does not believe a state in the clear that says confirmed', async () => {
    const { clock, node, register } = benchOf({ pendingAnswers: 1_000 });
    const made = await clock.settle(register({ waitMs: 30_000 }));
    expect([made.status, made.receipts]).toEqual(['pending', []]);
    expect(node.posted.length).toBeGreaterThan(3);
    expect(node.posted.length).toBeLessThan(15);
    expect(clock.monotonic()).toBe(30_000);
  });

  it('ends pending when its time is over or the node is lost, and not at all if not asked to', async () => {
    const pending: Deviations = {
      pendingAnswers: 1,
      tamper: (path, answer) => (path.startsWith('/v1/registrations/') ? { ...answer, status: 'pending' } : answer),
    };
    const slow = benchOf(pending);
    expect((await slow.clock.settle(slow.register({ waitMs: 9_000 }))).status).toBe('pending');
    expect([slow.clock.monotonic(), slow.node.posted.length]).toEqual([9_000, 1]);
    const lost = benchOf({
      ...pending,
      refuse: (path) => (path.startsWith('/v1/registrations/') ? new KithError('stopped', 'x') : undefined),
    });
    expect((await lost.clock.settle(lost.register({ waitMs: 9_000 }))).status).toBe('pending');
    const hasty = benchOf(pending);
    expect((await hasty.register()).status).toBe('pending');
    expect(hasty.clock.monotonic()).toBe(0);
  });

  it('ends with the caller', async () => {
    const { clock, deps } = benchOf({ pendingAnswers: 1_000 });
    const controller = new AbortController();
    const made = rejectionOf(registerWallet(deps, cluster, wallet, { signal: controller.signal, waitMs: 30_000 }));
    await clock.advance(2_000);
    controller.abort();
    expect((await made)?.code).toBe('aborted');
  });
});

describe('renewing and revoking', () => {
  it('registers again with the birthday that is registered, not that of the wallet', async () => {
    const { deps, node, register } = benchOf();
    await register({ birthday: 77 });
    const renewed = await renewWallet(deps, cluster, wallet, { signal, expiresInBlocks: 500 });
    expect(renewed).toMatchObject({ id, status: 'confirmed', expiryHeight: 1_500 });
    expect(node.received[1]).toMatchObject({
      operation: { type: 'register', birthday: 77 },
      payload: { kind: 'keys' },
    });
    await renewWallet(deps, cluster, wallet, { signal, birthday: 5 });
    expect(node.received[2]!.operation).toMatchObject({ type: 'register', birthday: 5 });
  });

  it('takes the birthday of the wallet where nothing is registered', async () => {
    const { deps, node } = benchOf();
    await renewWallet(deps, cluster, wallet, { signal });
    expect(node.received[0]!.operation).toMatchObject({ type: 'register', birthday: wallet.birthday });
  });

  it('sends a renewal without keys if asked to, and then wants to know until when', async () => {
    const { deps, node, register } = benchOf();
    await register();
    const withoutKeys = { signal, withoutKeys: true };
    expect((await rejectionOf(renewWallet(deps, cluster, wallet, withoutKeys)))?.code).toBe('bad-parameter');
    await renewWallet(deps, cluster, wallet, { ...withoutKeys, expiresInBlocks: 20 });
    expect(node.received[1]!.operation).toMatchObject({ type: 'renew', expiryHeight: 1_020 });
    expect(node.received[1]!.payload).toBeUndefined();
  });

  it('ends a registration, and says how it stands', async () => {
    const { deps, node, register } = benchOf();
    await register();
    expect(await registrationStatus(deps, id, { signal })).toMatchObject({ id, status: 'confirmed' });
    expect(await revokeWallet(deps, cluster, wallet, { signal })).toMatchObject({
      expiryHeight: 1_000 + LIFETIME_BLOCKS,
    });
    expect(node.received[1]!.operation.type).toBe('revoke');
    expect(await registrationStatus(deps, id, { signal })).toMatchObject({ status: 'revoked' });
    const stranger = await rejectionOf(registrationStatus(benchOf().deps, id, { signal }));
    expect(stranger?.code).toBe('unknown-registration');
  });

  it.each([
    ['another id', { id: 'A'.repeat(43) }],
    ['no id', { id: undefined }],
    ['an unknown state', { status: 'fine' }],
    ['a negative expiry', { expiryHeight: -1 }],
    ['a gigantic expiry', { expiryHeight: HEIGHT_MAX + 1 }],
    ['text for a number', { confirmations: '1' }],
  ])('calls a state with %s bad', async (_name, change) => {
    const tamper: Deviations['tamper'] = (path, answer) =>
      path.startsWith('/v1/registrations/') ? { ...answer, ...change } : answer;
    const { deps, register } = benchOf({ tamper });
    await register();
    expect((await rejectionOf(registrationStatus(deps, id, { signal })))?.code).toBe('bad-answer');
  });
});

describe('refusals', () => {
  const refusal = (problem: unknown, status = 422): Deviations => ({
    refuse: (path) =>
      path === '/v1/registrations' ? new KithError(status === 422 ? 'bad-keys' : 'not-ready', 'x') : undefined,
    tamper: (path, answer) => (path === '/v1/registrations' ? problem : answer),
  });
  it.each([
    ['a code of many lines', { code: 'a\nb', detail: 'x' }],
    ['a long code', { code: 'a'.repeat(65), detail: 'x' }],
    ['no detail', { code: 'bad-keys' }],
    ['a detail that is a list', { code: 'bad-keys', detail: ['x'] }],
    ['a gigantic detail', { code: 'bad-keys', detail: 'x'.repeat(5_000) }],
    ['no JSON', '<html>refused</html>'],
  ])('with %s are bad answers', async (_name, problem) => {
    expect((await rejectionOf(benchOf(refusal(problem)).register()))?.code).toBe('bad-answer');
  });

  it('without a reason from what stands before a node mean that it cannot be reached', async () => {
    expect((await rejectionOf(benchOf(refusal('<html>', 503)).register()))?.code).toBe('node-unreachable');
  });

  it('cannot steer a terminal', async () => {
    const error = await rejectionOf(
      benchOf(refusal({ code: 'bad-keys', detail: 'a\u001b[2J\nkith: all is well' })).register(),
    );
    expect(error?.message).toBe('http://node-0.test refuses: a\\u001b[2J\\u000akith: all is well');
  });
});

describe('a client of several nodes', () => {
  const clientOf = (...nodes: Deviations[]) => {
    const { clock, random } = createBench();
    const fakes = nodes.map((deviations) => createFakeNode({ clock, ...deviations }));
    const transport: (typeof fakes)[number]['transport'] = {
      request: (request, options) =>
        fakes[Number(/node-(\d)/.exec(request.url)![1])]!.transport.request(request, options),
    };
    const urls = nodes.map((_, i) => `http://node-${i}.test`);
    return { fakes, clock, client: createWalletClient({ transport, clock, random }, { cluster, nodes: urls }) };
  };
  const wrong = unbelievedMeasurements();

  it('goes to the next node when one is not believed, and sends that one nothing', async () => {
    const { fakes, client } = clientOf({ report: wrong }, { refuse: () => new KithError('not-ready', 'x') }, {});
    expect((await client.register(wallet, { signal })).status).toBe('confirmed');
    expect(fakes.map(({ posted }) => posted.length)).toEqual([0, 0, 1]);
    expect((await client.verify({ signal })).operator).toBe('op-a');
    fakes[2]!.scan(1, 30, [[20, 0]]);
    const { view, failures } = await client.read(wallet, undefined, { signal });
    expect([view.entries, failures.map(({ error }) => error.code)]).toEqual([
      [[20, 0]],
      ['unknown-registration', 'not-ready'],
    ]);
  });

  it('does not carry an operation around that a node refused', async () => {
    const { fakes, client } = clientOf(
      { refuse: (path) => (path === '/v1/registrations' ? new KithError('superseded', 'x') : undefined) },
      {},
    );
    expect((await rejectionOf(client.register(wallet, { signal })))?.code).toBe('superseded');
    expect(fakes[1]!.asked).toEqual([]);
  });

  it('says why none could be used', async () => {
    const { client } = clientOf({ report: wrong }, { refuse: () => new KithError('not-ready', 'catching up') });
    const error = await rejectionOf(client.revoke(wallet, { signal }));
    expect([error?.code, error?.message]).toEqual([
      'no-node',
      expect.stringMatching(/policy-measurement.*; .*catching up/),
    ]);
    const alike = await rejectionOf(clientOf({ report: wrong }, { report: wrong }).client.register(wallet, { signal }));
    expect(alike?.code).toBe('node-not-believed');
  });

  it('does everything a wallet needs', async () => {
    const { fakes, clock, client } = clientOf({});
    await client.register(wallet, { signal });
    fakes[0]!.scan(1, 20, [[15, 0]]);
    const view = await clock.settle(client.waitForHeight(wallet, undefined, { height: 20, timeoutMs: 5_000, signal }));
    expect(view.entries).toEqual([[15, 0]]);
    expect((await clock.settle(client.follow(wallet, undefined, { signal }).next())).value.entries).toEqual([[15, 0]]);
    await clock.settle(client.renew(wallet, { signal }));
    await clock.settle(client.revoke(wallet, { signal }));
    expect((await client.status(wallet, { signal })).status).toBe('revoked');
  });

  it('has one to sixteen different nodes', () => {
    const { clock, random } = createBench();
    const deps = { transport: createFakeNode().transport, clock, random };
    const many = Array.from({ length: 17 }, (_, i) => `http://n${i}.test`);
    for (const nodes of [[], ['http://a.test', 'http://a.test/'], many]) {
      expect(() => createWalletClient(deps, { cluster, nodes })).toThrow(
        expect.objectContaining({ code: 'bad-parameter' }),
      );
    }
    expect(() => createWalletClient(deps, { cluster, nodes: ['nonsense'] })).toThrow(
      expect.objectContaining({ code: 'bad-url' }),
    );
  });
});

function unbelievedMeasurements() {
  const other = 'aa'.repeat(48);
  return { measurements: { mrtd: other, rtmr0: other, rtmr1: other, rtmr2: other, rtmr3: other } };
}
