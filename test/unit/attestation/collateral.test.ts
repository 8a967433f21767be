import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDirectoryCollateral } from '../../../src/attestation/collateral/directory.ts';
import { createHttpCollateral } from '../../../src/attestation/collateral/http.ts';
import { createCollateralKeeper } from '../../../src/attestation/collateral/keeper.ts';
import { outlookOf } from '../../../src/attestation/collateral/outlook.ts';
import { rawMember } from '../../../src/attestation/collateral/raw-member.ts';
import type { CollateralRequest, CollateralSource } from '../../../src/attestation/collateral/source.ts';
import { platformKindOf } from '../../../src/attestation/platform-kind.ts';
import { type Collateral, formatCollateral, parseCollateral } from '../../../src/attestation/quote-collateral.ts';
import { createDevelopmentPki, type SimulatedCollateralOptions } from '../../../src/attestation/simulated/pki.ts';
import { createSimulatedCollateral } from '../../../src/attestation/simulated/source.ts';
import { toHex } from '../../../src/core/bytes.ts';
import { NOW, pki, realEvidence, simulatedEvidence, verify, withParts } from '../../support/attestation.ts';
import { createManualClock } from '../../support/manual-clock.ts';

const HOUR = 3600;
const kind = { fmspc: 'DE0000000000', authority: 'platform' as const };
const request: CollateralRequest = { ...kind, update: 'standard' };
const never = new AbortController().signal;
/** Lets promise jobs run. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
const failsWith = (code: string) => expect.objectContaining({ code });

describe('a collateral file', () => {
  it('is read back as it was written', () => {
    const collateral = pki.collateral();
    expect(parseCollateral(formatCollateral(collateral))).toEqual(collateral);
  });

  it('is refused with a field missing, unknown or misspelt, or with a CRL missing', () => {
    const file = JSON.parse(formatCollateral(pki.collateral())) as Record<string, string>;
    const without = (name: string) => JSON.stringify({ ...file, [name]: undefined });
    expect(() => parseCollateral(without('pck_crl'))).toThrow(failsWith('crl-missing'));
    expect(() => parseCollateral(without('root_ca_crl'))).toThrow(failsWith('crl-missing'));
    expect(() => parseCollateral(JSON.stringify({ ...file, pck_crl: '' }))).toThrow(failsWith('crl-missing'));
    expect(() => parseCollateral(without('tcb_info'))).toThrow(failsWith('collateral-malformed'));
    expect(() => parseCollateral(JSON.stringify({ ...file, more: '' }))).toThrow(failsWith('collateral-malformed'));
    const upper = { ...file, pck_crl: file['pck_crl']!.toUpperCase() };
    expect(() => parseCollateral(JSON.stringify(upper))).toThrow(failsWith('collateral-malformed'));
    expect(() => parseCollateral('[]')).toThrow(failsWith('collateral-malformed'));
    expect(() => parseCollateral('{')).toThrow(failsWith('collateral-malformed'));
  });
});

describe('the text of a member of a JSON object', () => {
  it.each([
    ['{"a":{"b":[1,2]},"c":3}', 'a', '{"b":[1,2]}'],
    ['{ "x" : "a:{" , "a" : { "a" : 1 } }', 'a', '{ "a" : 1 }'],
    ['{"x":{"a":1},"a":[2]}', 'a', '[2]'],
    ['{"a":"q\\"}"}', 'a', '"q\\"}"'],
    ['{"x":"a","a":true}', 'a', 'true'],
    ['{"a":7}', 'a', '7'],
    ['{"x":1}', 'a', undefined],
    ['{}', 'a', undefined],
  ])('%s', (json, name, expected) => {
    expect(rawMember(json, name)).toBe(expected);
  });
});

/** A PCCS that serves one set of collateral, or what a test puts in its place. */
function createPccs(collateral: () => Collateral) {
  const seen: string[] = [];
  const changes: Record<string, { status?: number; body?: string | Uint8Array; header?: string | undefined }> = {};
  const server: Server = createServer((incoming, answer) => {
    const url = incoming.url ?? '';
    seen.push(url);
    const all = collateral();
    const signed = (member: string, text: string, signature: Uint8Array) =>
      `{"${member}":${text},"signature":"${toHex(signature)}"}`;
    const routes: Record<string, { body: string | Uint8Array; header?: [string, string] }> = {
      '/tdx/certification/v4/tcb': {
        body: signed('tcbInfo', all.tcbInfo, all.tcbInfoSignature),
        header: ['TCB-Info-Issuer-Chain', all.tcbInfoIssuerChain],
      },
      '/tdx/certification/v4/qe/identity': {
        body: signed('enclaveIdentity', all.qeIdentity, all.qeIdentitySignature),
        header: ['SGX-Enclave-Identity-Issuer-Chain', all.qeIdentityIssuerChain],
      },
      '/sgx/certification/v4/pckcrl': {
        body: all.pckCrl,
        header: ['SGX-PCK-CRL-Issuer-Chain', all.pckCrlIssuerChain],
      },
      '/sgx/certification/v4/rootcacrl': { body: toHex(all.rootCaCrl) },
    };
    const path = url.split('?')[0]!;
    const route = routes[path];
    const change = changes[path];
    answer.statusCode = change?.status ?? (route ? 200 : 404);
    if (route?.header && !(change && 'header' in change)) {
      answer.setHeader(route.header[0], encodeURIComponent(route.header[1]));
    }
    answer.end(change?.body ?? route?.body);
  });
  return { server, seen, changes };
}

describe('collateral over HTTP', () => {
  const real = realEvidence()[0];
  const served = real?.collateral ?? pki.collateral();
  let pccs: ReturnType<typeof createPccs>;
  let source: CollateralSource;
  beforeEach(async () => {
    pccs = createPccs(() => served);
    await new Promise<void>((resolve) => pccs.server.listen(0, '127.0.0.1', resolve));
    source = createHttpCollateral({ baseUrl: `http://127.0.0.1:${(pccs.server.address() as AddressInfo).port}/` });
  });
  afterEach(
    () =>
      new Promise((resolve) => {
        pccs.server.close(resolve);
        // The client keeps its connection for the next request, which never comes.
        pccs.server.closeAllConnections();
      }),
  );

  it('comes as it was signed, to the byte', async () => {
    expect(await source.fetch(request, { signal: never })).toEqual(served);
    expect(pccs.seen.sort()).toEqual([
      '/sgx/certification/v4/pckcrl?ca=platform&encoding=der',
      '/sgx/certification/v4/rootcacrl',
      '/tdx/certification/v4/qe/identity',
      '/tdx/certification/v4/tcb?fmspc=de0000000000',
    ]);
  });

  it('is asked for ahead of time', async () => {
    await source.fetch({ ...request, update: 'early' }, { signal: never });
    expect(pccs.seen).toContain('/tdx/certification/v4/tcb?fmspc=de0000000000&update=early');
    expect(pccs.seen).toContain('/tdx/certification/v4/qe/identity?update=early');
  });

  it('is absent where the service does not know the platform', async () => {
    pccs.changes['/tdx/certification/v4/tcb'] = { status: 404 };
    expect(await source.fetch(request, { signal: never })).toBeUndefined();
  });

  it.each([
    ['collateral-unavailable', '/tdx/certification/v4/tcb', { status: 500 }],
    ['collateral-unavailable', '/tdx/certification/v4/tcb', { status: 302 }],
    ['collateral-answer', '/tdx/certification/v4/tcb', { body: 'not JSON' }],
    ['collateral-answer', '/tdx/certification/v4/tcb', { body: '{"signature":"00"}' }],
    ['collateral-answer', '/tdx/certification/v4/tcb', { body: `{"signature":"${'00'.repeat(64)}"}` }],
    ['collateral-answer', '/tdx/certification/v4/tcb', { body: 'x'.repeat(300_000) }],
    ['collateral-answer', '/tdx/certification/v4/tcb', { header: undefined }],
    ['collateral-answer', '/sgx/certification/v4/pckcrl', { body: 'neither' }],
    ['collateral-answer', '/sgx/certification/v4/pckcrl', { header: undefined }],
  ])('fails with %s when %s answers %j', async (code, path, change) => {
    pccs.changes[path] = change;
    await expect(source.fetch(request, { signal: never })).rejects.toThrow(failsWith(code));
  });

  it('fails when nobody listens', async () => {
    const nobody = createHttpCollateral({ baseUrl: 'http://127.0.0.1:1' });
    await expect(nobody.fetch(request, { signal: never })).rejects.toThrow(failsWith('collateral-unavailable'));
  });
});

describe('collateral from a folder', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kith-collateral-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const put = (name: string, text: string) => writeFile(join(folder, name), text);

  it('is the newest file for the kind of platform; others and broken ones are passed over', async () => {
    const newer = pki.collateral({ issuedAt: NOW - HOUR });
    await put('a.json', formatCollateral(newer));
    await put('b.json', formatCollateral(pki.collateral()));
    await put('c.json', formatCollateral(pki.collateral({ fmspc: 'DE0000000001', issuedAt: NOW })));
    await put('d.json', 'broken');
    await put('e.txt', formatCollateral(pki.collateral({ issuedAt: NOW })));
    await mkdir(join(folder, 'early'));
    const early = pki.collateral({ issuedAt: NOW, raisedBy: 1 });
    await put('early/a.json', formatCollateral(early));
    const source = createDirectoryCollateral(folder);
    expect(await source.fetch(request, { signal: never })).toEqual(newer);
    expect(await source.fetch({ ...request, update: 'early' }, { signal: never })).toEqual(early);
    expect(await source.fetch({ ...request, fmspc: 'DE0000000002' }, { signal: never })).toBeUndefined();
  });

  it('is absent where the folder is', async () => {
    expect(await createDirectoryCollateral(join(folder, 'none')).fetch(request, { signal: never })).toBeUndefined();
  });
});

describe('the keeper of collateral', () => {
  const clock = () => createManualClock(NOW * 1000);
  const evidence = simulatedEvidence('v4');

  function keeperOver(sources: CollateralSource[], time = clock()) {
    return { keeper: createCollateralKeeper({ sources, clock: time }, { anchor: pki.root }), time };
  }
  const fixed = (answer: () => Collateral | undefined, name = 'fixed'): CollateralSource & { asked: number } => {
    const source = {
      name,
      asked: 0,
      async fetch() {
        source.asked++;
        return answer();
      },
    };
    return source;
  };

  it('asks once while what it has is valid, however many want it', async () => {
    const source = fixed(() => pki.collateral());
    const { keeper } = keeperOver([source]);
    const all = await Promise.all([keeper.get(kind), keeper.get(kind), keeper.get(kind)]);
    expect(new Set(all.map(({ digest }) => digest)).size).toBe(1);
    await keeper.get(kind);
    expect(source.asked).toBe(1);
  });

  it('keeps no place for kinds of platforms that only a stranger has heard of', async () => {
    const { keeper } = keeperOver([fixed(() => pki.collateral())]);
    for (let i = 0; i < 100; i++) {
      const unknown = { ...kind, fmspc: `FF000000${String(i).padStart(4, '0')}` };
      await expect(keeper.get(unknown)).rejects.toThrow(/not FF/);
    }
    expect((await keeper.get(kind)).digest).toBe(pki.collateral().digest);
  });

  it('believes no source: forged, foreign, stale or for another platform, it goes on to the next', async () => {
    const good = pki.collateral();
    const bad: CollateralSource[] = [
      fixed(() => undefined, 'empty'),
      fixed(() => withParts(good, { tcbInfo: good.tcbInfo.replace('Revoked', 'UpToDate') }), 'forged'),
      fixed(() => createDevelopmentPki(new Uint8Array(32).fill(3)).collateral(), 'foreign'),
      fixed(() => pki.collateral({ issuedAt: NOW - 10, nextUpdateAt: NOW - 1 }), 'stale'),
      fixed(() => pki.collateral({ fmspc: 'DE0000000001' }), 'other'),
    ];
    const { keeper } = keeperOver([...bad, fixed(() => good)]);
    expect((await keeper.get(kind)).digest).toBe(good.digest);
    const nothing = keeperOver(bad).keeper.get(kind);
    await expect(nothing).rejects.toThrow(failsWith('collateral-unavailable'));
    await expect(nothing).rejects.toThrow(/empty has none; forged: .*; foreign: .*; stale: .*; other: /);
    await expect(keeperOver([]).keeper.get(kind)).rejects.toThrow(/no source is configured/);
  });

  it('never goes back to documents older than the newest it has seen', async () => {
    const time = clock();
    let options: SimulatedCollateralOptions = { issuedAt: NOW - HOUR, nextUpdateAt: NOW + HOUR };
    const { keeper } = keeperOver([fixed(() => pki.collateral(options))], time);
    await keeper.get(kind);
    expect(keeper.newest().tcbInfo).toEqual({ DE0000000000: NOW - HOUR });
    options = { issuedAt: NOW - 2 * HOUR };
    await time.advance(2 * HOUR * 1000);
    await expect(keeper.get(kind)).rejects.toThrow(/was seen before/);
    options = { issuedAt: NOW };
    expect((await keeper.get(kind)).digest).toBe(pki.collateral(options).digest);
  });

  it('refreshes by itself before the end, and keeps what it has while sources fail', async () => {
    const time = clock();
    let current: Collateral | undefined = pki.collateral({ issuedAt: NOW - HOUR, nextUpdateAt: NOW + 24 * HOUR });
    const source = fixed(() => current);
    const { keeper } = keeperOver([source], time);
    await keeper.start({});
    const first = await keeper.get(kind);
    current = undefined;
    await time.advance(7 * HOUR * 1000);
    expect(source.asked).toBeGreaterThan(1);
    expect(await keeper.get(kind)).toBe(first);
    current = pki.collateral({ issuedAt: NOW, nextUpdateAt: NOW + 48 * HOUR });
    await time.advance(HOUR * 1000);
    expect((await keeper.get(kind)).digest).toBe(current.digest);
    await keeper.stop();
    expect(time.pending).toBe(0);
  });

  it('says when the first of its documents ends, over all kinds of platforms', async () => {
    const ends = new Map([
      ['DE0000000000', NOW + 24 * HOUR],
      ['DE0000000001', NOW + 12 * HOUR],
    ]);
    const byKind: CollateralSource = {
      name: 'by kind',
      async fetch({ fmspc }) {
        return pki.collateral({ fmspc, issuedAt: NOW - HOUR, nextUpdateAt: ends.get(fmspc)! });
      },
    };
    const { keeper } = keeperOver([byKind]);
    expect(keeper.validUntil()).toBeUndefined();
    await keeper.get(kind);
    expect(keeper.validUntil()).toBe(NOW + 24 * HOUR);
    await keeper.get({ ...kind, fmspc: 'DE0000000001' });
    expect(keeper.validUntil()).toBe(NOW + 12 * HOUR);
  });

  it('does not wait for a source for ever', async () => {
    const time = clock();
    const hung: CollateralSource = { name: 'hung', fetch: () => new Promise(() => undefined) };
    const { keeper } = keeperOver([hung, fixed(() => pki.collateral())], time);
    const waiting = keeper.get(kind);
    await settle();
    await time.advance(30_000);
    expect((await waiting).digest).toBe(pki.collateral().digest);
  });

  it('warns early when the own platform is about to fall behind, and names the component', async () => {
    const announced = (update: string): SimulatedCollateralOptions =>
      update === 'early' ? { raisedBy: 2, evaluationNumber: 21, issuedAt: NOW } : {};
    const { keeper } = keeperOver([createSimulatedCollateral(pki, announced)]);
    expect(await keeper.outlook(evidence.quote, kind)).toEqual({
      kind: 'behind',
      announced: true,
      behind: [{ name: 'SGX component 0 (BIOS, Early Microcode Update)', svn: 12, newestSvn: 14 }],
      text: 'when the announced update comes: OutOfDate by TCB evaluation 21: SGX component 0 (BIOS, Early Microcode Update) has SVN 12, the newest level asks for 14',
    });
    // What is announced is not in force, and does not count as seen.
    expect(keeper.newest().qeIdentity).toBeLessThan(NOW);
  });

  it('says when the own platform is behind already, and when all is well', async () => {
    const good = keeperOver([createSimulatedCollateral(pki)]).keeper;
    expect(await good.outlook(evidence.quote, kind)).toEqual({ kind: 'good' });
    const late = keeperOver([createSimulatedCollateral(pki, () => ({ raisedBy: 1 }))]).keeper;
    expect(await late.outlook(evidence.quote, kind)).toMatchObject({ kind: 'behind', announced: false });
  });

  it('heeds no announcement that is forged', () => {
    const today = verify(evidence);
    const forged = verify(evidence, {
      collateral: withParts(pki.collateral(), { tcbInfoSignature: new Uint8Array(64) }),
    });
    expect(outlookOf(today, forged)).toEqual({ kind: 'good' });
    expect(outlookOf(today, undefined)).toEqual({ kind: 'good' });
  });
});

describe('the kind of platform of a quote', () => {
  it('is read before anything is verified', () => {
    expect(platformKindOf(simulatedEvidence('v5-td15').quote)).toEqual(kind);
    expect(() => platformKindOf(new Uint8Array(5000))).toThrow(failsWith('unsupported'));
  });
});
