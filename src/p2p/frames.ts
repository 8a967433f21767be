// Frames over a byte stream: four bytes of length, then the frame. A length of zero is the end frame, so that a
// stream cut short is never taken for a finished one. Lengths are checked before anything is kept.

import { concatBytes, u32be } from '../core/bytes.ts';
import { KithError } from '../core/errors.ts';
import type { MeshErrorCode } from './errors.ts';
import type { ByteStream } from './stream.ts';

export const FRAME_HEADER_BYTES = 4;
/** Kept for a frame before its bytes arrive; it grows by doubling, so that a claimed length costs nothing. */
const FIRST_ROOM_BYTES = 4_096;

export interface FrameWriter {
  /** One frame, not empty; one call at a time. @throws what the stream throws. */
  write(frame: Uint8Array): Promise<void>;
  /** The end frame, then the end of this direction. */
  end(): Promise<void>;
}

export interface FrameReader {
  /**
   * The next frame, or undefined after the end frame.
   * @param frameBytesMax longer ones are refused before their bytes are read.
   * @throws KithError `truncated`, `frame-too-large`, `after-end`, or what the stream throws.
   */
  next(frameBytesMax: number): Promise<Uint8Array | undefined>;
}

export function createFrameWriter(stream: ByteStream): FrameWriter {
  return {
    write(frame) {
      if (frame.length === 0) throw new KithError('internal', 'an empty frame would be an end frame');
      return stream.write(concatBytes(u32be(frame.length), frame));
    },
    async end() {
      await stream.write(u32be(0));
      await stream.closeWrite();
    },
  };
}

export function createFrameReader(stream: ByteStream): FrameReader {
  let rest: Uint8Array = new Uint8Array(0);
  let ended = false;

  /** Exactly `length` bytes, whatever pieces they come in. */
  async function take(length: number): Promise<Uint8Array> {
    let room = new Uint8Array(Math.min(length, FIRST_ROOM_BYTES));
    let filled = 0;
    while (filled < length) {
      if (rest.length === 0) rest = await more(filled, length);
      const piece = rest.subarray(0, length - filled);
      if (filled + piece.length > room.length) {
        const larger = new Uint8Array(Math.min(length, Math.max(2 * room.length, filled + piece.length)));
        larger.set(room);
        room = larger;
      }
      room.set(piece, filled);
      filled += piece.length;
      rest = rest.subarray(piece.length);
    }
    return room;
  }

  async function more(filled: number, length: number): Promise<Uint8Array> {
    const chunk = await stream.read();
    if (chunk) return chunk;
    throw new KithError<MeshErrorCode>(
      'truncated',
      `the stream ended after ${filled} of ${length} bytes, without an end`,
    );
  }

  return {
    async next(frameBytesMax) {
      if (ended) return undefined;
      const length = readU32(await take(FRAME_HEADER_BYTES));
      if (length > frameBytesMax) {
        throw new KithError<MeshErrorCode>(
          'frame-too-large',
          `a frame of ${length} bytes; at most ${frameBytesMax} are accepted here`,
        );
      }
      if (length > 0) return take(length);
      ended = true;
      if (rest.length > 0) throw new KithError<MeshErrorCode>('after-end', `${rest.length} bytes follow the end frame`);
      return undefined;
    },
  };
}

const readU32 = (bytes: Uint8Array): number =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);
