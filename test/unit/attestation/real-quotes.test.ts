import { describe, expect, it } from 'vitest';
import { type RealRow, readEvidence, realRows, verify } from '../../support/attestation.ts';
import { fixture, saySkipped } from '../../support/fixtures.ts';
import { kith } from '../../support/terminal.ts';

const rows = realRows();
if (rows.length === 0) saySkipped('real Intel quotes', 'the fixture tdx/expected.json is absent');

async function verdictOf(...words: string[]) {
  const { exitCode, out } = await kith(...words);
  return { exitCode, json: JSON.parse(out) as Record<string, unknown> };
}

const args = ({ row, quotePath, collateralPath }: RealRow) => [
  ...['attest', 'verify', '--quote', quotePath, '--collateral', collateralPath, '--at', String(row.at), '--json'],
];

const title = ({ row }: RealRow) => `${row.quote} with ${row.collateral}: ${row.tcbStatus ?? row.why}`;

describe.skipIf(rows.length === 0)('real Intel quotes under the production anchor', () => {
  it('are 21 rows, one of them a debug TD', () => {
    expect(rows.length).toBe(21);
    expect(rows.filter(({ row }) => row.debug).length).toBe(1);
  });

  for (const real of rows) {
    const { row } = real;
    it(`kith attest verify: ${title(real)}`, async () => {
      const { exitCode, json } = await verdictOf(...args(real), ...(row.debug ? ['--allow-debug'] : []));
      expect(json['result']).toBe(row.result);
      expect(exitCode).toBe(row.result === 'accept' ? 0 : 1);
      if (row.result === 'reject') {
        expect(json['code']).toBe(row.why);
        return;
      }
      expect(json['tcbStatus']).toBe(row.tcbStatus);
      expect((json['advisories'] as string[]).length).toBe(row.advisories ?? 0);
      expect(json['debug']).toBe(row.debug ?? false);
      expect(json['ppid']).toMatch(new RegExp(`^${row.ppidPrefix}[0-9a-f]{24}$`));
    });
  }

  it('a debug TD is refused unless it is asked for', async () => {
    const real = rows.find(({ row }) => row.debug)!;
    const { exitCode, json } = await verdictOf(...args(real));
    expect([exitCode, json['code']]).toEqual([1, 'debug']);
  });

  it('the anchor in the source is the fixture, byte for byte', async () => {
    const real = rows[0]!;
    const withFile = await verdictOf(...args(real), '--root', fixture('tdx', 'IntelSGXRootCA.der')!);
    expect(withFile.json).toEqual((await verdictOf(...args(real))).json);
  });

  it('an out-of-date platform comes with the components that hold it back', () => {
    const real = rows.find(({ row }) => row.quote === 'v4-teekit-edgeless' && row.collateral === 'flashbots-dcap-00')!;
    const verdict = verify(readEvidence(real));
    expect(verdict.kind === 'accepted' && verdict.behind.map(({ name }) => name)).toContain(
      'TDX component 2 (OS/VMM, TDX Late Microcode Update)',
    );
  });
});
