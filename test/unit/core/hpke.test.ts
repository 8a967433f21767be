import { Chacha20Poly1305 } from '@hpke/chacha20poly1305';
import { CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex, utf8 } from '../../../src/core/bytes.ts';
import {
  HPKE_ENC_BYTES,
  type HpkeKeyPair,
  hpkeDeriveKeyPair,
  hpkeGenerateKeyPair,
  hpkeSetupRecipient,
  hpkeSetupSender,
  setupSenderWith,
} from '../../../src/core/hpke.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { codeOf } from '../../support/outcome.ts';
import { seededRandom } from '../../support/seeded-random.ts';

/** RFC 9180, appendix A.2.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, base mode. */
const RFC = {
  info: '4f6465206f6e2061204772656369616e2055726e',
  ikmE: '909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b',
  pkEm: '1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a',
  skEm: 'f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600',
  ikmR: '1ac01f181fdf9f352797655161c58b75c656a6cc2716dcb66372da835542e1df',
  pkRm: '4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a',
  skRm: '8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb',
  pt: '4265617574792069732074727574682c20747275746820626561757479',
  sealed: {
    0: '1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28',
    1: '6b53c051e4199c518de79594e1c4ab18b96f081549d45ce015be002090bb119e85285337cc95ba5f59992dc98c',
    2: '71146bd6795ccc9c49ce25dda112a48f202ad220559502cef1f34271e0cb4b02b4f10ecac6f48c32f878fae86b',
    4: '63357a2aa291f5a4e5f27db6baa2af8cf77427c7c1a909e0b37214dd47db122bb153495ff0b02e9e54a50dbe16',
    255: '18ab939d63ddec9f6ac2b60d61d36a7375d2070c9b683861110757062c52b8880a5f6b3936da9cd6c23ef2a95c',
    256: '7a4a13e9ef23978e2c520fd4d2e757514ae160cd0cd05e556ef692370ca53076214c0c40d4c728d6ed9e727a5b',
  } as Record<number, string>,
  exported: [
    ['', '4bbd6243b8bb54cec311fac9df81841b6fd61f56538a775e7c80a9f40160606e'],
    ['00', '8c1df14732580e5501b00f82b10a1647b40713191b7c1240ac80e2b68808ba69'],
    ['54657374436f6e74657874', '5acb09211139c43b3090489a9da433e8a30ee7188ba8b0a9a1ccf0c229283e53'],
  ] as [string, string][],
};

const INFO = utf8('kith test');
const AAD = utf8('aad');
const EMPTY = new Uint8Array(0);

/** Two ends of one context. */
function pair(seed = 'hpke', info = INFO) {
  const random = seededRandom(seed);
  const keys = hpkeGenerateKeyPair(random);
  const { enc, context: sender } = hpkeSetupSender({ random }, keys.publicKey, info);
  return { keys, enc, sender, recipient: hpkeSetupRecipient(keys, enc, info) };
}

const flip = (bytes: Uint8Array, bit: number): Uint8Array => {
  const out = bytes.slice();
  const at = bit % (8 * out.length);
  out[at >> 3]! ^= 1 << (at & 7);
  return out;
};

describe('HPKE, by appendix A.2.1 of RFC 9180', () => {
  const ephemeral = (): HpkeKeyPair => hpkeDeriveKeyPair(fromHex(RFC.ikmE));

  it('derives the key pairs', () => {
    expect(toHex(ephemeral().secretKey)).toBe(RFC.skEm);
    expect(toHex(ephemeral().publicKey)).toBe(RFC.pkEm);
    const recipient = hpkeDeriveKeyPair(fromHex(RFC.ikmR));
    expect(toHex(recipient.secretKey)).toBe(RFC.skRm);
    expect(toHex(recipient.publicKey)).toBe(RFC.pkRm);
  });

  it('seals and opens the messages 0 to 256', () => {
    const { enc, context } = setupSenderWith(ephemeral(), fromHex(RFC.pkRm), fromHex(RFC.info));
    expect(toHex(enc)).toBe(RFC.pkEm);
    const recipient = hpkeSetupRecipient(hpkeDeriveKeyPair(fromHex(RFC.ikmR)), enc, fromHex(RFC.info));
    let known = 0;
    for (let sequence = 0; sequence <= 256; sequence++) {
      const aad = utf8(`Count-${sequence}`);
      expect(context.sequence).toBe(sequence);
      const sealed = context.seal(aad, fromHex(RFC.pt));
      const expected = RFC.sealed[sequence];
      if (expected) {
        expect(toHex(sealed)).toBe(expected);
        known++;
      }
      expect(recipient.sequence).toBe(sequence);
      expect(toHex(recipient.open(aad, sealed))).toBe(RFC.pt);
    }
    expect(known).toBe(6);
  });

  it.each(RFC.exported)('exports the secret of context "%s" on both sides', (context, secret) => {
    const sender = setupSenderWith(ephemeral(), fromHex(RFC.pkRm), fromHex(RFC.info));
    expect(toHex(sender.context.export(fromHex(context), 32))).toBe(secret);
    const recipient = hpkeSetupRecipient(hpkeDeriveKeyPair(fromHex(RFC.ikmR)), sender.enc, fromHex(RFC.info));
    expect(toHex(recipient.export(fromHex(context), 32))).toBe(secret);
  });
});

describe('HPKE, against @hpke/core', () => {
  const suite = new CipherSuite({
    kem: new DhkemX25519HkdfSha256(),
    kdf: new HkdfSha256(),
    aead: new Chacha20Poly1305(),
  });
  const message = fc.record({
    info: fc.uint8Array({ maxLength: 40 }),
    aad: fc.uint8Array({ maxLength: 40 }),
    texts: fc.array(fc.uint8Array({ maxLength: 100 }), { minLength: 1, maxLength: 3 }),
    seed: fc.string(),
  });
  const buffer = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer;

  it('opens what it seals, and exports the same secrets', async () => {
    await fc.assert(
      fc.asyncProperty(message, async ({ info, aad, texts, seed }) => {
        const keys = hpkeGenerateKeyPair(seededRandom(seed));
        const recipientPublicKey = await suite.kem.deserializePublicKey(buffer(keys.publicKey));
        const sender = await suite.createSenderContext({ recipientPublicKey, info: buffer(info) });
        const recipient = hpkeSetupRecipient(keys, new Uint8Array(sender.enc), info);
        for (const text of texts) {
          const sealed = new Uint8Array(await sender.seal(buffer(text), buffer(aad)));
          expect(recipient.open(aad, sealed)).toEqual(text);
        }
        expect(recipient.export(aad, 48)).toEqual(new Uint8Array(await sender.export(buffer(aad), 48)));
      }),
      { numRuns: fuzzRuns(40) },
    );
  });

  it('seals what it opens', async () => {
    await fc.assert(
      fc.asyncProperty(message, async ({ info, aad, texts, seed }) => {
        const random = seededRandom(seed);
        const keys = hpkeGenerateKeyPair(random);
        const { enc, context } = hpkeSetupSender({ random }, keys.publicKey, info);
        const recipientKey = await suite.kem.deserializePrivateKey(buffer(keys.secretKey));
        const recipient = await suite.createRecipientContext({ recipientKey, enc: buffer(enc), info: buffer(info) });
        for (const text of texts) {
          const opened = await recipient.open(buffer(context.seal(aad, text)), buffer(aad));
          expect(new Uint8Array(opened)).toEqual(text);
        }
      }),
      { numRuns: fuzzRuns(40) },
    );
  });

  it('derives the same key pairs', async () => {
    const ikm = fromHex(RFC.ikmR);
    const derived = await suite.kem.deriveKeyPair(buffer(ikm));
    const publicKey = new Uint8Array(await suite.kem.serializePublicKey(derived.publicKey));
    expect(hpkeDeriveKeyPair(ikm).publicKey).toEqual(publicKey);
  });
});

describe('an HPKE recipient', () => {
  it('refuses a message a second time', () => {
    const { sender, recipient } = pair();
    const sealed = sender.seal(AAD, utf8('once'));
    expect(recipient.open(AAD, sealed)).toEqual(utf8('once'));
    expect(codeOf(() => recipient.open(AAD, sealed))).toBe('hpke-open');
  });

  it('refuses messages out of order and still opens the right one next', () => {
    const { sender, recipient } = pair();
    const [first, second] = [sender.seal(AAD, utf8('1')), sender.seal(AAD, utf8('2'))];
    expect(codeOf(() => recipient.open(AAD, second))).toBe('hpke-open');
    expect(recipient.sequence).toBe(0);
    expect(recipient.open(AAD, first)).toEqual(utf8('1'));
    expect(recipient.open(AAD, second)).toEqual(utf8('2'));
  });

  it('opens a message by its number, under no other number, and does not count it', () => {
    const { sender, recipient } = pair();
    sender.seal(AAD, utf8('lost'));
    const sealed = sender.seal(AAD, utf8('arrives'));
    expect(recipient.openAt(1, AAD, sealed)).toEqual(utf8('arrives'));
    for (const number of [0, 2, 257, 2 ** 32 + 1]) {
      expect(codeOf(() => recipient.openAt(number, AAD, sealed))).toBe('hpke-open');
    }
    expect(recipient.sequence).toBe(0);
  });

  it.each([-1, 0.5, 2 ** 53, Number.NaN])('knows no message of number %d', (number) => {
    const { recipient } = pair();
    expect(codeOf(() => recipient.openAt(number, AAD, new Uint8Array(16)))).toBe('hpke-exhausted');
  });

  it('refuses any flipped bit, other additional data and cut or longer messages', () => {
    const { sender, recipient } = pair();
    const text = utf8('sealed to a quote');
    const sealed = sender.seal(AAD, text);
    for (let bit = 0; bit < 8 * sealed.length; bit++) {
      expect(codeOf(() => recipient.open(AAD, flip(sealed, bit)))).toBe('hpke-open');
    }
    for (const aad of [EMPTY, utf8('aaD'), utf8('aad ')]) {
      expect(codeOf(() => recipient.open(aad, sealed))).toBe('hpke-open');
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(codeOf(() => recipient.open(AAD, sealed.subarray(0, length)))).toBe('hpke-open');
    }
    expect(codeOf(() => recipient.open(AAD, Uint8Array.from([...sealed, 0])))).toBe('hpke-open');
    expect(recipient.open(AAD, sealed)).toEqual(text);
  });

  it('refuses a message under other info, another key or another enc', () => {
    const { keys, enc, sender } = pair();
    const sealed = sender.seal(AAD, utf8('text'));
    const others = [
      hpkeSetupRecipient(keys, enc, utf8('kith tesT')),
      hpkeSetupRecipient(hpkeGenerateKeyPair(seededRandom('other')), enc, INFO),
      hpkeSetupRecipient(keys, pair('other').enc, INFO),
      // A valid secret key beside a public key that is not its own.
      hpkeSetupRecipient({ ...keys, publicKey: flip(keys.publicKey, 3) }, enc, INFO),
    ];
    for (const other of others) expect(codeOf(() => other.open(AAD, sealed))).toBe('hpke-open');
  });

  it('does not open what the other direction sealed', () => {
    const there = pair('there');
    const back = hpkeSetupSender({ random: seededRandom('back') }, there.keys.publicKey, INFO);
    const sealed = back.context.seal(AAD, utf8('text'));
    expect(codeOf(() => there.recipient.open(AAD, sealed))).toBe('hpke-open');
  });
});

describe('HPKE keys', () => {
  /** The u coordinates of small order (RFC 7748, section 6.1), one of them not reduced, one with the top bit set. */
  const SMALL_ORDER = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    '0000000000000000000000000000000000000000000000000000000000000080',
  ];

  it.each(SMALL_ORDER)('of small order are refused on both sides: %s', (hex) => {
    const random = seededRandom('small');
    expect(codeOf(() => hpkeSetupSender({ random }, fromHex(hex), INFO))).toBe('hpke-key');
    expect(codeOf(() => hpkeSetupRecipient(hpkeGenerateKeyPair(random), fromHex(hex), INFO))).toBe('hpke-key');
  });

  it.each([0, 31, 33])('of %d bytes are refused on both sides', (length) => {
    const random = seededRandom('length');
    expect(codeOf(() => hpkeSetupSender({ random }, new Uint8Array(length).fill(9), INFO))).toBe('hpke-key');
    const recipient = hpkeGenerateKeyPair(random);
    expect(codeOf(() => hpkeSetupRecipient(recipient, new Uint8Array(length).fill(9), INFO))).toBe('hpke-key');
  });

  it('are fresh for each context', () => {
    const random = seededRandom('fresh');
    const keys = hpkeGenerateKeyPair(random);
    const one = hpkeSetupSender({ random }, keys.publicKey, INFO);
    const two = hpkeSetupSender({ random }, keys.publicKey, INFO);
    expect(one.enc.length).toBe(HPKE_ENC_BYTES);
    expect(one.enc).not.toEqual(two.enc);
    expect(one.context.seal(AAD, EMPTY)).not.toEqual(two.context.seal(AAD, EMPTY));
  });

  it('made for one context are overwritten, also when the other key is refused', () => {
    for (const publicKey of [pair().keys.publicKey, new Uint8Array(32), new Uint8Array(31)]) {
      const ephemeral = hpkeGenerateKeyPair(seededRandom('ephemeral'));
      codeOf(() => setupSenderWith(ephemeral, publicKey, INFO));
      expect(ephemeral.secretKey).toEqual(new Uint8Array(32));
    }
  });
});

describe('a wiped HPKE context', () => {
  it('neither seals nor opens nor exports', () => {
    const { sender, recipient } = pair();
    const sealed = sender.seal(AAD, EMPTY);
    sender.wipe();
    recipient.wipe();
    recipient.wipe();
    expect(codeOf(() => sender.seal(AAD, EMPTY))).toBe('hpke-key');
    expect(codeOf(() => sender.export(EMPTY, 32))).toBe('hpke-key');
    expect(codeOf(() => recipient.open(AAD, sealed))).toBe('hpke-key');
    expect(codeOf(() => recipient.openAt(0, AAD, sealed))).toBe('hpke-key');
    expect(codeOf(() => recipient.export(EMPTY, 32))).toBe('hpke-key');
  });

  it('leaves the other side and the key pair usable', () => {
    const { keys, enc, sender, recipient } = pair();
    recipient.wipe();
    const sealed = sender.seal(AAD, utf8('later'));
    expect(hpkeSetupRecipient(keys, enc, INFO).open(AAD, sealed)).toEqual(utf8('later'));
  });
});
