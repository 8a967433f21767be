// Flow control of one sealed stream: what was sent and not acknowledged by the other application is bounded, what
// came in and was not consumed is checked against the same bound, writes go out one after another, and a peer that
// takes no bytes for a while is given up.

import { concatBytes, u32be } from '../../core/bytes.ts';
import { abortable, abortError, deadline } from '../../core/deadline.ts';
import { KithError } from '../../core/errors.ts';
import type { Clock, Timer } from '../../core/ports.ts';
import type { MeshErrorCode } from '../errors.ts';
import { ACK_DELAY_MS, type ProtocolLimits, STALL_MS, WAITING_REQUESTS_MAX } from '../limits.ts';
import { FRAME_TYPE, type FrameType, type SealedStream } from './sealed-stream.ts';

const ACK_BYTES = 8;

export interface Flow {
  /**
   * Room for one frame of `length` bytes in flight, in the order of the calls.
   * @throws KithError `requests-busy` when too many wait, or the signal's reason.
   */
  acquire(length: number, signal: AbortSignal): Promise<void>;
  /** Sends after what was given before; failures go to `onFailure`. */
  write(type: FrameType, payload: Uint8Array): Promise<void>;
  end(): Promise<void>;
  /** Counts a frame that came. @throws KithError `protocol-violation` if the peer sends more than it may. */
  received(length: number): void;
  /**
   * The application is done with a frame that came. It is acknowledged with others: at once when they are half of what
   * may be in flight, or a moment later.
   */
  consumed(length: number): void;
  /** Takes the peer's acknowledgement. @throws KithError `protocol-violation`. */
  acknowledged(payload: Uint8Array): void;
  close(error: KithError): void;
}

interface Waiter {
  readonly length: number;
  grant(): void;
  refuse(error: KithError): void;
}

export function createFlow(
  deps: { clock: Clock; sealed: SealedStream; limits: ProtocolLimits },
  onFailure: (error: unknown) => void,
): Flow {
  const { clock, sealed, limits } = deps;
  const sent = { frames: 0, bytes: 0 };
  const held = { frames: 0, bytes: 0 };
  const owed = { frames: 0, bytes: 0 };
  const waiters: Waiter[] = [];
  let tail: Promise<void> = Promise.resolve();
  let closed: KithError | undefined;
  let ackQueued = false;
  /** Of an acknowledgement that waits for others. */
  let delay: Timer | undefined;

  const fits = (length: number) =>
    sent.frames === 0 || (sent.frames < limits.inFlightFramesMax && sent.bytes + length <= limits.inFlightBytesMax);

  function take(length: number): void {
    sent.frames++;
    sent.bytes += length;
  }

  function grantWaiters(): void {
    while (waiters.length > 0 && fits(waiters[0]!.length)) {
      const waiter = waiters.shift()!;
      take(waiter.length);
      waiter.grant();
    }
  }

  /** @param work begins when everything before it is written. */
  function enqueue(work: () => Promise<void>): Promise<void> {
    const run = tail.then(async () => {
      if (closed) throw closed;
      using limit = deadline(clock, STALL_MS);
      const written = work();
      // Its late failure is of no interest once the peer was given up.
      written.catch(() => undefined);
      await abortable(written, limit.signal).catch((error: unknown) => {
        if (!limit.signal.aborted) throw error;
        throw new KithError<MeshErrorCode>('peer-stalled', `the peer took no bytes for ${STALL_MS} ms`);
      });
    });
    tail = run.catch(onFailure);
    return run;
  }

  /** The peer has room for the other half meanwhile. */
  const isDue = () => 2 * owed.frames >= limits.inFlightFramesMax || 2 * owed.bytes >= limits.inFlightBytesMax;

  function queueAck(): void {
    delay?.cancel();
    delay = undefined;
    ackQueued = true;
    void enqueue(sendAck).catch(() => undefined);
  }

  async function sendAck(): Promise<void> {
    ackQueued = false;
    const payload = concatBytes(u32be(owed.frames), u32be(owed.bytes));
    owed.frames = 0;
    owed.bytes = 0;
    await sealed.send(FRAME_TYPE.ack, payload);
  }

  return {
    acquire(length, signal) {
      if (closed) return Promise.reject(closed);
      if (signal.aborted) return Promise.reject(abortError(signal));
      if (waiters.length === 0 && fits(length)) {
        take(length);
        return Promise.resolve();
      }
      if (waiters.length >= WAITING_REQUESTS_MAX) {
        const message = `${waiters.length} messages wait for this peer already`;
        return Promise.reject(new KithError<MeshErrorCode>('requests-busy', message));
      }
      return new Promise((resolve, reject) => {
        const leave = () => {
          waiters.splice(waiters.indexOf(waiter), 1);
          reject(abortError(signal));
          grantWaiters();
        };
        const settle = () => signal.removeEventListener('abort', leave);
        const waiter: Waiter = {
          length,
          grant: () => {
            settle();
            resolve();
          },
          refuse: (error) => {
            settle();
            reject(error);
          },
        };
        signal.addEventListener('abort', leave, { once: true });
        waiters.push(waiter);
      });
    },
    write: (type, payload) => enqueue(() => sealed.send(type, payload)),
    end: () => enqueue(() => sealed.end()),
    received(length) {
      held.frames++;
      held.bytes += length;
      const within =
        held.frames === 1 || (held.frames <= limits.inFlightFramesMax && held.bytes <= limits.inFlightBytesMax);
      if (!within)
        throw violation(
          limits.id,
          `more than ${limits.inFlightFramesMax} frames or ${limits.inFlightBytesMax} bytes in flight`,
        );
    },
    consumed(length) {
      held.frames--;
      held.bytes -= length;
      owed.frames++;
      owed.bytes += length;
      if (ackQueued || closed) return;
      if (isDue()) queueAck();
      else delay ??= clock.schedule(ACK_DELAY_MS, queueAck);
    },
    acknowledged(payload) {
      if (payload.length !== ACK_BYTES) throw violation(limits.id, 'not an acknowledgement');
      const view = new DataView(payload.buffer, payload.byteOffset, ACK_BYTES);
      const [frames, bytes] = [view.getUint32(0), view.getUint32(4)];
      if (frames === 0 || frames > sent.frames || bytes > sent.bytes) {
        throw violation(limits.id, 'an acknowledgement of what was not sent');
      }
      sent.frames -= frames;
      sent.bytes -= bytes;
      grantWaiters();
    },
    close(error) {
      closed ??= error;
      delay?.cancel();
      delay = undefined;
      for (const waiter of waiters.splice(0)) waiter.refuse(error);
    },
  };
}

export const violation = (protocol: string, message: string): KithError<MeshErrorCode> =>
  new KithError<MeshErrorCode>('protocol-violation', `${protocol}: ${message}`);
