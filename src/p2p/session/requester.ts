// The asking side of a request stream: numbers requests, waits for room in flight, matches answers.

import { u32be } from '../../core/bytes.ts';
import { abortError } from '../../core/deadline.ts';
import { KithError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import type { MeshErrorCode } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import { createFlow, violation } from './flow.ts';
import { decodeFailure, splitId, withId } from './request-messages.ts';
import { FRAME_TYPE, type SealedFrame, type SealedStream } from './sealed-stream.ts';

export interface Requester {
  /**
   * @throws KithError `peer-refused` (see `refusalOf`), `request-too-large`, `requests-busy`, the signal's reason, or
   * why the connection ended.
   */
  request(payload: Uint8Array, options: { signal: AbortSignal }): Promise<Uint8Array>;
  /** Rejects what waits. */
  close(error: KithError): void;
}

interface Pending {
  resolve(answer: Uint8Array): void;
  reject(error: KithError): void;
}

/** @param onFailure cuts the connection: a request stream fails with it. */
export function createRequester(
  deps: { clock: Clock; sealed: SealedStream; limits: ProtocolLimits },
  onFailure: (error: unknown) => void,
): Requester {
  const { sealed, limits } = deps;
  const flow = createFlow(deps, onFailure);
  /** Undefined for requests given up here that the peer may still answer. */
  const pending = new Map<number, Pending | undefined>();
  let nextId = 0;
  let closed: KithError | undefined;

  function settle(id: number, length: number, act: (waiting: Pending) => void): void {
    if (!pending.has(id)) throw violation(limits.id, `an answer to request ${id}, which is not open`);
    const waiting = pending.get(id);
    flow.received(length);
    pending.delete(id);
    if (waiting) act(waiting);
    flow.consumed(length);
  }

  function take({ type, payload }: SealedFrame): void {
    if (type === FRAME_TYPE.ack) {
      flow.acknowledged(payload);
      return;
    }
    const { id, content } = splitId(limits.id, payload);
    if (type === FRAME_TYPE.response) settle(id, content.length, (waiting) => waiting.resolve(content));
    else if (type === FRAME_TYPE.failure) {
      const error = decodeFailure(limits.id, content);
      settle(id, content.length, (waiting) => waiting.reject(error));
    } else throw violation(limits.id, `a frame of type ${type} on the asking side`);
  }

  async function listen(): Promise<void> {
    for (let frame = await sealed.receive(); frame; frame = await sealed.receive()) take(frame);
    if (!closed) throw violation(limits.id, 'the peer ended a stream that lives as long as the connection');
  }
  listen().catch(onFailure);

  return {
    async request(payload, { signal }) {
      if (closed) throw closed;
      if (payload.length > limits.messageBytesMax) {
        const message = `${limits.id}: a request of ${payload.length} bytes, at most ${limits.messageBytesMax} fit`;
        throw new KithError<MeshErrorCode>('request-too-large', message);
      }
      await flow.acquire(payload.length, signal);
      if (closed) throw closed;
      const id = nextId++;
      return new Promise<Uint8Array>((resolve, reject) => {
        const giveUp = () => {
          pending.set(id, undefined);
          reject(abortError(signal));
          flow.write(FRAME_TYPE.cancel, u32be(id)).catch(() => undefined);
        };
        const done = () => signal.removeEventListener('abort', giveUp);
        pending.set(id, {
          resolve: (answer) => {
            done();
            resolve(answer);
          },
          reject: (error) => {
            done();
            reject(error);
          },
        });
        flow.write(FRAME_TYPE.request, withId(id, payload)).catch(() => undefined);
        if (signal.aborted) giveUp();
        else signal.addEventListener('abort', giveUp, { once: true });
      });
    },
    close(error) {
      closed ??= error;
      flow.close(error);
      for (const waiting of pending.values()) waiting?.reject(error);
      pending.clear();
    },
  };
}
