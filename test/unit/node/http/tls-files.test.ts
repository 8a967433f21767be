import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { formatPemChain } from '../../../../src/attestation/pem.ts';
import { parseCertificate } from '../../../../src/attestation/x509.ts';
import { utf8 } from '../../../../src/core/bytes.ts';
import { notAfterOf, readTlsFile } from '../../../../src/node/http/tls-files.ts';
import { pki } from '../../../support/attestation.ts';
import { temporaryFolder } from '../../../support/folder.ts';

const folder = temporaryFolder();

it('reads when the first certificate of a chain ends', () => {
  const chain = pki.platform({ operator: 'a', name: 'one' }).pckChain;
  const [leaf] = chain.map(parseCertificate);
  expect(notAfterOf(utf8(formatPemChain(chain)))).toBe(leaf!.notAfter);
});

it('names what is no certificate, and a file that cannot be read', async () => {
  const failsWith = (message: RegExp) =>
    expect.objectContaining({ code: 'file', message: expect.stringMatching(message) });
  expect(() => notAfterOf(utf8('no certificate'))).toThrow(failsWith(/holds none/));
  writeFileSync(join(folder, 'cert.pem'), 'text');
  expect((await readTlsFile(join(folder, 'cert.pem'))).toString()).toBe('text');
  await expect(readTlsFile(join(folder, 'other.pem'))).rejects.toThrow(failsWith(/other.pem/));
});
