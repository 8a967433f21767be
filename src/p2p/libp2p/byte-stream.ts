// A libp2p stream as a ByteStream: reads are pulled (libp2p pushes, so the stream is paused while enough waits),
// writes wait until the muxer has taken them.

import type { Stream } from '@libp2p/interface';
import { KithError } from '../../core/errors.ts';
import type { MeshErrorCode } from '../errors.ts';
import type { ByteStream } from '../stream.ts';

/** Held here before the stream is paused; the muxer's window holds the rest. */
const HELD_BYTES_MAX = 65_536;

const aborted = (cause: unknown): KithError =>
  cause instanceof KithError
    ? cause
    : new KithError<MeshErrorCode>('stream-aborted', 'the stream was reset or its connection lost', { cause });

/** Attach at once: what arrives before a listener does is lost to some readers of libp2p. */
export function byteStreamOf(stream: Stream): ByteStream {
  const arrived: Uint8Array[] = [];
  let heldBytes = 0;
  let ended = false;
  let closed = false;
  let failure: KithError | undefined;
  let wake: (() => void) | undefined;
  let wakeWriter: (() => void) | undefined;

  const fail = (error: KithError) => {
    failure ??= error;
    arrived.length = 0;
    wake?.();
    wakeWriter?.();
  };
  stream.addEventListener('message', ({ data }) => {
    const chunk = data instanceof Uint8Array ? data : data.subarray();
    if (failure || chunk.length === 0) return;
    arrived.push(chunk);
    heldBytes += chunk.length;
    if (heldBytes > HELD_BYTES_MAX && stream.readStatus === 'readable') stream.pause();
    wake?.();
  });
  const onEnd = () => {
    ended = true;
    wake?.();
  };
  stream.addEventListener('remoteCloseWrite', onEnd);
  // onDrain() of libp2p 3.3 answers from the second time on with the promise of the first, long resolved.
  for (const event of ['idle', 'drain'] as const) stream.addEventListener(event, () => wakeWriter?.());
  stream.addEventListener('close', (event) => {
    closed = true;
    if (event.error) fail(aborted(event.error));
    onEnd();
    wakeWriter?.();
  });

  return {
    async write(bytes) {
      if (failure) throw failure;
      try {
        stream.send(bytes);
        while (!failure && !closed && (stream.writeBufferLength > 0 || stream.writableNeedsDrain)) {
          await new Promise<void>((resolve) => {
            wakeWriter = resolve;
          });
        }
      } catch (cause) {
        throw failure ?? aborted(cause);
      }
      if (failure) throw failure;
    },
    async read() {
      for (;;) {
        if (failure) throw failure;
        const chunk = arrived.shift();
        if (chunk) {
          heldBytes -= chunk.length;
          if (heldBytes === 0 && stream.readStatus === 'paused') stream.resume();
          return chunk;
        }
        if (ended) return undefined;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    async closeWrite() {
      if (failure) throw failure;
      try {
        await stream.close();
      } catch (cause) {
        throw failure ?? aborted(cause);
      }
    },
    abort(error) {
      fail(error);
      stream.abort(error);
    },
  };
}
