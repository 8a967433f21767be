import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/core/bytes.ts';
import { hpkeGenerateKeyPair } from '../../../src/core/hpke.ts';
import { clusterIdFromBytes, nodeIdFromBytes } from '../../../src/core/ids.ts';
import {
  fromSealedBox,
  openRequest,
  type RequestContext,
  sealRequest,
  toSealedBox,
} from '../../../src/core/sealed-request.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const random = seededRandom('sealed requests');
const keyPair = hpkeGenerateKeyPair(random);
const context: RequestContext = {
  clusterId: clusterIdFromBytes(random.bytes(32)),
  nodeId: nodeIdFromBytes(random.bytes(32)),
  kind: 'register',
};
const seal = (plaintext: Uint8Array) => sealRequest({ random }, keyPair.publicKey, context, plaintext);
const refused = (code: string) => expect.objectContaining({ code });

describe('sealed requests', () => {
  it('open at the node they are for, and their answers at who sent them', () => {
    const { request, openAnswer } = seal(utf8('an operation'));
    const { plaintext, sealAnswer } = openRequest({ random }, keyPair, context, request);
    expect(plaintext).toEqual(utf8('an operation'));
    expect(openAnswer(sealAnswer(utf8('done')))).toEqual(utf8('done'));
  });

  it('travel as base64url under the name of their suite', () => {
    const { request } = seal(utf8('x'));
    expect(fromSealedBox(toSealedBox(request))).toEqual(request);
    expect(() => fromSealedBox({ ...toSealedBox(request), suite: 'rot13' })).toThrow(refused('unknown-suite'));
    expect(() => fromSealedBox({ ...toSealedBox(request), enc: 'A' })).toThrow(refused('bad-base64url'));
  });

  it('do not open for another node, cluster, kind or key', () => {
    const { request } = seal(utf8('x'));
    const others: RequestContext[] = [
      { ...context, kind: 'revoke' },
      { ...context, nodeId: nodeIdFromBytes(random.bytes(32)) },
      { ...context, clusterId: clusterIdFromBytes(random.bytes(32)) },
    ];
    for (const other of others) {
      expect(() => openRequest({ random }, keyPair, other, request)).toThrow(refused('hpke-open'));
    }
    const otherKey = hpkeGenerateKeyPair(random);
    expect(() => openRequest({ random }, otherKey, context, request)).toThrow(refused('hpke-open'));
  });

  it('refuse every altered byte, a wrong key encapsulation and gigantic input', () => {
    const { request } = seal(utf8('x'));
    for (const at of [0, 1, request.ciphertext.length - 1]) {
      const ciphertext = request.ciphertext.slice();
      ciphertext[at] = ciphertext[at]! ^ 1;
      expect(() => openRequest({ random }, keyPair, context, { ...request, ciphertext })).toThrow(refused('hpke-open'));
    }
    const open =
      (enc: Uint8Array, ciphertext = request.ciphertext) =>
      () =>
        openRequest({ random }, keyPair, context, { enc, ciphertext });
    expect(open(new Uint8Array(32))).toThrow(refused('hpke-key'));
    expect(open(new Uint8Array(31))).toThrow(refused('hpke-key'));
    expect(open(request.enc, new Uint8Array(40_000))).toThrow(refused('too-large'));
  });

  it('have answers of one size up to a kilobyte', () => {
    const { request, openAnswer } = seal(utf8('x'));
    const { sealAnswer } = openRequest({ random }, keyPair, context, request);
    const answers = [0, 10, 1023].map((length) => sealAnswer(new Uint8Array(length)));
    expect(new Set(answers.map(({ ciphertext }) => ciphertext.length)).size).toBe(1);
    expect(answers.map((answer) => openAnswer(answer)?.length)).toEqual([0, 10, 1023]);
    expect(sealAnswer(new Uint8Array(1024)).ciphertext.length).toBe(answers[0]!.ciphertext.length + 1024);
  });

  it('do not take an answer made for another request, or by somebody in between', () => {
    const first = seal(utf8('x'));
    const second = seal(utf8('x'));
    const { sealAnswer } = openRequest({ random }, keyPair, context, second.request);
    const answer = sealAnswer(utf8('done'));
    expect(first.openAnswer(answer)).toBeUndefined();
    expect(second.openAnswer({ nonce: new Uint8Array(24), ciphertext: answer.ciphertext })).toBeUndefined();
    expect(second.openAnswer({ nonce: new Uint8Array(3), ciphertext: answer.ciphertext })).toBeUndefined();
  });
});
