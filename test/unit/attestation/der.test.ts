import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRevocationList } from '../../../src/attestation/crl.ts';
import {
  DerReader,
  derBoolean,
  derEcdsaSignature,
  derNamedBits,
  derOid,
  derTime,
  derUnsigned,
  TAG,
} from '../../../src/attestation/der.ts';
import { formatPemChain, parsePemChain } from '../../../src/attestation/pem.ts';
import { deriveKey, issueCertificate, issueCrl } from '../../../src/attestation/simulated/authority.ts';
import { der, ecdsaSignature, oid, sequence, small, unsigned } from '../../../src/attestation/simulated/der-writer.ts';
import { formatIsoTime, parseIsoTime, unixSeconds } from '../../../src/attestation/time.ts';
import { parseCertificate } from '../../../src/attestation/x509.ts';
import { concatBytes, fromHex, toHex, utf8 } from '../../../src/core/bytes.ts';
import { isKithError } from '../../../src/core/errors.ts';
import { NOW, pki, platform } from '../../support/attestation.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { applyEdits, edits } from '../../support/mutations.ts';

const bad = expect.objectContaining({ code: 'bad-der' });
const read = (hex: string) => new DerReader(fromHex(hex)).next('x');

describe('the DER reader', () => {
  it('reads tags, lengths and contents', () => {
    const reader = new DerReader(fromHex('0201053003010100'));
    expect(toHex(reader.expect(TAG.integer, 'x').content)).toBe('05');
    expect(reader.nextTag).toBe(TAG.sequence);
    expect(toHex(read(`0481${'80'}${'00'.repeat(128)}`).content)).toBe('00'.repeat(128));
  });

  it.each([
    ['', 'nothing'],
    ['02', 'no length'],
    ['0202', 'no content'],
    ['020200', 'too little content'],
    ['3080', 'an indefinite length'],
    [`04817f${'00'.repeat(127)}`, 'a length in a longer form than needed'],
    [`04820080${'00'.repeat(128)}`, 'a length with a leading zero'],
    ['04840000000100', 'a length of four bytes'],
    ['1f8101', 'a high tag number'],
  ])('refuses %s: %s', (hex) => {
    expect(() => read(hex)).toThrow(bad);
  });

  it('refuses integers, booleans, bits and identifiers that are not in their one form', () => {
    for (const hex of ['', '80', 'ff01', '0000', '007f']) expect(() => derUnsigned(fromHex(hex), 'x')).toThrow(bad);
    expect(toHex(derUnsigned(fromHex('0080'), 'x'))).toBe('80');
    for (const hex of ['', '01', 'fe', '0000']) expect(() => derBoolean(fromHex(hex), 'x')).toThrow(bad);
    for (const hex of ['', '01', '0800', '0100', '0703', '00000000'])
      expect(() => derNamedBits(fromHex(hex), 'x')).toThrow(bad);
    expect(derNamedBits(fromHex('0780'), 'x')).toBe(1);
    expect(derNamedBits(fromHex('0106'), 'x')).toBe(0b1100000);
    for (const hex of ['', '80', '8001', '2a80', '2a8001', '2affffffff7f'])
      expect(() => derOid(fromHex(hex), 'x')).toThrow(bad);
    expect(derOid(fromHex('2a864886f84d010d01'), 'x')).toBe('1.2.840.113741.1.13.1');
    expect(derOid(fromHex('883703'), 'x')).toBe('2.999.3');
  });

  it('reads back what the writer wrote', () => {
    expect(derOid(new DerReader(oid('1.2.840.113741.1.13.1.2.18')).next('x').content, 'x')).toBe(
      '1.2.840.113741.1.13.1.2.18',
    );
    expect(toHex(small(300))).toBe('0202012c');
    expect(toHex(unsigned(fromHex('0000')))).toBe('020100');
    const raw = concatBytes(fromHex(`${'00'.repeat(31)}80`), fromHex('ff'.repeat(32)));
    expect(derEcdsaSignature(ecdsaSignature(raw), 'x')).toEqual(raw);
    expect(() => derEcdsaSignature(concatBytes(ecdsaSignature(raw), Uint8Array.of(0)), 'x')).toThrow(bad);
    const long = sequence(unsigned(fromHex(`01${'00'.repeat(32)}`)), small(1));
    expect(() => derEcdsaSignature(long, 'x')).toThrow(bad);
  });

  it('reads times in the two forms of RFC 5280 and in no other', () => {
    const time = (tag: number, text: string) => derTime({ tag, content: utf8(text) }, 'x');
    expect(time(TAG.utcTime, '491231235959Z')).toBe(2_524_607_999);
    expect(time(TAG.utcTime, '700101000000Z')).toBe(0);
    expect(time(TAG.generalizedTime, '20500101000000Z')).toBe(2_524_608_000);
    for (const text of [
      '4912312359Z',
      '491231235959',
      '491231235959+0000',
      '490230000000Z',
      '490101240000Z',
      '491301000000Z',
    ]) {
      expect(() => time(TAG.utcTime, text)).toThrow();
    }
    expect(() => time(TAG.generalizedTime, '20490101000000Z')).toThrow(bad);
    expect(() => time(TAG.generalizedTime, '20500101000000.5Z')).toThrow(bad);
    expect(() => time(TAG.integer, '491231235959Z')).toThrow(bad);
  });
});

describe('calendar time', () => {
  it('agrees with the platform from 1970 to 2300', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_413_792_000 }), (seconds) => {
        const text = formatIsoTime(seconds);
        expect(text).toBe(new Date(seconds * 1000).toISOString().replace('.000', ''));
        expect(parseIsoTime(text)).toBe(seconds);
      }),
    );
    expect(unixSeconds(2000, 2, 29, 0, 0, 0)).toBe(951_782_400);
  });

  it('refuses days and times that are none', () => {
    for (const text of [
      '2023-02-29T00:00:00Z',
      '2100-02-29T00:00:00Z',
      '2024-00-01T00:00:00Z',
      '2024-01-00T00:00:00Z',
      '2024-01-01T00:00:60Z',
      '2024-01-01T00:00:00+00:00',
      '2024-01-01',
    ]) {
      expect(() => parseIsoTime(text)).toThrow(expect.objectContaining({ code: 'bad-time' }));
    }
  });
});

describe('PEM chains', () => {
  it('are read back as they were written, with any white space', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 3 }), (ders) => {
        const pem = formatPemChain(ders);
        expect(parsePemChain(pem).map(toHex)).toEqual(ders.map(toHex));
        expect(parsePemChain(`\r\n ${pem.replaceAll('\n', '\r\n\t')}`).map(toHex)).toEqual(ders.map(toHex));
      }),
    );
  });

  it.each([
    ['-----BEGIN CERTIFICATE-----\nAAAA', 'no end'],
    ['-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----', 'no padding'],
    ['-----BEGIN CERTIFICATE-----\nAAA=AAAA\n-----END CERTIFICATE-----', 'more behind the padding'],
    ['-----BEGIN CERTIFICATE-----\nAAB=\n-----END CERTIFICATE-----', 'unused bits'],
    ['-----BEGIN CERTIFICATE-----\nA===\n-----END CERTIFICATE-----', 'too much padding'],
    ['-----BEGIN CERTIFICATE-----\nAA-A\n-----END CERTIFICATE-----', 'another alphabet'],
    ['-----BEGIN CERTIFICATE-----\nAAA\u00e9\n-----END CERTIFICATE-----', 'a letter outside ASCII'],
    ['text', 'text'],
    [formatPemChain(new Array(4).fill(new Uint8Array(1))), 'four certificates'],
    [formatPemChain([new Uint8Array(5000)]), 'a certificate too long'],
    [' '.repeat(20_000), 'too much white space'],
  ])('refuse %#: %s', (pem) => {
    expect(() => parsePemChain(pem)).toThrow(expect.objectContaining({ code: 'bad-pem' }));
  });
});

describe('certificates and CRLs', () => {
  const key = deriveKey(utf8('test'), 'key');

  it('refuse extensions that are critical and unknown, or there twice', () => {
    const wrong = expect.objectContaining({ code: 'bad-certificate' });
    const good = toHex(pki.authority);
    const keyUsage = toHex(oid('2.5.29.15'));
    const basic = toHex(oid('2.5.29.19'));
    // Same lengths, so the DER stays well-formed: a name constraint (critical), and a second key usage.
    expect(() => parseCertificate(fromHex(good.replace(keyUsage, toHex(oid('2.5.29.30')))))).toThrow(wrong);
    expect(() => parseCertificate(fromHex(good.replace(basic, keyUsage)))).toThrow(wrong);
  });

  it('refuse a serial number that is negative or too long, and a point off the curve', () => {
    const spec = { commonName: 'x', publicKey: key.publicKey, issuer: { commonName: 'y', key }, keyUsage: 1 };
    expect(parseCertificate(issueCertificate(spec)).subjectCommonName).toBe('x');
    expect(() => parseCertificate(issueCertificate({ ...spec, serial: new Uint8Array(21).fill(1) }))).toThrow();
    expect(() => parseCertificate(issueCertificate({ ...spec, publicKey: new Uint8Array(64).fill(1) }))).toThrow(
      /curve/,
    );
  });

  it('a CRL lists what was revoked', () => {
    const crl = issueCrl({
      issuer: pki.authorityIssuer,
      thisUpdate: NOW,
      nextUpdate: NOW,
      revoked: [platform.serial, Uint8Array.of(0x80)],
    });
    expect([...parseRevocationList(crl).revoked]).toEqual([toHex(platform.serial), '80']);
  });

  it('whatever is edited, only typed errors come out', () => {
    const crl = issueCrl({ issuer: pki.authorityIssuer, thisUpdate: NOW, nextUpdate: NOW, revoked: [platform.serial] });
    for (const [original, parse] of [
      [platform.pckChain[0]!, parseCertificate],
      [crl, parseRevocationList],
    ] as const) {
      fc.assert(
        fc.property(edits, (list) => {
          try {
            parse(applyEdits(original, list));
          } catch (error) {
            if (!isKithError(error)) throw error;
          }
        }),
        { numRuns: fuzzRuns(3_000) },
      );
      for (let length = 0; length < original.length; length++) {
        expect(() => parse(original.subarray(0, length))).toThrow(bad);
      }
      expect(() => parse(concatBytes(original, Uint8Array.of(0)))).toThrow(bad);
      expect(() => parse(der(TAG.set, original))).toThrow(bad);
    }
  });
});
