import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseCluster } from '../../../src/attestation/cluster-configuration/cluster.ts';
import { VERIFICATION_CODES } from '../../../src/attestation/errors.ts';
import { defaultPolicy } from '../../../src/attestation/policy/policy.ts';
import { formatCollateral } from '../../../src/attestation/quote-collateral.ts';
import { measurements, NOW, pki, simulatedEvidence } from '../../support/attestation.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { kith } from '../../support/terminal.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const MAINNET = 'namada.5f5de2dd1b88cba30586420';

async function json(...words: string[]) {
  const { exitCode, out, err } = await kith(...words, '--json');
  return { exitCode, err, found: JSON.parse(out) as Record<string, unknown> };
}

const failure = async (...words: string[]) => {
  const { exitCode, found } = await json(...words);
  return [exitCode, (found['error'] as { code: string }).code];
};

describe('kith cluster init', () => {
  it('writes the configuration and the keys of its holders, each for its owner only', async () => {
    const out = at('cluster.json');
    const { exitCode, found } = await json(
      ...['cluster', 'init', '--out', out, '--chain-id', 'kith-test', '--simulated', '--operators', 'a,b,c'],
      ...['--recovery', '3-of-5', '--governance', '2-of-3', '--allow-unbacked', '--confirmations', '2'],
    );
    expect(exitCode).toBe(0);
    const cluster = parseCluster(readFileSync(out, 'utf8'));
    expect(found).toMatchObject({ clusterId: cluster.id, version: 1, simulated: true, allowUnbacked: true });
    expect(cluster.configuration).toMatchObject({ confirmations: 2, recovery: { threshold: 3 } });
    expect(cluster.configuration.policy.measurements.length).toBe(1);
    const keys = found['keys'] as string[];
    expect(keys.length).toBe(3 + 3 + 5);
    const publicKeys = [
      ...cluster.configuration.operators.map(({ publicKey }) => publicKey),
      ...cluster.configuration.governance.publicKeys,
      ...cluster.configuration.recovery.publicKeys,
    ];
    const files = keys.map((path) => JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>);
    expect(files.map((file) => file['publicKey'])).toEqual(publicKeys);
    for (const [i, path] of keys.entries()) {
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(files[i]!['clusterId']).toBe(cluster.id);
      expect(readFileSync(out, 'utf8')).not.toContain(files[i]!['secretKey']);
    }
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('never writes over anything', async () => {
    const words = ['cluster', 'init', '--out', at('cluster.json'), '--chain-id', 'kith-test', '--simulated'];
    const before = readFileSync(at('cluster.json'), 'utf8');
    expect(await failure(...words)).toEqual([1, 'file']);
    expect(readFileSync(at('cluster.json'), 'utf8')).toBe(before);
  });

  it('makes no simulated cluster for a main network, and leaves no keys behind', async () => {
    const words = ['cluster', 'init', '--out', at('main.json'), '--chain-id', MAINNET];
    expect(await failure(...words, '--simulated')).toEqual([1, 'simulated-mainnet']);
    expect(readdirSync(folder).some((name) => name.startsWith('main'))).toBe(false);
    const { exitCode, found } = await json(...words);
    expect([exitCode, found['simulated'], found['measurements']]).toEqual([0, false, []]);
    const text = readFileSync(at('main.json'), 'utf8').replace('"allowSimulated": false', '"allowSimulated": true');
    writeFileSync(at('edited.json'), text);
    expect(await failure('cluster', 'show', at('edited.json'))).toEqual([1, 'simulated-mainnet']);
  });

  it('refuses thresholds and names that make no sense', async () => {
    const words = ['cluster', 'init', '--out', at('x.json'), '--chain-id', 'kith-test'];
    for (const wrong of [
      ['--recovery', '4-of-3'],
      ['--recovery', '0-of-3'],
      ['--recovery', 'two'],
      ['--governance', '0-of-0'],
      ['--operators', 'a,,b'],
      ['--operators', 'a,a'],
      ['--simulated', '--policy', at('policy.json')],
    ]) {
      expect(await failure(...words, ...wrong)).toEqual([2, 'usage']);
    }
    expect(existsSync(at('x.json'))).toBe(false);
  });

  it('says that a simulated cluster is one', async () => {
    expect((await kith('cluster', 'show', at('cluster.json'))).out).toContain('(simulated: protects nobody)');
  });
});

describe('kith cluster update', () => {
  const file = at('cluster.json');
  const key = (n: number) => ['--key', at(`cluster.governance-${n}.key`)];

  it('passes a proposal from signer to signer until it is in force', async () => {
    writeFileSync(at('changes.json'), JSON.stringify({ confirmations: 3 }));
    const changes = ['--changes', at('changes.json')];
    expect(await failure('cluster', 'update', file, ...changes, ...key(1))).toEqual([2, 'usage']);
    const first = await json('cluster', 'update', file, ...changes, ...key(1), '--proposal', at('p.json'));
    expect(first.found).toMatchObject({ version: 2, signatures: 1, needed: 2 });
    expect(parseCluster(readFileSync(file, 'utf8')).configuration.version).toBe(1);
    // The same signer again is no second signature.
    const again = await json('cluster', 'update', file, ...key(1), '--proposal', at('p.json'));
    expect(again.found).toMatchObject({ signatures: 1 });
    const second = await json('cluster', 'update', file, ...key(3), '--proposal', at('p.json'));
    expect(second.found).toMatchObject({
      version: 2,
      confirmations: 3,
      clusterId: parseCluster(readFileSync(file, 'utf8')).id,
    });
    // The proposal follows version 1, which is not in force any more.
    expect(await failure('cluster', 'update', file, ...key(2), '--proposal', at('p.json'))).toEqual([
      1,
      'successor-number',
    ]);
  });

  it('refuses keys of other kinds, changes of what is fixed, and nothing at all', async () => {
    const { exitCode } = await json(
      'cluster',
      'update',
      file,
      '--changes',
      at('changes.json'),
      '--key',
      at('cluster.recovery-1.key'),
    );
    expect(exitCode).toBe(1);
    writeFileSync(at('fixed.json'), JSON.stringify({ chainId: 'another' }));
    expect(await failure('cluster', 'update', file, '--changes', at('fixed.json'), ...key(1))).toEqual([
      1,
      'bad-shape',
    ]);
    expect(await failure('cluster', 'update', file, ...key(1))).toEqual([2, 'usage']);
    expect(await failure('cluster', 'update', file, '--measure-build', ...key(1), ...key(2))).toEqual([2, 'usage']);
  });

  it('adds the measurement of the running build', async () => {
    writeFileSync(at('none.json'), JSON.stringify({ policy: defaultPolicy([]) }));
    await json('cluster', 'update', file, '--changes', at('none.json'), ...key(1), ...key(2));
    const { found } = await json('cluster', 'update', file, '--measure-build', ...key(1), ...key(2));
    expect(found).toMatchObject({ version: 4, measurements: [expect.stringMatching(/^kith /)] });
  });
});

describe('kith attest verify', () => {
  const evidence = simulatedEvidence('v5-td15');
  writeFileSync(at('quote.bin'), evidence.quote);
  writeFileSync(at('collateral.json'), formatCollateral(evidence.collateral));
  writeFileSync(at('root.der'), pki.root);
  writeFileSync(at('policy.json'), JSON.stringify(defaultPolicy([measurements])));
  writeFileSync(at('deny.json'), JSON.stringify(defaultPolicy([])));
  const words = [
    'attest',
    'verify',
    '--quote',
    at('quote.bin'),
    '--collateral',
    at('collateral.json'),
    '--at',
    String(NOW),
  ];

  it('accepts under the root it is given, by a policy too, and says which rules were met', async () => {
    const { exitCode, found } = await json(...words, '--root', at('root.der'), '--policy', at('policy.json'));
    expect(exitCode).toBe(0);
    expect(found).toMatchObject({
      result: 'accept',
      tcbStatus: 'UpToDate',
      advisories: [],
      debug: false,
      simulated: true,
    });
    expect((found['policy'] as unknown[]).length).toBe(14);
    const text = await kith(...words, '--root', at('root.der'), '--policy', at('policy.json'));
    expect(text.out).toContain('allowed as this build');
    // Without --json, too, the verdict is a JSON document.
    expect(JSON.parse((await kith(...words, '--root', at('root.der'))).out)).toMatchObject({ result: 'accept' });
  });

  it('rejects with a code and exit 1', async () => {
    expect((await json(...words)).found).toMatchObject({ result: 'reject', code: 'chain' });
    const denied = await json(...words, '--root', at('root.der'), '--policy', at('deny.json'));
    expect([denied.exitCode, denied.found['code']]).toEqual([1, 'policy-measurement']);
    writeFileSync(at('broken.json'), '{');
    const broken = await json(
      'attest',
      'verify',
      '--quote',
      at('quote.bin'),
      '--collateral',
      at('broken.json'),
      '--at',
      '1',
    );
    expect([broken.exitCode, broken.found['code']]).toEqual([1, 'collateral-malformed']);
  });

  it('says which file is missing, and lists every code in its help', async () => {
    expect(await failure('attest', 'verify', '--quote', at('none'), '--collateral', at('collateral.json'))).toEqual([
      1,
      'file',
    ]);
    const { out } = await kith('attest', 'verify', '--help');
    for (const code of Object.keys(VERIFICATION_CODES)) expect(out).toContain(`  ${code} `);
  });
});
