// A whole node under bad input over HTTP: every refusal is a problem with a known code, nothing is a fault of the node,
// nothing is stored, and the node goes on serving.

import fc from 'fast-check';
import type { FastifyInstance } from 'fastify';
import { beforeAll, describe, expect, it } from 'vitest';
import { walletPayload } from '../../../../src/client/index.ts';
import { fromBase64Url, toBase64Url } from '../../../../src/core/bytes.ts';
import { type CborValue, encodeCbor } from '../../../../src/core/cbor.ts';
import { parseNodeId } from '../../../../src/core/ids.ts';
import { pad } from '../../../../src/core/padding.ts';
import { SUBMISSION_BYTES } from '../../../../src/core/registration/limits.ts';
import type { OperationType } from '../../../../src/core/registration/operation.ts';
import { encodeOperation } from '../../../../src/core/registration/operation.ts';
import { encodeSubmission } from '../../../../src/core/registration/submission.ts';
import { type SealedBox, sealRequest, toSealedBox } from '../../../../src/core/sealed-request.ts';
import { createDevnet } from '../../../../src/devnet/index.ts';
import { PROBLEMS } from '../../../../src/node/http/problems.ts';
import { buildApp } from '../../../../src/node/http/server.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';
import { applyEdits, edits } from '../../../support/mutations.ts';
import { recordingLog } from '../../../support/node-service.ts';
import { seededUser, userOf } from '../../../support/node-user.ts';
import { madeUpLines, replayOf } from '../../../support/replay.ts';
import { seededRandom } from '../../../support/seeded-random.ts';
import { createTestNode } from '../../../support/test-node.ts';

const OPTIONS = { host: '127.0.0.1', port: 0, version: '0.0.0', simulated: true, rateLimit: false };
const random = seededRandom('hostile');
const known = seededUser('known', 3);
const unknown = seededUser('unknown', 3);
const PATHS = ['/v1/registrations', '/v1/registrations/:id/renew', '/v1/registrations/:id/revoke'];

/** One node for one test: a test node lives no longer. */
async function started() {
  const test = createTestNode({ devnet: createDevnet({ replay: replayOf(madeUpLines(1_000, 20)) }) });
  await test.ready();
  const user = userOf(test, known);
  await user.register();
  // What is in the store by itself is written by now.
  await test.clock.advance(5_000);
  const { log, lines } = recordingLog();
  const app = await buildApp({ service: test.node.service, log }, OPTIONS);
  const document = await test.clock.settle(
    test.node.service.attestation(random.bytes(32), { signal: new AbortController().signal }),
  );
  const hpkeKey = fromBase64Url(document.hpke[0]!.publicKey);
  const before = test.node.running!.store.head;
  const box = (kind: OperationType, plaintext: Uint8Array): SealedBox => {
    const context = { clusterId: test.cluster.id, nodeId: parseNodeId(test.node.service.node().nodeId), kind };
    return toSealedBox(sealRequest({ random }, hpkeKey, context, plaintext).request);
  };
  return {
    test,
    app,
    user,
    box,
    id: user.id,
    /** The node stored nothing, faulted nowhere, and serves. */
    async unharmed() {
      expect(test.node.running!.store.head).toEqual(before);
      expect(lines.filter(({ event }) => event === 'http-fault')).toEqual([]);
      expect((await app.inject(`/v1/index-sets/${user.id}`)).statusCode).toBe(200);
      const answer = await userOf(test, unknown).register();
      expect(answer.status).toBe('confirmed');
      expect(test.node.running!.store.head).not.toEqual(before);
      await app.close();
    },
  };
}

type Node = Awaited<ReturnType<typeof started>>;
type Reply = Awaited<ReturnType<FastifyInstance['inject']>>;

interface Problem {
  readonly code: string;
  readonly status: number;
  readonly detail: string;
}

/** The problem a refusal must be. */
function problemOf(reply: Reply): Problem {
  const problem = reply.json<Problem>();
  expect(reply.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(PROBLEMS[problem.code]?.status, JSON.stringify(problem)).toBe(reply.statusCode);
  expect(problem.status).toBe(reply.statusCode);
  expect(reply.statusCode, JSON.stringify(problem)).toBeLessThan(500);
  expect(problem.detail).not.toBe('');
  expect(problem.detail.length).toBeLessThan(1_000);
  return problem;
}

const post = (node: Node, path: string, payload: string, type = 'application/json') =>
  node.app.inject({
    method: 'POST',
    url: path.replace(':id', node.id),
    headers: { 'content-type': type },
    payload,
  });

describe('a node under bad requests', () => {
  let goodEnc = '';
  beforeAll(() => {
    goodEnc = toBase64Url(random.bytes(32));
  });

  it('names each field of a body that is of the wrong type, size, range or encoding', async () => {
    const node = await started();
    const wrong = {
      suite: [1, null, true, [], {}, '', 'x', 'A'.repeat(65), 'DHKEM', '\u0000'],
      enc: [
        1,
        null,
        false,
        [],
        {},
        '',
        'A'.repeat(42),
        'A'.repeat(44),
        `${'A'.repeat(42)}B`,
        `${'A'.repeat(42)}=`,
        ' ',
      ],
      ciphertext: [1.5, null, true, [1], { a: 1 }, '', 'A', 'AB', 'AAAAB', 'a+b/', 'AAA=', 'é', 'A'.repeat(60_001)],
    };
    for (const [i, path] of PATHS.entries()) {
      const good = node.box((['register', 'renew', 'revoke'] as const)[i]!, new Uint8Array(SUBMISSION_BYTES));
      for (const [field, values] of Object.entries(wrong)) {
        for (const value of values) {
          const reply = await post(node, path, JSON.stringify({ ...good, [field]: value }));
          const { code, detail } = problemOf(reply);
          expect(detail, `${field}: ${JSON.stringify(value)}`).toContain(field);
          expect(['bad-shape', 'bad-base64url', 'unknown-suite'], detail).toContain(code);
        }
        const { [field as keyof SealedBox]: _, ...rest } = good;
        expect(problemOf(await post(node, path, JSON.stringify(rest))).detail).toContain(field);
      }
      const more = problemOf(await post(node, path, JSON.stringify({ ...good, extra: 1 })));
      expect([more.code, more.detail]).toEqual(['bad-shape', expect.stringContaining('extra')]);
      const low = problemOf(await post(node, path, JSON.stringify({ ...good, enc: 'A'.repeat(43) })));
      expect(low.code).toBe('hpke-key');
      expect(problemOf(await post(node, path, JSON.stringify({ ...good, enc: goodEnc }))).code).toBe('hpke-open');
      // The last of two fields of one name counts, as in every JSON parser of ours.
      const twice = JSON.stringify(good).replace('{', '{"suite":"x","suite":7,');
      expect(problemOf(await post(node, path, twice)).code).toBe('bad-padding');
    }
    await node.unharmed();
  });

  it('refuses truncated, gigantic and other bodies, and other media types', async () => {
    const node = await started();
    const text = JSON.stringify(node.box('register', new Uint8Array(SUBMISSION_BYTES)));
    for (const path of PATHS) {
      for (let length = 0; length < text.length; length += 97) {
        expect(problemOf(await post(node, path, text.slice(0, length))).code).toBe('bad-json');
      }
      for (const body of ['[]', '0', 'null', '"x"', 'true', `[${'['.repeat(5_000)}${']'.repeat(5_000)}]`]) {
        expect(problemOf(await post(node, path, body)).code).toMatch(/^bad-(shape|json)$/);
      }
      expect(problemOf(await post(node, path, '{"__proto__":{},"suite":"x"}')).code).toBe('bad-json');
      expect(problemOf(await post(node, path, `{"suite":"${'x'.repeat(70_000)}"}`)).code).toBe('too-large');
      for (const type of ['text/plain', 'application/cbor', 'multipart/form-data', 'application/json5']) {
        expect(problemOf(await post(node, path, text, type)).code).toBe('bad-media-type');
      }
    }
    await node.unharmed();
  });

  it('answers any JSON with a problem', async () => {
    const node = await started();
    const field = fc.oneof(
      fc.jsonValue(),
      fc.constant('DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305'),
      fc.string({ unit: fc.constantFrom('A', '-', '_', '9', 'z'), minLength: 42, maxLength: 44 }),
      fc.stringMatching(/^[A-Za-z0-9_-]{0,200}$/),
    );
    const body = fc.oneof(
      fc.jsonValue(),
      fc.record({ suite: field, enc: field, ciphertext: field }, { requiredKeys: [] }),
      fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('suite', 'enc', 'ciphertext', '__proto__')), field),
    );
    const property = fc.asyncProperty(fc.constantFrom(...PATHS), body, async (path, value) => {
      problemOf(await post(node, path, JSON.stringify(value)));
    });
    await fc.assert(property, { numRuns: fuzzRuns(400) });
    await node.unharmed();
  });

  it('answers any path and query with a problem that names the part', async () => {
    const node = await started();
    const part = fc.oneof(
      fc.string(),
      fc.webFragments(),
      fc.constantFrom('%', '%00', '..', 'A'.repeat(500), '-1', '1e9'),
    );
    const property = fc.asyncProperty(part, part, async (one, other) => {
      const [a, b] = [encodeURIComponent(one.toWellFormed()), encodeURIComponent(other.toWellFormed())];
      for (const url of [
        `/v1/registrations/${a}x`,
        `/v1/index-sets/${a}x?since=${b}`,
        `/v1/index-sets/${node.id}?${a}x=${b}`,
        `/v1/index-sets/${node.id}?since=${a}x`,
        `/v1/index-sets/${node.id}?wait=${a}x`,
        `/v1/attestation?nonce=${a}x`,
        `/v1/attestation?nonce=${'ab'.repeat(32)}&${a}x=${b}`,
      ]) {
        problemOf(await node.app.inject(url));
      }
    });
    await fc.assert(property, { numRuns: fuzzRuns(100) });
    for (const [query, field] of [
      ['since=-1', 'since'],
      ['since=1.5', 'since'],
      ['since=99999999999999999999', 'since'],
      ['since=9007199254740991', 'since'],
      ['since=1&since=2', 'since'],
      ['wait=56', 'wait'],
      ['wait=', 'wait'],
      ['until=1', 'until'],
    ]) {
      expect(problemOf(await node.app.inject(`/v1/index-sets/${node.id}?${query}`)).detail, query).toContain(field);
    }
    await node.unharmed();
  });
});

describe('a node under submissions that are sealed well and made badly', () => {
  /** Sends it to the path of its kind. */
  const send = (node: Node, kind: OperationType, plaintext: Uint8Array) =>
    post(
      node,
      kind === 'register' ? PATHS[0]! : `/v1/registrations/:id/${kind}`,
      JSON.stringify(node.box(kind, plaintext)),
    );

  /** Good submissions of every kind that would change something. */
  function submissions({ user, test }: Node) {
    const version = test.node.service.node().heights.chain + 1;
    const register = user.sign({ type: 'register', version, birthday: 3, expiryHeight: version + 700 });
    const payload = walletPayload(known.wallet);
    return {
      register: { operation: register, payload },
      renew: { operation: user.sign({ type: 'renew', version, expiryHeight: version + 800 }), payload: undefined },
      revoke: { operation: user.sign({ type: 'revoke', version }), payload: undefined },
    };
  }

  it('refuses other lengths and paddings', async () => {
    const node = await started();
    const good = submissions(node);
    for (const kind of ['register', 'renew', 'revoke'] as const) {
      const plaintext = encodeSubmission(good[kind]);
      for (const length of [0, 1, SUBMISSION_BYTES - 1]) {
        expect(problemOf(await send(node, kind, plaintext.slice(0, length))).code).toBe('bad-length');
      }
      expect(problemOf(await send(node, kind, new Uint8Array(SUBMISSION_BYTES + 1))).code).toBe('bad-length');
      expect(problemOf(await send(node, kind, new Uint8Array(40_000))).code).toBe('too-large');
      expect(problemOf(await send(node, kind, new Uint8Array(SUBMISSION_BYTES))).code).toBe('bad-padding');
      for (const other of ['register', 'renew', 'revoke'] as const) {
        if (other === kind) continue;
        expect(problemOf(await send(node, kind, encodeSubmission(good[other]))).code).toBe('wrong-operation');
      }
    }
    await node.unharmed();
  });

  it('takes no submission of which any byte was changed', async () => {
    const node = await started();
    const good = submissions(node);
    const kinds = fc.constantFrom<OperationType>('register', 'renew', 'revoke');
    const property = fc.asyncProperty(kinds, edits, fc.boolean(), async (kind, list, content) => {
      const whole = encodeSubmission(good[kind]);
      const bytes = content ? whole.subarray(0, whole.lastIndexOf(0x80)) : whole;
      const edited = applyEdits(bytes, list);
      fc.pre(toBase64Url(edited) !== toBase64Url(bytes) && edited.length < SUBMISSION_BYTES + 1_000);
      const plaintext = content && edited.length < SUBMISSION_BYTES ? pad(edited, SUBMISSION_BYTES) : edited;
      fc.pre(toBase64Url(plaintext) !== toBase64Url(whole));
      problemOf(await send(node, kind, plaintext));
    });
    await fc.assert(property, { numRuns: fuzzRuns(400) });
    await node.unharmed();
  });

  it('takes none whose structure is another, whatever stands in it', async () => {
    const node = await started();
    const { operation, payload } = submissions(node).register;
    const encoded = encodeOperation(operation);
    const leaf = fc.oneof(
      fc.maxSafeNat(),
      fc.constantFrom(-1, 2 ** 48, 2 ** 48 + 1, 0, 255, 256),
      fc.string({ maxLength: 40 }).map((text) => text.toWellFormed().replace('\ufeff', '')),
      fc.uint8Array({ maxLength: 80 }),
      fc.uint8Array({ minLength: 32, maxLength: 33 }),
      fc.boolean(),
      fc.constant(null),
      fc.array(fc.nat(), { maxLength: 3 }),
    ) as fc.Arbitrary<CborValue>;
    const changes = (names: readonly string[]) =>
      fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string({ unit: 'grapheme-ascii', maxLength: 5 })), leaf, {
        minKeys: 1,
        maxKeys: 3,
        noNullPrototype: true,
      });
    const shapes = fc.record({
      outer: fc.option(changes(['operation', 'payload']), { nil: {} }),
      inner: changes(['kind', 'dataKey', 'detectionKey', 'seed', 'n']),
      dropped: fc.constantFrom(undefined, 'kind', 'dataKey', 'detectionKey'),
    });
    const property = fc.asyncProperty(shapes, async ({ outer, inner, dropped }) => {
      const changed: Record<string, CborValue | undefined> = { ...payload, ...inner };
      if (dropped) changed[dropped] = undefined;
      const content = encodeCbor({ operation: encoded, payload: changed, ...outer });
      fc.pre(content.length < SUBMISSION_BYTES);
      problemOf(await send(node, 'register', pad(content, SUBMISSION_BYTES)));
    });
    await fc.assert(property, { numRuns: fuzzRuns(300) });
    await node.unharmed();
  });

  it('names the field of a payload and of an operation that is wrong', async () => {
    const node = await started();
    const { operation, payload } = submissions(node).register;
    const cases: [string, CborValue, Record<string, CborValue>][] = [
      ['operation', new Uint8Array(0), {}],
      ['operation', 'text', {}],
      ['operation', new Uint8Array(513), {}],
      ['dataKey', encodeOperation(operation), { ...payload, dataKey: new Uint8Array(31) }],
      ['detectionKey', encodeOperation(operation), { ...payload, detectionKey: new Uint8Array(0) }],
      ['detectionKey', encodeOperation(operation), { ...payload, detectionKey: new Uint8Array(700) }],
      ['seed', encodeOperation(operation), { kind: 'seed', seed: new Uint8Array(33), n: 3 }],
      ['n', encodeOperation(operation), { kind: 'seed', seed: new Uint8Array(32), n: 256 }],
      ['extra', encodeOperation(operation), { kind: 'seed', seed: new Uint8Array(32), n: 3, extra: 1 }],
      ['payload', encodeOperation(operation), { ...payload, extra: 1 }],
    ];
    for (const [field, bytes, changed] of cases) {
      const content = encodeCbor({ operation: bytes, payload: Object.keys(changed).length > 0 ? changed : undefined });
      const { code, detail } = problemOf(await send(node, 'register', pad(content, SUBMISSION_BYTES)));
      expect([code, detail], field).toEqual(['bad-shape', expect.stringContaining(field)]);
    }
    const fields: [string, CborValue, string][] = [
      ['version', -1, 'bad-shape'],
      ['expiryHeight', 2 ** 48 + 1, 'bad-shape'],
      ['birthday', 'x', 'bad-shape'],
      ['regId', new Uint8Array(31), 'bad-shape'],
      ['clusterId', new Uint8Array(33), 'bad-shape'],
      ['inner', null, 'bad-shape'],
      ['authPublicKey', [], 'bad-shape'],
      ['signature', new Uint8Array(63), 'bad-shape'],
    ];
    const wire = { ...operation, clusterId: fromBase64Url(operation.clusterId), regId: fromBase64Url(operation.regId) };
    for (const [field, value, expected] of fields) {
      const bytes = encodeCbor({ ...wire, [field]: value } as CborValue);
      const content = encodeCbor({ operation: bytes, payload });
      const { code, detail } = problemOf(await send(node, 'register', pad(content, SUBMISSION_BYTES)));
      expect([code, detail], field).toEqual([expected, expect.stringContaining(field)]);
    }
    await node.unharmed();
  });
});
