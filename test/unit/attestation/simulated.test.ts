import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { createAttestor, operatorOfQuote, verificationTime } from '../../../src/attestation/attestor.ts';
import { createCluster } from '../../../src/attestation/cluster-configuration/cluster.ts';
import { DEFAULT_LIMITS } from '../../../src/attestation/cluster-configuration/configuration.ts';
import { NO_COLLATERAL_SEEN } from '../../../src/attestation/policy/collateral-age.ts';
import { defaultPolicy } from '../../../src/attestation/policy/policy.ts';
import { digestOfBuild } from '../../../src/attestation/providers/build.ts';
import { reportDataOf } from '../../../src/attestation/report-data.ts';
import { createDevelopmentPki, simulatedPlatformId } from '../../../src/attestation/simulated/pki.ts';
import { simulatedMeasurements, simulatedQuote } from '../../../src/attestation/simulated/quote.ts';
import { parseSimulatedPlatform, simulatedPlatformOf } from '../../../src/attestation/simulated-name.ts';
import { concatBytes, toBase64Url, toHex, utf8 } from '../../../src/core/bytes.ts';
import { nodeIdFromBytes } from '../../../src/core/ids.ts';
import { measurements, NOW, pki, reportData, simulatedEvidence, verify } from '../../support/attestation.ts';
import { temporaryFolder } from '../../support/folder.ts';

const project = fileURLToPath(new URL('../../..', import.meta.url));

/** Everything the PKI makes, in one digest. */
const SCRIPT = `
  import { createDevelopmentPki } from './src/attestation/simulated/pki.ts';
  import { simulatedMeasurements, simulatedQuote } from './src/attestation/simulated/quote.ts';
  import { createHash } from 'node:crypto';
  const pki = createDevelopmentPki();
  const platform = pki.platform({ operator: 'op-a', name: 'm1' });
  const quote = simulatedQuote(platform, {
    reportData: new Uint8Array(64),
    measurements: simulatedMeasurements('x', new Uint8Array(32)),
  });
  const digest = createHash('sha256').update(pki.root).update(pki.collateral().digest).update(quote);
  console.log(digest.digest('hex'));
`;

describe('the development PKI', () => {
  it('is the same in every process, quotes and collateral included', () => {
    const run = () => {
      const args = ['--conditions=kith-source', '--import', 'tsx', '--input-type=module', '--eval', SCRIPT];
      const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: project, encoding: 'utf8' });
      expect(stderr).toBe('');
      return stdout.trim();
    };
    const here = createDevelopmentPki();
    const platform = here.platform({ operator: 'op-a', name: 'm1' });
    const quote = simulatedQuote(platform, {
      reportData: new Uint8Array(64),
      measurements: simulatedMeasurements('x', new Uint8Array(32)),
    });
    const own = toHex(sha256(concatBytes(here.root, utf8(here.collateral().digest), quote)));
    expect([run(), run()]).toEqual([own, own]);
  });

  it('is another for another seed', () => {
    const other = createDevelopmentPki(new Uint8Array(32).fill(1));
    expect(toHex(other.root)).not.toBe(toHex(pki.root));
    const name = { operator: 'op-a', name: 'm1' };
    expect(toHex(other.platform(name).ppid)).not.toBe(toHex(pki.platform(name).ppid));
  });

  it('gives every platform a PPID, keys and a certificate of its own', () => {
    const names = ['a/1', 'a/2', 'b/1'].map(parseSimulatedPlatform);
    const platforms = names.map((name) => pki.platform(name));
    for (const of of ['ppid', 'serial'] as const) {
      expect(new Set(platforms.map((platform) => toHex(platform[of]))).size).toBe(3);
    }
    expect(new Set(platforms.map(simulatedPlatformId)).size).toBe(3);
    for (const [i, platform] of platforms.entries()) {
      const quote = simulatedQuote(platform, { reportData, measurements });
      const verdict = verify(simulatedEvidence('v4'), { quote });
      expect(verdict).toMatchObject({ kind: 'accepted', platform: simulatedPlatformId(platform) });
      expect(verdict.kind === 'accepted' && simulatedPlatformOf(verdict)).toEqual(names[i]);
    }
  });

  it('names platforms OPERATOR/NAME and nothing else', () => {
    for (const text of ['', 'a', 'a/', '/b', 'a/b/c', 'a b/c', `${'x'.repeat(65)}/b`, 'ä/b']) {
      expect(() => parseSimulatedPlatform(text)).toThrow(expect.objectContaining({ code: 'simulated-platform' }));
    }
  });
});

describe('measurements of a build', () => {
  const folder = temporaryFolder();
  const put = (path: string, text: string) => {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), text);
  };

  it('change with any file of it, its content or its name', () => {
    put('a.js', '1');
    put('sub/b.js', '2');
    const digests = [digestOfBuild(folder)];
    put('sub/b.js', '3');
    digests.push(digestOfBuild(folder));
    put('sub/c.js', '');
    digests.push(digestOfBuild(folder));
    expect(new Set(digests.map(toHex)).size).toBe(3);
    expect(digestOfBuild(folder)).toEqual(digests[2]);
    const [one, two] = digests.map((digest) => simulatedMeasurements('x', digest));
    expect(one!.mrtd).toBe(two!.mrtd);
    expect(one!.rtmr2).not.toBe(two!.rtmr2);
  });

  it('are of the running program when no folder is named', () => {
    expect(digestOfBuild()).toEqual(digestOfBuild(join(project, 'src')));
  });
});

describe('the attestor', () => {
  const cluster = createCluster({
    version: 1,
    chainId: 'kith-test',
    trustAnchor: { development: toBase64Url(pki.root) },
    policy: { ...defaultPolicy([measurements]), platforms: 'listed' },
    allowSimulated: true,
    allowUnbacked: false,
    confirmations: 1,
    operators: [{ name: 'op-a', publicKey: toBase64Url(new Uint8Array(32).fill(1)), platforms: [] }],
    governance: { threshold: 1, publicKeys: [toBase64Url(new Uint8Array(32).fill(2))] },
    recovery: { threshold: 0, publicKeys: [] },
    limits: DEFAULT_LIMITS,
  });
  const attestor = createAttestor({ cluster: () => cluster });
  const context = { nowSeconds: NOW, height: undefined, newestCollateral: NO_COLLATERAL_SEEN };
  const bytes = (value: number) => new Uint8Array(32).fill(value);
  const claim = {
    purpose: 'client' as const,
    clusterId: cluster.id,
    configurationHash: cluster.hash,
    nodeId: nodeIdFromBytes(bytes(1)),
    hpkeKey: bytes(2),
    rosterHash: bytes(3),
    noncesRoot: bytes(4),
  };
  const evidenceOf = (operator: string) => {
    const platform = pki.platform({ operator, name: 'm1' });
    const quote = simulatedQuote(platform, { reportData: reportDataOf(claim), measurements });
    return { quote, collateral: pki.collateral() };
  };

  it('believes a quote for its claim, and names the operator', () => {
    expect(attestor.attest(evidenceOf('op-a'), claim, context)).toMatchObject({ kind: 'believed', operator: 'op-a' });
  });

  it('refuses one made for another claim, or of an operator who is not listed', () => {
    const other = { ...claim, hpkeKey: bytes(9) };
    expect(attestor.attest(evidenceOf('op-a'), other, context)).toMatchObject({ kind: 'refused', code: 'report-data' });
    expect(attestor.attest(evidenceOf('op-b'), claim, context)).toMatchObject({ code: 'policy-platform' });
  });

  it('takes an unlisted platform for its own operator, and a simulated one by its word', () => {
    const verdict = verify(simulatedEvidence('v4', { qeAuthData: new Uint8Array(32) }));
    if (verdict.kind === 'refused') throw new Error(verdict.message);
    expect(operatorOfQuote(cluster, verdict)).toBe(`platform:${verdict.platform}`);
    const named = verify(simulatedEvidence('v4'), { quote: evidenceOf('op-z').quote });
    if (named.kind === 'refused') throw new Error(named.message);
    expect(operatorOfQuote(cluster, named)).toBe('op-z');
    const listed = createCluster({
      ...cluster.configuration,
      operators: [{ ...cluster.configuration.operators[0]!, platforms: [verdict.platform] }],
    });
    expect(operatorOfQuote(listed, verdict)).toBe('op-a');
  });

  it('does not trust a clock that was set back', () => {
    expect(verificationTime(5_000, 9_999)).toBe(9);
    expect(verificationTime(15_000, 9_999)).toBe(15);
    expect(verificationTime(15_000, undefined)).toBe(15);
  });
});
