import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, u32be } from '../../../src/core/bytes.ts';
import { isKithError } from '../../../src/core/errors.ts';
import { createFrameReader, createFrameWriter } from '../../../src/p2p/frames.ts';
import type { ByteStream } from '../../../src/p2p/stream.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { rejectionOf } from '../../support/outcome.ts';

const MAX = 10_000;

/** A stream that yields these chunks and collects what is written. */
function streamOf(chunks: Uint8Array[], written: Uint8Array[] = []): ByteStream {
  const left = [...chunks];
  return {
    write: async (bytes) => void written.push(bytes.slice()),
    read: async () => left.shift(),
    closeWrite: async () => undefined,
    abort: () => undefined,
  };
}

async function readAll(chunks: Uint8Array[], max = MAX): Promise<Uint8Array[]> {
  const reader = createFrameReader(streamOf(chunks));
  const frames: Uint8Array[] = [];
  for (let frame = await reader.next(max); frame; frame = await reader.next(max)) frames.push(frame);
  return frames;
}

function pieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const out: Uint8Array[] = [];
  let rest = bytes;
  for (const cut of cuts) {
    const length = Math.min(rest.length, cut);
    if (length > 0) out.push(rest.subarray(0, length));
    rest = rest.subarray(length);
  }
  if (rest.length > 0) out.push(rest);
  return out;
}

describe('frames', () => {
  it('come out as they went in, however the stream is cut', async () => {
    const frame = fc.uint8Array({ minLength: 1, maxLength: 6_000 });
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 6 }), fc.array(fc.nat(500)), async (frames, cuts) => {
        const written: Uint8Array[] = [];
        const writer = createFrameWriter(streamOf([], written));
        for (const each of frames) await writer.write(each);
        await writer.end();
        expect(await readAll(pieces(concatBytes(...written), cuts))).toEqual(frames);
      }),
      { numRuns: fuzzRuns(1_000) },
    );
  });

  it('fail with a typed error or end on any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat(20)), async (bytes, cuts) => {
        // Small lengths, so that frames are met too.
        const short = bytes.map((byte, i) => (i % 7 < 3 ? 0 : byte));
        for (const stream of [bytes, short]) {
          await readAll(pieces(stream, cuts), 100).catch((error: unknown) => {
            expect(isKithError(error, 'truncated', 'frame-too-large', 'after-end')).toBe(true);
          });
        }
      }),
      { numRuns: fuzzRuns(2_000) },
    );
  });

  it('are refused when they stop without an end, inside a length, inside a frame, or between frames', async () => {
    const whole = concatBytes(u32be(3), new Uint8Array(3), u32be(0));
    for (let length = 0; length < whole.length; length++) {
      expect((await rejectionOf(readAll([whole.subarray(0, length)])))?.code).toBe('truncated');
    }
    expect(await readAll([whole])).toHaveLength(1);
  });

  it('are refused by their length, before a byte of them is read', async () => {
    for (const length of [MAX + 1, 0xffffffff]) {
      expect((await rejectionOf(readAll([u32be(length)])))?.code).toBe('frame-too-large');
    }
    expect(await readAll([u32be(MAX), new Uint8Array(MAX), u32be(0)])).toHaveLength(1);
  });

  it('are refused when bytes follow the end', async () => {
    expect((await rejectionOf(readAll([concatBytes(u32be(0), Uint8Array.of(1))])))?.code).toBe('after-end');
  });

  it('are never empty', async () => {
    expect(() => createFrameWriter(streamOf([])).write(new Uint8Array(0))).toThrow('end frame');
  });
});
