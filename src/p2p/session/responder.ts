// The answering side of a request stream: takes requests in order, handles a few at once, answers each. A request
// counts as in flight until its handler has settled.

import { abortable, deadline } from '../../core/deadline.ts';
import { isKithError, KithError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import type { MeshErrorCode } from '../errors.ts';
import { type ProtocolLimits, STALL_MS } from '../limits.ts';
import { createFlow, violation } from './flow.ts';
import { encodeFailure, splitId, withId } from './request-messages.ts';
import { FRAME_TYPE, type SealedFrame, type SealedStream } from './sealed-stream.ts';

/** @throws whatever: a KithError's code and message go to the peer, anything else as `internal`. */
export type AnswerRequest = (request: Uint8Array, options: { signal: AbortSignal }) => Promise<Uint8Array>;

interface Asked {
  readonly id: number;
  readonly content: Uint8Array;
  readonly abort: AbortController;
}

/**
 * Serves until the stream ends.
 * @param onFailure cuts the connection.
 */
export function serveRequests(
  deps: { clock: Clock; sealed: SealedStream; limits: ProtocolLimits; answer: AnswerRequest; signal: AbortSignal },
  onFailure: (error: unknown) => void,
): void {
  const { clock, sealed, limits, answer, signal } = deps;
  // One listener on the connection for all that runs here.
  const life = new AbortController();
  const flow = createFlow(deps, onFailure);
  const open = new Map<number, Asked>();
  const waiting: Asked[] = [];
  let running = 0;
  let expectedId = 0;

  const stop = () => {
    const reason: KithError = isKithError(signal.reason)
      ? signal.reason
      : new KithError<MeshErrorCode>('connection-closed', 'the connection ended');
    life.abort(reason);
    flow.close(reason);
    for (const { abort } of open.values()) abort.abort(reason);
    open.clear();
    waiting.length = 0;
  };
  signal.addEventListener('abort', stop, { once: true });

  async function handle(asked: Asked): Promise<void> {
    let type: typeof FRAME_TYPE.response | typeof FRAME_TYPE.failure = FRAME_TYPE.response;
    let content: Uint8Array;
    try {
      content = await abortable(answer(asked.content, { signal: asked.abort.signal }), asked.abort.signal);
      if (content.length > limits.messageBytesMax) {
        throw new KithError('answer-too-large', `${content.length} bytes, at most ${limits.messageBytesMax} fit`);
      }
    } catch (error) {
      type = FRAME_TYPE.failure;
      content = encodeFailure(error);
    }
    open.delete(asked.id);
    if (signal.aborted) return;
    await room(content.length);
    flow.write(type, withId(asked.id, content)).catch(() => undefined);
    flow.consumed(asked.content.length);
  }

  /** A peer that acknowledges no answers while it asks for more does not read. */
  async function room(length: number): Promise<void> {
    using limit = deadline(clock, STALL_MS, life.signal);
    await flow.acquire(length, limit.signal).catch((error: unknown) => {
      if (!isKithError(error, 'timeout')) throw error;
      throw new KithError<MeshErrorCode>('peer-stalled', `${limits.id}: no answer was acknowledged for ${STALL_MS} ms`);
    });
  }

  function next(): void {
    while (running < limits.handlersMax) {
      const asked = waiting.shift();
      if (!asked) return;
      running++;
      handle(asked)
        .catch(onFailure)
        .finally(() => {
          running--;
          next();
        });
    }
  }

  function take({ type, payload }: SealedFrame): void {
    if (type === FRAME_TYPE.ack) {
      flow.acknowledged(payload);
      return;
    }
    const { id, content } = splitId(limits.id, payload);
    if (type === FRAME_TYPE.request) {
      if (id !== expectedId) throw violation(limits.id, `request ${id} came where ${expectedId} was due`);
      expectedId++;
      flow.received(content.length);
      const asked = { id, content, abort: new AbortController() };
      open.set(id, asked);
      waiting.push(asked);
      next();
    } else if (type === FRAME_TYPE.cancel) {
      if (id >= expectedId) throw violation(limits.id, `request ${id} is given up before it was made`);
      open.get(id)?.abort.abort(new KithError('cancelled', 'the peer gave the request up'));
    } else throw violation(limits.id, `a frame of type ${type} on the answering side`);
  }

  async function listen(): Promise<void> {
    for (let frame = await sealed.receive(); frame; frame = await sealed.receive()) take(frame);
    if (!signal.aborted) throw violation(limits.id, 'the peer ended a stream that lives as long as the connection');
  }
  listen().catch(onFailure);
}
