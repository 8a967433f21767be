import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createConfigfsSource, type TsmFiles } from '../../../src/attestation/providers/configfs.ts';
import { nodeTsmFiles } from '../../../src/attestation/providers/node-files.ts';
import { createQuoter } from '../../../src/attestation/providers/quote-source.ts';
import { parseQuote } from '../../../src/attestation/quote.ts';
import { type PeerClaim, reportDataOf } from '../../../src/attestation/report-data.ts';
import { simulatedQuote } from '../../../src/attestation/simulated/quote.ts';
import { createSimulatedSource } from '../../../src/attestation/simulated/source.ts';
import { createSimulatedTsm } from '../../../src/attestation/simulated/tsm.ts';
import { utf8 } from '../../../src/core/bytes.ts';
import { clusterIdFromBytes, nodeIdFromBytes } from '../../../src/core/ids.ts';
import { systemClock } from '../../../src/core/system.ts';
import { measurements, platform } from '../../support/attestation.ts';
import { createManualClock } from '../../support/manual-clock.ts';

const bytes = (value: number) => new Uint8Array(32).fill(value);
const common = {
  clusterId: clusterIdFromBytes(bytes(1)),
  configurationHash: bytes(2),
  nodeId: nodeIdFromBytes(bytes(3)),
  hpkeKey: bytes(4),
};
const peer = (n: number): PeerClaim => ({
  purpose: 'peer',
  ...common,
  ownNonce: bytes(n),
  peerNonce: bytes(6),
  ownBootKey: bytes(7),
  peerBootKey: bytes(8),
  role: 'responder',
  incarnation: 1,
  phase: 'ready',
});
const never = new AbortController().signal;
const quoteFor = (reportData: Uint8Array) => simulatedQuote(platform, { reportData, measurements });
const failsWith = (code: string) => expect.objectContaining({ code });

/** What the kernel does with a directory, over real files: attributes appear with it and vanish with it. */
function kernelOver(
  root: string,
  behaviour: Partial<Record<'outblob' | 'write' | 'generation', () => void>> = {},
): TsmFiles {
  const errno = (code: string) => Object.assign(new Error(code), { code });
  let generation = 0;
  return {
    async mkdir(path) {
      await nodeTsmFiles.mkdir(path);
      generation = 0;
      for (const [name, content] of Object.entries({
        provider: 'tdx_guest\n',
        generation: '0\n',
        inblob: '',
        outblob: '',
      })) {
        await writeFile(join(path, name), content);
      }
    },
    async rmdir(path) {
      for (const name of await readdir(path)) await rm(join(path, name));
      await nodeTsmFiles.rmdir(path);
    },
    async write(path, blob) {
      behaviour.write?.();
      if (blob.length > 64) throw errno('EINVAL');
      await nodeTsmFiles.write(path, blob);
      await writeFile(join(path, '..', 'generation'), `${++generation}\n`);
      if (!path.startsWith(root)) throw errno('ENOENT');
    },
    async read(path) {
      if (path.endsWith('outblob')) {
        behaviour.outblob?.();
        const inblob = await nodeTsmFiles.read(join(path, '..', 'inblob'));
        await writeFile(path, quoteFor(inblob));
      }
      if (path.endsWith('generation')) behaviour.generation?.();
      return nodeTsmFiles.read(path);
    },
  };
}

describe('configfs-tsm, on a directory that behaves like the kernel', () => {
  let root = '';
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'kith-tsm-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const fails = (code: string) => () => {
    throw Object.assign(new Error(`the kernel says ${code}`), { code });
  };
  const times = (count: number, act: () => void) => {
    let left = count;
    return () => {
      if (left-- > 0) act();
    };
  };
  const source = (files: TsmFiles, clock = systemClock) =>
    createConfigfsSource({ files, clock }, { root, name: 'test' });
  const reportData = reportDataOf(peer(1));

  it('reads a quote with the report data written, and leaves no directory behind', async () => {
    const configfs = source(kernelOver(root));
    for (let i = 0; i < 3; i++) {
      const quote = await configfs.quote(reportData, { signal: never });
      expect(parseQuote(quote).report.reportData).toEqual(reportData);
    }
    expect(await readdir(root)).toEqual([]);
  });

  it('waits while the quoting service is busy, until the caller gives up', async () => {
    const clock = createManualClock(0);
    const files = createSimulatedTsm(platform, measurements, root);
    let busy = 3;
    const flaky: TsmFiles = {
      ...files,
      read: (path) =>
        path.endsWith('outblob') && busy-- > 0
          ? Promise.reject(Object.assign(new Error('busy'), { code: 'EBUSY' }))
          : files.read(path),
    };
    const quote = source(flaky, clock).quote(reportData, { signal: never });
    await clock.advance(200);
    expect(busy).toBe(0);
    await clock.advance(100);
    expect(parseQuote(await quote).report.reportData).toEqual(reportData);

    const abort = new AbortController();
    const forever: TsmFiles = {
      ...files,
      read: (path) =>
        path.endsWith('outblob')
          ? Promise.reject(Object.assign(new Error('busy'), { code: 'EAGAIN' }))
          : files.read(path),
    };
    const hopeless = source(forever, clock).quote(reportData, { signal: abort.signal });
    const refused = expect(hopeless).rejects.toThrow(failsWith('aborted'));
    await clock.advance(1000);
    abort.abort();
    await refused;
  });

  it('asks again when another writer changed the generation, a few times only', async () => {
    const meddle = (count: number) => {
      let reads = 0;
      const files = kernelOver(root);
      const meddling: TsmFiles = {
        ...files,
        async read(path) {
          // Every second reading of the generation comes after the quote.
          if (path.endsWith('generation') && ++reads % 2 === 0 && reads / 2 <= count)
            await writeFile(path, `${reads + 1000}\n`);
          return files.read(path);
        },
      };
      return source(meddling).quote(reportData, { signal: never });
    };
    expect(parseQuote(await meddle(2)).report.reportData).toEqual(reportData);
    await expect(meddle(3)).rejects.toThrow(failsWith('quote-conflict'));
    expect(await readdir(root)).toEqual([]);
  });

  it('refuses an empty quote, another provider, and a kernel without TDX', async () => {
    const files = kernelOver(root);
    const answering = (name: string, content: string): TsmFiles => ({
      ...files,
      read: async (path) => (path.endsWith(name) ? utf8(content) : files.read(path)),
    });
    await expect(source(answering('outblob', '')).quote(reportData, { signal: never })).rejects.toThrow(
      failsWith('quote-empty'),
    );
    await expect(source(answering('provider', 'sev_guest\n')).quote(reportData, { signal: never })).rejects.toThrow(
      failsWith('quote-provider'),
    );
    await expect(source(answering('generation', 'x')).quote(reportData, { signal: never })).rejects.toThrow(
      failsWith('quote-source'),
    );
    const elsewhere = createConfigfsSource(
      { files: nodeTsmFiles, clock: systemClock },
      { root: join(root, 'none'), name: 'x' },
    );
    await expect(elsewhere.quote(reportData, { signal: never })).rejects.toThrow(/is this a TDX guest/);
    expect(await readdir(root)).toEqual([]);
  });

  it.each(['EIO', 'ETIMEDOUT', 'EINVAL'])('passes on a late %s as its own typed error and cleans up', async (code) => {
    const late = source(kernelOver(root, { outblob: times(1, fails(code)) }));
    await expect(late.quote(reportData, { signal: never })).rejects.toThrow(failsWith('quote-source'));
    expect(await readdir(root)).toEqual([]);
    expect(parseQuote(await late.quote(reportData, { signal: never })).report.reportData).toEqual(reportData);
  });

  it('writes again when the write itself was interrupted', async () => {
    const interrupted = source(kernelOver(root, { write: times(1, fails('EINTR')) }));
    expect(parseQuote(await interrupted.quote(reportData, { signal: never })).report.reportData).toEqual(reportData);
  });
});

describe('the simulated provider', () => {
  it.each(['v4', 'v5-td10', 'v5-td15'] as const)(
    'gives %s quotes through the provider code of the real ones',
    async (layout) => {
      const clock = createManualClock(0);
      const source = createSimulatedSource({ clock }, platform, measurements, layout);
      const quoter = createQuoter({ source, clock });
      expect(quoter.kind).toBe('simulated');
      const quote = parseQuote(await quoter.quote(peer(1)));
      expect(quote.report.reportData).toEqual(reportDataOf(peer(1)));
      expect(quote.version).toBe(layout === 'v4' ? 4 : 5);
    },
  );

  it('behaves like the kernel: wrong sizes, unknown files, directories that exist or do not', async () => {
    const files = createSimulatedTsm(platform, measurements, '/tsm');
    const code = (work: Promise<unknown>) =>
      work.then(
        () => 'done',
        (error: { code: string }) => error.code,
      );
    expect(await code(files.mkdir('/elsewhere/a'))).toBe('ENOENT');
    expect(await code(files.mkdir('/tsm/a'))).toBe('done');
    expect(await code(files.mkdir('/tsm/a'))).toBe('EEXIST');
    expect(await code(files.read('/tsm/a/outblob'))).toBe('EINVAL');
    expect(await code(files.write('/tsm/a/inblob', new Uint8Array(63)))).toBe('done');
    expect(await code(files.read('/tsm/a/outblob'))).toBe('EINVAL');
    expect(await code(files.write('/tsm/a/outblob', new Uint8Array(64)))).toBe('EACCES');
    expect(await code(files.read('/tsm/a/nothing'))).toBe('ENOENT');
    expect(await code(files.rmdir('/tsm/a'))).toBe('done');
    expect(await code(files.rmdir('/tsm/a'))).toBe('ENOENT');
    expect(await code(files.read('/tsm/a/provider'))).toBe('ENOENT');
  });
});
