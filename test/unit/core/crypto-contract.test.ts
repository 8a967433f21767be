// One suite for both sides of #crypto and for what simulations have in their place, and a comparison of their answers on
// random and on hostile input.

import { ED25519_TORSION_SUBGROUP, ed25519 } from '@noble/curves/ed25519.js';
import { p256 } from '@noble/curves/nist.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bigintToLe, concatBytes, fromHex, leToBigint, toHex, utf8 } from '../../../src/core/bytes.ts';
import type { CryptoDoor } from '../../../src/core/crypto/door.ts';
import * as noble from '../../../src/core/crypto/noble.ts';
import * as node from '../../../src/core/crypto/node.ts';
import * as simulator from '../../sim/simulator/crypto.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { codeOf, failureOf } from '../../support/outcome.ts';

const sides: [string, CryptoDoor][] = [
  ['node', node],
  ['noble', noble],
  ['simulator', simulator],
];
const EMPTY = new Uint8Array(0);
const ascending = (length: number, first = 0): Uint8Array => Uint8Array.from({ length }, (_, i) => first + i);

/** RFC 8032, section 7.1: secret, public key, message, signature. */
const RFC_8032 = [
  [
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
] as const;

const POEM =
  "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";

describe.each(sides)('#crypto, side %s', (_name, crypto) => {
  it('hashes as FIPS 180-4 says', () => {
    expect(toHex(crypto.sha256(utf8('abc')))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(toHex(crypto.sha256(EMPTY))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(toHex(crypto.sha384(utf8('abc')))).toBe(
      'cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7',
    );
    expect(toHex(crypto.sha512(utf8('abc')))).toBe(
      'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a' +
        '2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    );
  });

  it('gives SHAKE256 of any length, as FIPS 202 says', () => {
    const empty = '46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762fd75dc4ddd8c0f200cb05019d67b592f6';
    expect(toHex(crypto.shake256(EMPTY, 48))).toBe(empty);
    expect(toHex(crypto.shake256(EMPTY, 5))).toBe(empty.slice(0, 10));
    expect(toHex(crypto.shake256(utf8('abc'), 32))).toBe(
      '483366601360a8771c6863080cc4114d8db44530f8f1e1ee4f94ea37e78b5739',
    );
    expect(crypto.shake256(utf8('abc'), 0)).toEqual(EMPTY);
    expect(crypto.shake256(utf8('abc'), 1000).length).toBe(1000);
  });

  it('derives keys as RFC 5869, case 1, says', () => {
    const prk = crypto.hkdfExtract(fromHex('000102030405060708090a0b0c'), new Uint8Array(22).fill(0x0b));
    expect(toHex(prk)).toBe('077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5');
    const okm = crypto.hkdfExpand(prk, fromHex('f0f1f2f3f4f5f6f7f8f9'), 42);
    expect(toHex(okm)).toBe('3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865');
    expect(crypto.hkdfExpand(prk, EMPTY, 0)).toEqual(EMPTY);
    expect(crypto.hkdfExpand(prk, EMPTY, 255 * 32).length).toBe(8160);
    expect(codeOf(() => crypto.hkdfExpand(prk, EMPTY, 255 * 32 + 1))).toBe('out-of-range');
    expect(codeOf(() => crypto.hkdfExpand(prk.subarray(1), EMPTY, 42))).toBe('bad-key');
  });

  it('authenticates as RFC 4231, case 2, says', () => {
    expect(toHex(crypto.hmacSha256(utf8('Jefe'), utf8('what do ya want for nothing?')))).toBe(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    );
  });

  it('seals with ChaCha20-Poly1305 as RFC 8439, section 2.8.2, says', () => {
    const key = ascending(32, 0x80);
    const nonce = fromHex('070000004041424344454647');
    const aad = fromHex('50515253c0c1c2c3c4c5c6c7');
    const sealed = crypto.chacha20Poly1305Seal(key, nonce, utf8(POEM), aad);
    expect(toHex(sealed)).toBe(
      'd31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6' +
        '3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36' +
        '92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc' +
        '3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691',
    );
    expect(crypto.chacha20Poly1305Open(key, nonce, sealed, aad)).toEqual(utf8(POEM));
  });

  it('seals with XChaCha20-Poly1305 as the draft, appendix A.3.1, says', () => {
    const key = ascending(32, 0x80);
    const nonce = ascending(24, 0x40);
    const aad = fromHex('50515253c0c1c2c3c4c5c6c7');
    const sealed = crypto.xchacha20Poly1305Seal(key, nonce, utf8(POEM), aad);
    expect(toHex(sealed)).toBe(
      'bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb' +
        '731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452' +
        '2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9' +
        '21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49',
    );
    expect(crypto.xchacha20Poly1305Open(key, nonce, sealed, aad)).toEqual(utf8(POEM));
  });

  it.each(['chacha20Poly1305', 'xchacha20Poly1305'] as const)('opens with %s nothing that was altered', (cipher) => {
    const [seal, open] = [crypto[`${cipher}Seal`], crypto[`${cipher}Open`]];
    const key = ascending(32);
    const nonce = ascending(cipher === 'chacha20Poly1305' ? 12 : 24);
    const sealed = seal(key, nonce, utf8('text'), utf8('aad'));
    for (let bit = 0; bit < 8 * sealed.length; bit++) {
      const altered = sealed.slice();
      altered[bit >> 3]! ^= 1 << (bit & 7);
      expect(open(key, nonce, altered, utf8('aad'))).toBeUndefined();
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(open(key, nonce, sealed.subarray(0, length), utf8('aad'))).toBeUndefined();
    }
    expect(open(key, nonce, sealed, EMPTY)).toBeUndefined();
    expect(open(ascending(32, 1), nonce, sealed, utf8('aad'))).toBeUndefined();
    expect(open(key, nonce.toReversed(), sealed, utf8('aad'))).toBeUndefined();
    expect(open(key, nonce, seal(key, nonce, EMPTY, EMPTY), EMPTY)).toEqual(EMPTY);
  });

  it.each([0, 11, 13, 16, 23, 25, 31, 33, 64])('refuses keys and nonces of %d bytes', (length) => {
    const odd = ascending(length);
    const key = ascending(32);
    const tagged = new Uint8Array(16);
    for (const call of [
      () => crypto.chacha20Poly1305Seal(odd, ascending(12), EMPTY, EMPTY),
      () => crypto.chacha20Poly1305Seal(key, odd, EMPTY, EMPTY),
      () => crypto.chacha20Poly1305Open(odd, ascending(12), tagged, EMPTY),
      () => crypto.chacha20Poly1305Open(key, odd, tagged, EMPTY),
      () => crypto.xchacha20Poly1305Seal(odd, ascending(24), EMPTY, EMPTY),
      () => crypto.xchacha20Poly1305Seal(key, odd, EMPTY, EMPTY),
      () => crypto.xchacha20Poly1305Open(odd, ascending(24), tagged, EMPTY),
      () => crypto.xchacha20Poly1305Open(key, odd, tagged, EMPTY),
      () => crypto.ed25519PublicKey(odd),
      () => crypto.ed25519Sign(odd, EMPTY),
      () => crypto.ed25519Signer(odd),
      () => crypto.x25519PublicKey(odd),
      () => crypto.x25519Own(odd),
      () => crypto.x25519Own(key).agree(odd),
      () => crypto.x25519(odd, key),
      () => crypto.x25519(key, odd),
    ]) {
      expect(failureOf(call)?.code).toBe('bad-key');
    }
    expect(crypto.ed25519Verify(odd, EMPTY, new Uint8Array(64))).toBe(false);
    expect(crypto.p256Verify(odd, EMPTY, new Uint8Array(length === 64 ? 63 : 64))).toBe(false);
    if (length !== 64) expect(crypto.ed25519Verify(fromHex(RFC_8032[0][1]), EMPTY, odd)).toBe(false);
  });

  it.each(RFC_8032)('signs and verifies as RFC 8032, section 7.1, says: secret %s', (secret, key, message, signed) => {
    expect(toHex(crypto.ed25519PublicKey(fromHex(secret)))).toBe(key);
    expect(toHex(crypto.ed25519Sign(fromHex(secret), fromHex(message)))).toBe(signed);
    const own = fromHex(secret);
    const sign = crypto.ed25519Signer(own);
    own.fill(0);
    expect([toHex(sign(fromHex(message))), toHex(sign(fromHex(message)))]).toEqual([signed, signed]);
    expect(crypto.ed25519Verify(fromHex(key), fromHex(message), fromHex(signed))).toBe(true);
    expect(crypto.ed25519Verify(fromHex(key), fromHex(`${message}00`), fromHex(signed))).toBe(false);
  });

  it('agrees on X25519 secrets as RFC 7748, sections 5.2 and 6.1, says', () => {
    const scalar = fromHex('a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4');
    const u = fromHex('e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c');
    expect(toHex(crypto.x25519(scalar, u)!)).toBe('c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552');
    const second = fromHex('4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d');
    const topBit = fromHex('e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493');
    expect(toHex(crypto.x25519(second, topBit)!)).toBe(
      '95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957',
    );
    const alice = fromHex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a');
    const bob = fromHex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb');
    const aliceKey = '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a';
    const bobKey = 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f';
    expect(toHex(crypto.x25519PublicKey(alice))).toBe(aliceKey);
    expect(toHex(crypto.x25519PublicKey(bob))).toBe(bobKey);
    const shared = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
    expect(toHex(crypto.x25519(alice, fromHex(bobKey))!)).toBe(shared);
    expect(toHex(crypto.x25519(bob, fromHex(aliceKey))!)).toBe(shared);
    const own = alice.slice();
    const imported = crypto.x25519Own(own);
    own.fill(0);
    expect(toHex(imported.publicKey)).toBe(aliceKey);
    for (let i = 0; i < 2; i++) expect(toHex(imported.agree(fromHex(bobKey))!)).toBe(shared);
    expect(imported.agree(new Uint8Array(32))).toBeUndefined();
  });

  it('gives results that are their own memory, whatever the caller does with them', () => {
    const secret = ascending(32);
    for (const make of [
      () => crypto.sha256(EMPTY),
      () => crypto.hmacSha256(secret, EMPTY),
      () => crypto.x25519PublicKey(secret),
      () => crypto.ed25519Sign(secret, EMPTY),
      () => crypto.chacha20Poly1305Seal(secret, ascending(12), EMPTY, EMPTY),
    ]) {
      const first = make();
      const before = first.slice();
      const second = make();
      second.fill(0);
      expect(first).toEqual(before);
      expect(Object.getPrototypeOf(first)).toBe(Uint8Array.prototype);
      expect(first.byteLength).toBe(first.buffer.byteLength);
    }
    expect(secret).toEqual(ascending(32));
  });
});

/** A call's outcome on each side, comparable. */
function all<T>(call: (crypto: CryptoDoor) => T): unknown[] {
  const outcome = (crypto: CryptoDoor): unknown => {
    let value: unknown;
    const code = codeOf(() => {
      value = call(crypto);
    });
    return code ?? (value instanceof Uint8Array ? toHex(value) : value);
  };
  // The simulator's twice: what it remembers is the same.
  return [node, noble, simulator, simulator].map(outcome);
}

function expectAlike<T>(call: (crypto: CryptoDoor) => T): unknown {
  const [one, ...others] = all(call);
  for (const other of others) expect(other).toEqual(one);
  return one;
}

describe('both sides of #crypto answer alike', () => {
  const data = fc.uint8Array({ maxLength: 200 });
  const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
  /** Views that begin at odd offsets, as parts of messages do. */
  const shifted = (bytes: Uint8Array): Uint8Array => concatBytes(Uint8Array.of(1), bytes).subarray(1);

  it('for hashes and derivation of any input', () => {
    fc.assert(
      fc.property(data, data, fc.nat({ max: 300 }), (a, b, length) => {
        expectAlike((crypto) => crypto.sha256(shifted(a)));
        expectAlike((crypto) => crypto.sha384(a));
        expectAlike((crypto) => crypto.sha512(a));
        expectAlike((crypto) => crypto.shake256(shifted(a), length));
        expectAlike((crypto) => crypto.hmacSha256(a, b));
        expectAlike((crypto) => crypto.hkdfExtract(a, b));
        expectAlike((crypto) => crypto.hkdfExpand(crypto.sha256(a), b, length));
        // RFC 5869 wants 32 bytes at least; both sides must say so or neither.
        expectAlike((crypto) => crypto.hkdfExpand(a, b, length));
      }),
      { numRuns: fuzzRuns(200), examples: [[EMPTY, EMPTY, 0]] },
    );
  });

  it('for sealing and opening anything', () => {
    const cases = fc.record({ key, nonce: fc.uint8Array({ minLength: 24, maxLength: 24 }), data, aad: data });
    fc.assert(
      fc.property(cases, fc.nat(), ({ key, nonce, data, aad }, bit) => {
        const short = nonce.subarray(0, 12);
        expectAlike((crypto) => crypto.chacha20Poly1305Seal(shifted(key), short, shifted(data), aad));
        expectAlike((crypto) => crypto.xchacha20Poly1305Seal(key, shifted(nonce), data, shifted(aad)));
        const sealed = node.xchacha20Poly1305Seal(key, nonce, data, aad);
        expect(expectAlike((crypto) => crypto.xchacha20Poly1305Open(key, nonce, shifted(sealed), aad))).toBe(
          toHex(data),
        );
        sealed[bit % sealed.length]! ^= 1 << (bit & 7);
        expect(expectAlike((crypto) => crypto.xchacha20Poly1305Open(key, nonce, sealed, aad))).toBeUndefined();
        expect(expectAlike((crypto) => crypto.chacha20Poly1305Open(key, short, data, aad))).toBeUndefined();
      }),
      { numRuns: fuzzRuns(200) },
    );
  });

  it('for signatures and key agreement with any keys', () => {
    fc.assert(
      fc.property(key, key, data, (secret, other, message) => {
        expectAlike((crypto) => crypto.ed25519PublicKey(shifted(secret)));
        expectAlike((crypto) => crypto.ed25519Sign(secret, shifted(message)));
        const signature = node.ed25519Sign(secret, message);
        const publicKey = node.ed25519PublicKey(secret);
        expect(expectAlike((crypto) => crypto.ed25519Verify(shifted(publicKey), message, shifted(signature)))).toBe(
          true,
        );
        expectAlike((crypto) => crypto.ed25519Verify(other, message, signature));
        expectAlike((crypto) => crypto.ed25519Verify(publicKey, message, concatBytes(other, secret)));
        expectAlike((crypto) => crypto.x25519PublicKey(secret));
        expectAlike((crypto) => crypto.x25519(shifted(secret), shifted(other)));
      }),
      { numRuns: fuzzRuns(60) },
    );
  });
});

describe('X25519 at its edges', () => {
  const SMALL_ORDER = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ];

  it.each(SMALL_ORDER)('gives no secret for the point %s of small order, with and without its top bit', (hex) => {
    const topBit = fromHex(hex);
    topBit[31]! |= 0x80;
    for (const point of [fromHex(hex), topBit]) {
      expect(expectAlike((crypto) => crypto.x25519(ascending(32), point))).toBeUndefined();
    }
  });

  it('takes coordinates that are not reduced, ignores the top bit and clamps secrets', () => {
    // 2^255 - 19 + 9 is the base point again.
    const nine = Uint8Array.of(9, ...new Uint8Array(31));
    const unreduced = bigintToLe(2n ** 255n - 19n + 9n, 32);
    const topBit = nine.slice();
    topBit[31] = 0x80;
    for (const secret of [ascending(32), new Uint8Array(32), new Uint8Array(32).fill(0xff)]) {
      const publicKey = expectAlike((crypto) => crypto.x25519PublicKey(secret));
      for (const point of [nine, unreduced, topBit]) {
        expect(expectAlike((crypto) => crypto.x25519(secret, point))).toBe(publicKey);
      }
    }
  });
});

describe('Ed25519 at its edges', () => {
  const { Point } = ed25519;
  const order = Point.Fn.ORDER;
  const FIELD = 2n ** 255n - 19n;
  const message = utf8('message');
  const torsion = ED25519_TORSION_SUBGROUP.map((hex) => Point.fromHex(hex));
  const TORSION_NAMES = torsion.map((point, i) => [i, point] as const).filter(([, point]) => !point.is0());

  const challenge = (r: Uint8Array, a: Uint8Array, text: Uint8Array): bigint =>
    leToBigint(node.sha512(concatBytes(r, a, text))) % order;

  /** A signature over `text` by the scalar `a`, with any points added to what is published of R and A. */
  function forge(text: Uint8Array, extraR: typeof Point.BASE, extraA: typeof Point.BASE) {
    const [a, r] = [leToBigint(ascending(31, 3)), leToBigint(ascending(31, 7))];
    const publicKey = Point.BASE.multiply(a).add(extraA).toBytes();
    const encodedR = Point.BASE.multiply(r).add(extraR).toBytes();
    const k = challenge(encodedR, publicKey, text);
    const signature = concatBytes(encodedR, bigintToLe((r + k * a) % order, 32));
    return { publicKey, signature, k };
  }

  const verify = (publicKey: Uint8Array, text: Uint8Array, signature: Uint8Array): unknown =>
    expectAlike((crypto) => crypto.ed25519Verify(publicKey, text, signature));

  it('accepts a signature made by hand, so that the forgeries below differ by one thing only', () => {
    const { publicKey, signature } = forge(message, Point.ZERO, Point.ZERO);
    expect(verify(publicKey, message, signature)).toBe(true);
  });

  it('knows seven points of small order besides zero', () => {
    expect(TORSION_NAMES.length).toBe(7);
  });

  it.each(TORSION_NAMES)('refuses what only a verifier with cofactor accepts: torsion %d in R', (_i, point) => {
    const { publicKey, signature } = forge(message, point, Point.ZERO);
    expect(ed25519.verify(signature, message, publicKey, { zip215: true })).toBe(true);
    expect(verify(publicKey, message, signature)).toBe(false);
  });

  it.each(TORSION_NAMES)('judges a key with torsion %d by the equation without cofactor', (_i, point) => {
    const seen = new Set<unknown>();
    for (let i = 0; i < 40; i++) {
      const text = utf8(`message ${i}`);
      const { publicKey, signature, k } = forge(text, Point.ZERO, point);
      expect(ed25519.verify(signature, text, publicKey, { zip215: true })).toBe(true);
      const holds = k === 0n || point.multiplyUnsafe(k).is0();
      expect(verify(publicKey, text, signature)).toBe(holds);
      seen.add(holds);
    }
    expect(seen).toContain(false);
  });

  it.each(TORSION_NAMES)('refuses keys of small order: torsion %d, in both signs and unreduced', (_i, point) => {
    const canonical = point.toBytes();
    const otherSign = canonical.slice();
    otherSign[31]! ^= 0x80;
    const y = leToBigint(canonical) & (2n ** 255n - 1n);
    const keys = [canonical, otherSign];
    if (y < 19n) keys.push(bigintToLe(y + FIELD, 32), bigintToLe(y + FIELD + 2n ** 255n, 32));
    for (const publicKey of keys) {
      for (const r of torsion) {
        // R = -k * A with s = 0 satisfies the equation for a key of small order, whatever the message.
        expect(verify(publicKey, message, concatBytes(r.toBytes(), new Uint8Array(32)))).toBe(false);
      }
    }
  });

  it('refuses the neutral point as key, in all its spellings', () => {
    for (const y of [1n, 1n + 2n ** 255n, FIELD + 1n, FIELD + 1n + 2n ** 255n]) {
      const signature = concatBytes(Point.ZERO.toBytes(), new Uint8Array(32));
      expect(verify(bigintToLe(y, 32), message, signature)).toBe(false);
    }
  });

  it('refuses keys whose y is not reduced or is on no point', () => {
    for (let extra = 0n; extra < 19n; extra++) {
      for (const sign of [0n, 2n ** 255n]) {
        expect(
          verify(bigintToLe(FIELD + extra + sign, 32), message, forge(message, Point.ZERO, Point.ZERO).signature),
        ).toBe(false);
      }
    }
    for (let y = 2n; y < 40n; y++) {
      verify(bigintToLe(y, 32), message, forge(message, Point.ZERO, Point.ZERO).signature);
    }
  });

  it('refuses s that is not below the order', () => {
    const { publicKey, signature } = forge(message, Point.ZERO, Point.ZERO);
    const s = leToBigint(signature.subarray(32));
    for (const other of [s + order, s + 2n * order, s + 8n * order, order, 2n ** 255n - 1n, 2n ** 256n - 1n]) {
      const altered = concatBytes(signature.subarray(0, 32), bigintToLe(other, 32));
      expect(verify(publicKey, message, altered)).toBe(false);
    }
  });

  it('refuses an R of small order, in any spelling: versions of OpenSSL differ about it', () => {
    // s = k * a makes R the neutral point: y = 1, which also reads as p + 1 and with the sign bit.
    const a = leToBigint(ascending(31, 3));
    const publicKey = Point.BASE.multiply(a).toBytes();
    const outcomes = [1n, 1n + 2n ** 255n, FIELD + 1n, FIELD + 1n + 2n ** 255n].map((y) => {
      const r = bigintToLe(y, 32);
      const k = challenge(r, publicKey, message);
      return verify(publicKey, message, concatBytes(r, bigintToLe((k * a) % order, 32)));
    });
    expect(outcomes).toEqual([false, false, false, false]);
  });

  it('refuses any flipped bit', () => {
    const { publicKey, signature } = forge(message, Point.ZERO, Point.ZERO);
    const bits = fc.nat({ max: 8 * (signature.length + publicKey.length) - 1 });
    fc.assert(
      fc.property(bits, (bit) => {
        const altered = concatBytes(signature, publicKey);
        altered[bit >> 3]! ^= 1 << (bit & 7);
        expect(verify(altered.subarray(64), message, altered.subarray(0, 64))).toBe(false);
      }),
      { numRuns: fuzzRuns(100) },
    );
  });
});

describe('P-256 at its edges', () => {
  const { Point } = p256;
  const order = Point.Fn.ORDER;
  const FIELD = Point.Fp.ORDER;
  const secret = ascending(32, 1);
  const message = utf8('message');
  const publicKey = p256.getPublicKey(secret, false).subarray(1);
  const signature = p256.sign(message, secret, { lowS: false, prehash: true });
  const be = (value: bigint): Uint8Array => bigintToLe(value, 32).toReversed();
  const fromBe = (bytes: Uint8Array): bigint => leToBigint(bytes.toReversed());
  const [r, s] = [fromBe(signature.subarray(0, 32)), fromBe(signature.subarray(32))];

  const verify = (key: Uint8Array, text: Uint8Array, signed: Uint8Array): unknown =>
    expectAlike((crypto) => crypto.p256Verify(key, text, signed));

  it('imports a key once for several signatures, and none that is off the curve', () => {
    const answers = expectAlike((crypto) => {
      const key = crypto.p256PublicKey(publicKey);
      const others = [message, utf8('other')].map((text) => key?.verify(text, signature));
      return [...others, key?.verify(message, signature.subarray(1)), key?.verify(message, new Uint8Array(64))];
    });
    expect(answers).toEqual([true, false, false, false]);
    for (const wrong of [EMPTY, publicKey.subarray(1), new Uint8Array(64), new Uint8Array(64).fill(0xff)]) {
      expect(expectAlike((crypto) => crypto.p256PublicKey(wrong) === undefined)).toBe(true);
    }
  });

  it('accepts the signature of RFC 6979, appendix A.2.5', () => {
    const key = fromHex(
      '60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6' +
        '7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299',
    );
    const signed = fromHex(
      'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716' +
        'f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8',
    );
    expect(verify(key, utf8('sample'), signed)).toBe(true);
    expect(verify(key, utf8('test'), signed)).toBe(false);
  });

  it('accepts s and its high or low twin', () => {
    expect(verify(publicKey, message, signature)).toBe(true);
    expect(verify(publicKey, message, concatBytes(be(r), be(order - s)))).toBe(true);
  });

  it('refuses r or s that is zero or not below the order', () => {
    for (const value of [0n, order, order + 1n, 2n ** 256n - 1n]) {
      expect(verify(publicKey, message, concatBytes(be(value), be(s)))).toBe(false);
      expect(verify(publicKey, message, concatBytes(be(r), be(value)))).toBe(false);
      expect(verify(publicKey, message, concatBytes(be(value), be(value)))).toBe(false);
    }
    for (const [small, other] of [[r, s] as const, [s, r] as const]) {
      if (small + order < 2n ** 256n) {
        expect(verify(publicKey, message, concatBytes(be(small + order), be(other)))).toBe(false);
      }
    }
  });

  it('refuses keys off the curve, the point at infinity and unreduced coordinates', () => {
    const [x, y] = [publicKey.subarray(0, 32), publicKey.subarray(32)];
    const keys = [
      new Uint8Array(64),
      new Uint8Array(64).fill(0xff),
      concatBytes(y, x),
      concatBytes(x, be(fromBe(y) ^ 1n)),
      concatBytes(x, new Uint8Array(32)),
      concatBytes(be(FIELD), y),
    ];
    for (const key of keys) expect(verify(key, message, signature)).toBe(false);
  });

  it('refuses a point in a second spelling, x + p for a small x', () => {
    // The first x from 0 on that is on the curve; x + p still fits 32 bytes.
    let spelled = 0;
    for (let x = 0n; x < 20n && spelled < 3; x++) {
      let point: InstanceType<typeof Point>;
      try {
        point = Point.fromBytes(concatBytes(Uint8Array.of(2), be(x)));
      } catch {
        continue;
      }
      spelled++;
      const key = concatBytes(be(x), be(point.y));
      const second = concatBytes(be(x + FIELD), be(point.y));
      // The honest spelling is judged alike as well; only the second one is no key at all.
      verify(key, message, signature);
      expect(verify(second, message, signature)).toBe(false);
      expect(() => Point.fromBytes(concatBytes(Uint8Array.of(4), second))).toThrow();
    }
    expect(spelled).toBe(3);
  });

  it('judges any bytes alike', () => {
    const bytes64 = fc.uint8Array({ minLength: 64, maxLength: 64 });
    fc.assert(
      fc.property(bytes64, bytes64, fc.nat({ max: 1023 }), (key, signed, bit) => {
        verify(publicKey, message, signed);
        verify(key, message, signature);
        const altered = concatBytes(publicKey, signature);
        altered[bit >> 3]! ^= 1 << (bit & 7);
        expect(verify(altered.subarray(0, 64), message, altered.subarray(64))).toBe(false);
      }),
      { numRuns: fuzzRuns(100) },
    );
  });
});
