import { describe, expect, it } from 'vitest';
import {
  createWallet,
  createWalletClient,
  formatKept,
  type KeptRegistration,
  parseKept,
  showCertificate,
} from '../../../src/client/index.ts';
import { KithError } from '../../../src/core/errors.ts';
import { clusterIdFromBytes } from '../../../src/core/ids.ts';
import { cluster, createFakeNode, type Deviations } from '../../support/fake-node.ts';
import { codeOf, rejectionOf } from '../../support/outcome.ts';
import { type Signer, signerNamed } from '../../support/receipts.ts';
import { createBench, wallet } from '../../support/wallet-client.ts';

const { signal } = new AbortController();
const [b, c] = ['b', 'c'].map((name) => signerNamed(name)) as [Signer, Signer];

async function bench(...nodes: Deviations[]) {
  const { clock, random } = createBench();
  const fakes = nodes.map((deviations) => createFakeNode({ clock, members: [b, c], ...deviations }));
  const transport: (typeof fakes)[number]['transport'] = {
    request: (request, options) =>
      fakes[Number(/node-(\d)/.exec(request.url)![1])]!.transport.request(request, options),
  };
  const urls = nodes.map((_, i) => `http://node-${i}.test`);
  const client = createWalletClient({ transport, clock, random }, { cluster, nodes: urls });
  const { kept } = await client.register(wallet, { signal, birthday: 77, expiresInBlocks: 500 });
  const restore = (what: KeptRegistration = kept!) => clock.settle(client.restore(wallet, what, { signal }));
  return { clock, client, fakes, kept: kept!, restore };
}

describe('restoring a registration', () => {
  it('does nothing but tell those that do not know it, where one does', async () => {
    const { fakes, kept, restore } = await bench({}, {});
    expect(await restore()).toEqual({ kind: 'known' });
    expect(fakes[1]!.wanted).toEqual([
      {
        regId: kept.certificate.regId,
        opId: kept.certificate.opId,
        holders: expect.arrayContaining([b.nodeId, c.nodeId]),
      },
    ]);
    expect(fakes.map(({ received }) => received.length)).toEqual([1, 0]);
  });

  it('lets a node fetch it, and registers nothing when that comes back', async () => {
    const { fakes, client, kept, clock } = await bench({}, {});
    const [submitted] = fakes[0]!.received;
    fakes[0]!.forget();
    const restored = client.restore(wallet, kept, { signal });
    await clock.advance(3_500);
    fakes[1]!.accept(submitted!);
    expect(await clock.settle(restored)).toEqual({ kind: 'known' });
    expect(fakes.map(({ wanted, received }) => [wanted.length, received.length])).toEqual([
      [1, 1],
      [1, 0],
    ]);
  });

  it('registers again, with the birthday and expiry it had, when nobody has it any more', async () => {
    const { fakes, restore } = await bench({});
    fakes[0]!.forget();
    const restored = await restore();
    expect(restored).toMatchObject({ kind: 'registered', registration: { status: 'confirmed', expiryHeight: 1_500 } });
    expect(fakes[0]!.received.map(({ operation }) => operation)).toMatchObject([
      { type: 'register', birthday: 77, expiryHeight: 1_500 },
      { type: 'register', birthday: 77, expiryHeight: 1_500 },
    ]);
    expect(await restore()).toEqual({ kind: 'known' });
  });

  it('registers again also where the certificate names nobody of the new cluster', async () => {
    const { fakes, client, kept, clock } = await bench({
      refuse: (path) => (path.endsWith('/certificate') ? new KithError('no-holder', 'x') : undefined),
    });
    fakes[0]!.forget();
    const before = clock.monotonic();
    expect((await clock.settle(client.restore(wallet, kept, { signal }))).kind).toBe('registered');
    expect(clock.monotonic() - before).toBeLessThan(1_000);
  });

  it('sends nothing while stores wait for recovery shares', async () => {
    const { fakes, restore } = await bench(
      {},
      {
        tamper: (path, answer) =>
          path === '/v1/recovery'
            ? {
                ...{ state: 'total-restart', nodeId: 'A'.repeat(43), storeIdHash: 'A'.repeat(43), blob: 'AAAA' },
                ...{ entered: 0, needed: 2 },
              }
            : answer,
      },
    );
    fakes[0]!.forget();
    expect(await restore()).toEqual({ kind: 'recovering' });
    expect(fakes.map(({ received }) => received.length)).toEqual([1, 0]);
  });

  it('does not bring back what was revoked, or has expired', async () => {
    const { fakes, kept, restore } = await bench({});
    fakes[0]!.forget();
    expect(await restore({ ...kept, type: 'revoke' })).toEqual({ kind: 'ended' });
    expect(await restore({ ...kept, expiryHeight: 1_000 })).toEqual({ kind: 'ended' });
    expect(fakes[0]!.received.length).toBe(1);
  });

  it('takes no failure for "unknown", and says why no node could be asked', async () => {
    let away = false;
    const { fakes, restore } = await bench({ refuse: () => (away ? new KithError('not-ready', 'wait') : undefined) });
    fakes[0]!.forget();
    away = true;
    expect((await rejectionOf(restore()))?.code).toBe('not-ready');
    expect(fakes[0]!.received.length).toBe(1);
  });

  it('refuses a certificate of another wallet or cluster before it asks anybody', async () => {
    const { client, fakes, kept } = await bench({});
    const { random } = createBench();
    const asked = fakes[0]!.asked.length;
    const other = createWallet({ random }, { n: 2 });
    expect((await rejectionOf(client.restore(other, kept, { signal })))?.code).toBe('bad-certificate');
    const foreign = {
      ...kept,
      certificate: { ...kept.certificate, clusterId: clusterIdFromBytes(new Uint8Array(32)) },
    };
    expect((await rejectionOf(client.restore(wallet, foreign, { signal })))?.code).toBe('bad-certificate');
    expect(fakes[0]!.asked.length).toBe(asked);
  });

  it('of something else than its receipts say finds no holder', async () => {
    const { fakes, kept, client } = await bench({});
    fakes[0]!.forget();
    const certificate = { ...kept.certificate, receipts: [Uint8Array.of(1)] };
    const [api] = client.apis;
    expect((await rejectionOf(showCertificate({ api: api! }, certificate, { signal })))?.code).toBe('no-holder');
  });
});

describe('following with a certificate', () => {
  it('brings a lost registration back by itself, and hands out the newer certificate', async () => {
    const { fakes, client, clock, kept } = await bench({}, { refuse: () => new KithError('not-ready', 'down') });
    const [node] = fakes;
    node!.scan(1, 100, [[90, 0]]);
    const restored: string[] = [];
    const onRestored = ({ kept: newer }: { kept: KeptRegistration | undefined }) =>
      void restored.push(newer!.certificate.opId);
    const views = client.follow(wallet, undefined, { signal, kept, onRestored });
    expect((await clock.settle(views.next())).value.entries).toEqual([[90, 0]]);
    node!.forget();
    const next = views.next();
    await clock.advance(120_000);
    expect(restored).toEqual([kept.certificate.opId]);
    node!.scan(101, 120, [[110, 1]]);
    expect((await clock.settle(next)).value.entries).toEqual([
      [90, 0],
      [110, 1],
    ]);
    expect(node!.received.length).toBe(2);
  });

  it('waits for a height over the loss, and no longer than it was told to', async () => {
    const { fakes, client, clock, kept } = await bench({});
    fakes[0]!.forget();
    const waiting = client.waitForHeight(wallet, undefined, { height: 20, timeoutMs: 120_000, signal, kept });
    await clock.advance(60_000);
    expect(fakes[0]!.received.length).toBe(2);
    fakes[0]!.scan(1, 200);
    expect((await clock.settle(waiting)).covered.length).toBe(1);
    fakes[0]!.forget();
    const before = clock.monotonic();
    const late = client.waitForHeight(wallet, undefined, { height: 9_999, timeoutMs: 120_000, signal, kept });
    expect((await clock.settle(rejectionOf(late)))?.code).toBe('not-synced');
    expect(clock.monotonic() - before).toBeLessThanOrEqual(121_000);
  });

  it('without one ends as before', async () => {
    const { fakes, client, clock } = await bench({});
    fakes[0]!.forget();
    const waiting = client.waitForHeight(wallet, undefined, { height: 20, timeoutMs: 120_000, signal });
    expect((await clock.settle(rejectionOf(waiting)))?.code).toBe('unknown-registration');
    expect(fakes[0]!.received.length).toBe(1);
  });
});

describe('a certificate file', () => {
  it('is read as it was written, and holds no secret', async () => {
    const { kept } = await bench({});
    const text = formatKept(kept);
    const read = parseKept(text, 'file');
    expect(formatKept(read)).toBe(text);
    expect(read.certificate.opId).toBe(kept.certificate.opId);
    const { birthday: _, ...rest } = kept;
    expect(parseKept(formatKept({ ...rest, birthday: undefined }), 'file').birthday).toBeUndefined();
  });

  it.each([
    ['no JSON', () => 'x', /^file/],
    ['an unknown field', (file: object) => JSON.stringify({ ...file, more: 1 }), /unknown field more/],
    ['no receipts', (file: object) => JSON.stringify({ ...file, receipts: [] }), /receipts/],
    ['a receipt that is no base64url', (file: object) => JSON.stringify({ ...file, receipts: ['!'] }), /^file/],
    ['an id that is none', (file: object) => JSON.stringify({ ...file, id: `${'A'.repeat(42)}B` }), /^file/],
    ['another version', (file: object) => JSON.stringify({ ...file, version: 2 }), /version/],
  ])('with %s is refused, naming it', async (_name, change, message) => {
    const { kept } = await bench({});
    const text = change(JSON.parse(formatKept(kept)) as object);
    expect(codeOf(() => parseKept(text, 'file'))).toBe('bad-certificate');
    expect(() => parseKept(text, 'file')).toThrow(message);
  });
});
