// What every chain source must do, and the simulated chain must let it do. Each source runs it over the same replay,
// so that the sources, and the answers of both wire formats, are checked against each other.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { equalBytes } from '../../../src/core/bytes.ts';
import { systemClock } from '../../../src/core/system.ts';
import { createDevnet, type Devnet } from '../../../src/devnet/index.ts';
import type { ChainSource, SourceBlock, Transport } from '../../../src/indexer/index.ts';
import { linesOf, type ReplayLine, replayOf } from '../../support/replay.ts';

export interface SourceUnderTest {
  readonly source: ChainSource;
  readonly close?: () => Promise<void>;
}

/** Heights 1000 to 1059: filler, several flags, no flags, two transactions in a block, the last block shielded. */
const LINES: readonly ReplayLine[] = replayLines();

function replayLines(): ReplayLine[] {
  const flag = (n: number) => `${'00'.repeat(100)}0300000000000000${n.toString(16).padStart(4, '0')}0f`;
  const lines: ReplayLine[] = [{ height: 1000, block_index: 0, flags: [flag(1)] }];
  for (let height = 1003; height < 1059; height += 3) {
    lines.push({
      height,
      block_index: 1,
      flags: height % 2 === 0 ? [flag(height), flag(height + 100)] : [flag(height)],
    });
    if (height % 4 === 0) lines.push({ height, block_index: 7, flags: null });
  }
  lines.push({ height: 1059, block_index: 2, flags: [flag(9), flag(10), flag(11)] });
  return lines;
}

export function describeSourceContract(
  name: string,
  make: (devnet: Devnet, version: '0.37' | '0.38') => Promise<SourceUnderTest> | SourceUnderTest,
  options: { version?: '0.37' | '0.38' } = {},
): void {
  describe(`the source ${name}`, () => {
    const version = options.version ?? '0.37';
    const devnet = createDevnet({ replay: replayOf(LINES), version });
    const { signal } = new AbortController();
    let made: SourceUnderTest;
    let source: ChainSource;

    beforeAll(async () => {
      made = await make(devnet, version);
      source = made.source;
    });
    afterAll(() => made.close?.());

    async function everything(): Promise<SourceBlock[]> {
      const blocks: SourceBlock[] = [];
      for (let from = 1000; from <= 1059; from += source.rangeMax) {
        blocks.push(...(await source.blocks(from, Math.min(1059, from + source.rangeMax - 1), { signal })));
      }
      return blocks;
    }

    it('names the tip, and the chain if it knows it', async () => {
      const status = await source.status({ signal });
      expect(status.latest).toBe(1059);
      expect(status.earliest).toBeLessThanOrEqual(1000);
      expect(status.chainId).toBe(source.flags ? 'kith-devnet' : undefined);
      expect(status.latestHash?.length).toBe(source.flags ? 32 : undefined);
    });

    it('gives each height once and in order, with the very transactions of the chain', async () => {
      const blocks = await everything();
      expect(blocks.map(({ height }) => height)).toEqual(Array.from({ length: 60 }, (_, i) => 1000 + i));
      const expected = source.flags ? LINES : LINES.map((line) => ({ ...line, flags: null }));
      expect(linesOf(blocks)).toEqual(expected);
      expect(blocks.flatMap(({ undecodable }) => undecodable)).toEqual([]);
    });

    it('links each block to the one before, if it knows hashes', async () => {
      const blocks = await everything();
      for (const [i, block] of blocks.entries()) {
        expect(block.hash === undefined).toBe(!source.flags);
        const parent = blocks[i - 1]?.hash;
        if (parent) expect(equalBytes(parent, block.parentHash!)).toBe(true);
      }
    });

    it('answers a single height as it answers a range', async () => {
      expect(linesOf(await source.blocks(1036, 1036, { signal }))).toEqual(
        linesOf((await everything()).filter(({ height }) => height === 1036)),
      );
    });

    it('has no block above the tip, and says so', async () => {
      await expect(source.blocks(1060, 1060, { signal })).rejects.toMatchObject({ code: 'height-unavailable' });
      await expect(source.blocks(1058, 1061, { signal })).rejects.toMatchObject({ code: 'height-unavailable' });
    });

    it.each([
      ['errors', 'upstream-refused'],
      ['garbage', 'bad-answer'],
      ['truncated', 'bad-answer'],
    ] as const)('tells %s of an upstream by the code %s', async (kind, code) => {
      devnet.fault({ rates: { [kind]: 1 } });
      await expect(source.blocks(1000, 1004, { signal })).rejects.toMatchObject({ code });
      await expect(source.status({ signal })).rejects.toMatchObject({ code });
      devnet.fault({ rates: {} });
      await expect(source.status({ signal })).resolves.toMatchObject({ latest: 1059 });
    });

    it.each(['duplicated', 'reordered'] as const)('never hands on %s heights', async (kind) => {
      const good = linesOf(await source.blocks(1000, 1004, { signal }));
      devnet.fault({ rates: { [kind]: 1 } });
      for (let i = 0; i < 20; i++) {
        // A swap may hit one and the same call: then the answer is as good as any.
        const outcome = await source
          .blocks(1000, 1004, { signal })
          .then(linesOf, (error: { code: string }) => error.code);
        if (outcome !== 'bad-answer') expect(outcome).toEqual(good);
      }
      devnet.fault({ rates: {} });
    });

    it('ends at once when it is told to', async () => {
      devnet.fault({ rates: { stalls: 1 } });
      const controller = new AbortController();
      const work = source.blocks(1000, 1004, { signal: controller.signal });
      controller.abort();
      await expect(work).rejects.toMatchObject({ code: 'aborted' });
      devnet.fault({ rates: {} });
    });
  });
}

/** A transport that counts and shows what is asked. */
export function watched(inner: Transport): {
  transport: Transport;
  targets: string[];
  headers: (string | undefined)[];
} {
  const targets: string[] = [];
  const headers: (string | undefined)[] = [];
  const transport: Transport = {
    name: inner.name,
    request(request, options) {
      targets.push(request.target);
      headers.push(request.headers?.['cache-control']);
      return inner.request(request, options);
    },
  };
  return { transport, targets, headers };
}

export const clock = systemClock;
