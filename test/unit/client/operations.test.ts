import { describe, expect, it } from 'vitest';
import { createCluster } from '../../../src/attestation/index.ts';
import {
  createNodeApi,
  createWallet,
  sendOperation,
  verifyNode,
  walletPayload,
  walletRegistrationId,
} from '../../../src/client/index.ts';
import type { Clock } from '../../../src/core/ports.ts';
import { operationId } from '../../../src/core/registration/operation.ts';
import { NOW } from '../../support/attestation.ts';
import { cluster, createFakeNode, type Deviations } from '../../support/fake-node.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const random = seededRandom('client operations');
const wallet = createWallet({ random }, { n: 5, birthday: 10 });
const { signal } = new AbortController();
const clock: Clock = createManualClock(NOW * 1000);

function clientOf(deviations: Deviations = {}) {
  const node = createFakeNode(deviations);
  const api = createNodeApi({ transport: node.transport, clock }, 'http://node.test/');
  const verify = (under = cluster) => verifyNode({ api, clock, random }, under, { signal });
  const register = { type: 'register', birthday: 10, version: 100, expiryHeight: 500 } as const;
  const send = async (operation: Parameters<typeof sendOperation>[3] = register) =>
    sendOperation({ api, random }, { node: await verify(), cluster }, wallet, operation, { signal });
  return { node, verify, send };
}

const refused = (code: string, message = /./) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe('verifying a node', () => {
  it('tells who it is, whose platform it runs on, and that it is simulated', async () => {
    const verified = await clientOf().verify();
    expect(verified).toMatchObject({ operator: 'op-a', tcbStatus: 'UpToDate', simulated: true });
    expect(verified.hpkePublicKey.length).toBe(32);
    expect(verified.roster.map(({ nodeId }) => nodeId)).toEqual([verified.nodeId]);
  });

  const swaps: [string, Deviations, RegExp][] = [
    [
      'another key to seal to',
      {
        tamper: (_p, a) => ({
          ...a,
          hpke: [{ suite: 'x25519-hkdf-sha256-chacha20poly1305', publicKey: 'A'.repeat(43) }],
        }),
      },
      /report-data/,
    ],
    ['another node id', { tamper: (_p, a) => ({ ...a, nodeId: 'A'.repeat(43) }) }, /report-data/],
    ['another roster', { tamper: (_p, a) => ({ ...a, roster: [] }) }, /report-data/],
    ['another configuration', { tamper: (_p, a) => ({ ...a, configurationHash: 'A'.repeat(43) }) }, /configuration/],
    [
      'another nonce root',
      { tamper: (_p, a) => ({ ...a, noncePath: { ...(a['noncePath'] as object), root: 'A'.repeat(43) } }) },
      /report-data/,
    ],
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
      /policy-measurement/,
    ],
  ];
  it.each(swaps)('refuses evidence with %s, before anything is sent', async (_name, deviations, why) => {
    const { node, send } = clientOf(deviations);
    await expect(send()).rejects.toEqual(refused('node-not-believed', why));
    expect(node.asked.filter((path) => path.startsWith('/v1/registrations'))).toEqual([]);
  });

  it('refuses an answer that was made for an earlier question', async () => {
    let first: unknown;
    const { verify } = clientOf({
      tamper: (_path, answer) => {
        first ??= answer;
        return first;
      },
    });
    await verify();
    await expect(verify()).rejects.toEqual(refused('node-not-believed', /report-data/));
  });

  it('refuses a node of another cluster', async () => {
    const other = createCluster({ ...cluster.configuration, chainId: 'other' });
    await expect(clientOf().verify(other)).rejects.toEqual(refused('node-not-believed', /configuration/));
  });

  const broken: [string, (answer: Record<string, unknown>) => unknown][] = [
    ['no JSON', () => 'nonsense'],
    ['a missing quote', (answer) => ({ ...answer, quote: undefined })],
    ['no collateral', (answer) => ({ ...answer, collateral: undefined })],
    ['a quote that is no base64url', (answer) => ({ ...answer, quote: '!' })],
    ['an unknown suite only', (answer) => ({ ...answer, hpke: [{ suite: 'x', publicKey: 'A'.repeat(43) }] })],
  ];
  it.each(broken)('calls an answer with %s bad', async (_name, change) => {
    await expect(clientOf({ tamper: (_path, answer) => change(answer) }).verify()).rejects.toEqual(
      refused('bad-answer'),
    );
  });
});

describe('operations', () => {
  it('arrive whole at the node they are sealed to', async () => {
    const { node, send } = clientOf();
    const sent = await send();
    expect(sent).toEqual({
      id: walletRegistrationId(wallet),
      opId: operationId(node.received[0]!.operation),
      status: 'confirmed',
      unbacked: true,
      expiryHeight: 500,
      receipts: [expect.any(Uint8Array)],
      needed: 1,
    });
    expect(node.received[0]!.payload).toEqual(walletPayload(wallet));
    await send({ type: 'renew', version: 110, expiryHeight: 600 });
    await send({ type: 'revoke', version: 120 });
    expect(node.received.map(({ operation }) => operation.type)).toEqual(['register', 'renew', 'revoke']);
    expect(node.received.slice(1).every(({ payload }) => payload === undefined)).toBe(true);
    expect(node.asked.filter((path) => path.endsWith('/revoke'))).toEqual([
      `/v1/registrations/${walletRegistrationId(wallet)}/revoke`,
    ]);
  });

  it('keep the refusal of the node under its own code', async () => {
    const { send } = clientOf();
    await expect(send({ type: 'register', birthday: 200, version: 100, expiryHeight: 500 })).rejects.toEqual(
      refused('birthday-beyond-tip'),
    );
  });

  const onPost = (change: (answer: Record<string, unknown>) => unknown): Deviations => ({
    tamper: (path, answer) => (path.startsWith('/v1/registrations') ? change(answer) : answer),
  });
  it('do not believe an answer that somebody in between made up', async () => {
    const forged = onPost((answer) => ({ ...answer, sealed: { nonce: 'A'.repeat(32), ciphertext: 'A'.repeat(1400) } }));
    await expect(clientOf(forged).send()).rejects.toEqual(refused('forged-answer'));
    const about = { answerAbout: new Uint8Array(32) };
    await expect(clientOf(about).send()).rejects.toEqual(refused('forged-answer', /another registration/));
    const misspelt = onPost((answer) => ({ ...answer, sealed: { nonce: '!'.repeat(32), ciphertext: 'A' } }));
    await expect(clientOf(misspelt).send()).rejects.toEqual(refused('bad-answer'));
  });

  it('take no notice of what an answer says in the clear', async () => {
    const flattering = onPost((answer) => ({ ...answer, id: 'B'.repeat(43), status: 'pending' }));
    expect(await clientOf(flattering).send()).toMatchObject({ id: walletRegistrationId(wallet), status: 'confirmed' });
  });
});

describe('the API of a node', () => {
  it('has an http or https URL', () => {
    for (const url of ['ftp://x', 'nonsense', '']) {
      expect(() => createNodeApi({ transport: createFakeNode().transport, clock }, url)).toThrow(refused('bad-url'));
    }
  });

  it('gives up on a node that does not answer in time', async () => {
    const manual = createManualClock();
    const transport = {
      request: (_request: unknown, options: { signal: AbortSignal }) =>
        new Promise<never>((_resolve, reject) => {
          options.signal.addEventListener('abort', () => reject(options.signal.reason));
        }),
    };
    const api = createNodeApi({ transport, clock: manual }, 'https://node.test');
    const asked = verifyNode({ api, clock: manual, random }, cluster, { signal });
    asked.catch(() => undefined);
    await manual.advance(30_000);
    await expect(asked).rejects.toEqual(refused('node-unreachable', /in time/));
  });
});
