// Bulk answers: one stream for each, opened by whoever asks; sealed items flow as fast as the asking application
// takes them, and an explicit end tells a whole answer from one cut short.

import { abortable, abortError, deadline, throwIfAborted } from '../../core/deadline.ts';
import { isKithError, KithError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import type { MeshErrorCode } from '../errors.ts';
import { type ProtocolLimits, STALL_MS } from '../limits.ts';
import { createFlow, violation } from './flow.ts';
import { decodeFailure, encodeFailure } from './request-messages.ts';
import { FRAME_TYPE, type SealedStream } from './sealed-stream.ts';

export type AnswerBulk = (request: Uint8Array, options: { signal: AbortSignal }) => AsyncIterable<Uint8Array>;

const NOTHING = new Uint8Array(0);

interface BulkDeps {
  readonly clock: Clock;
  readonly sealed: SealedStream;
  readonly limits: ProtocolLimits;
  /** Ends with the connection. */
  readonly signal: AbortSignal;
}

const reasonOf = (error: unknown): KithError =>
  isKithError(error) ? error : new KithError<MeshErrorCode>('stream-aborted', 'the stream failed', { cause: error });

/**
 * Asks, and yields the items. The caller ends early by leaving its loop.
 * @throws KithError `peer-refused`, `truncated`, the signal's reason, or why the stream failed.
 */
export async function* readBulk(deps: BulkDeps, request: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  const { sealed, limits, signal } = deps;
  const failed = new AbortController();
  const onAbort = () => failed.abort(abortError(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  const flow = createFlow(deps, (error) => failed.abort(reasonOf(error)));
  let whole = false;
  try {
    throwIfAborted(signal);
    await flow.acquire(request.length, failed.signal);
    flow.write(FRAME_TYPE.request, request).catch(() => undefined);
    for (;;) {
      const frame = await abortable(sealed.receive(), failed.signal);
      if (!frame) throw violation(limits.id, 'the stream ended before its answer did');
      const { type, payload } = frame;
      if (type === FRAME_TYPE.ack) flow.acknowledged(payload);
      else if (type === FRAME_TYPE.item) {
        flow.received(payload.length);
        yield payload;
        flow.consumed(payload.length);
      } else if (type === FRAME_TYPE.failure) throw decodeFailure(limits.id, payload);
      else if (type === FRAME_TYPE.end) break;
      else throw violation(limits.id, `a frame of type ${type} in an answer`);
    }
    if (await abortable(sealed.receive(), failed.signal)) throw violation(limits.id, 'more after the end of an answer');
    await flow.end();
    whole = true;
  } finally {
    signal.removeEventListener('abort', onAbort);
    const error = new KithError<MeshErrorCode>('stream-aborted', 'the answer was not wanted any more');
    flow.close(error);
    // What is not read to its end is aborted: a half-closed stream would count against the limit.
    if (!whole) sealed.abort(error);
  }
}

/** Answers one bulk request. Never rejects; a failure ends this stream only, except what `onViolation` is told. */
export async function serveBulk(
  deps: BulkDeps & { answer: AnswerBulk },
  onViolation: (error: KithError) => void,
): Promise<void> {
  const { sealed, answer, signal } = deps;
  const stop = new AbortController();
  const onAbort = () => stop.abort(abortError(signal));
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  const flow = createFlow(deps, (error) => stop.abort(reasonOf(error)));
  try {
    const request = await firstRequest(deps, stop.signal);
    flow.received(request.length);
    flow.consumed(request.length);
    const acks = listenForAcks(deps, flow).catch((error: unknown) => {
      stop.abort(reasonOf(error));
      throw error;
    });
    acks.catch(() => undefined);
    await sendItems(deps, flow, answer(request, { signal: stop.signal }), stop.signal);
    await abortable(acks, stop.signal);
  } catch (error) {
    const reason = stop.signal.aborted ? abortError(stop.signal) : reasonOf(error);
    sealed.abort(reason);
    if (isKithError(reason, ...CUTTING)) onViolation(reason);
  } finally {
    signal.removeEventListener('abort', onAbort);
    flow.close(new KithError<MeshErrorCode>('stream-aborted', 'the stream is done'));
    stop.abort(new KithError<MeshErrorCode>('stream-aborted', 'the stream is done'));
  }
}

/** What no honest peer does: the connection goes, not only the stream. */
const CUTTING = ['protocol-violation', 'frame-replayed', 'frame-missing', 'frame-forged', 'frame-too-large'] as const;

async function firstRequest({ clock, sealed, limits }: BulkDeps, signal: AbortSignal): Promise<Uint8Array> {
  using limit = deadline(clock, STALL_MS, signal);
  const frame = await abortable(sealed.receive(), limit.signal);
  if (frame?.type !== FRAME_TYPE.request) throw violation(limits.id, 'a bulk stream begins with its request');
  return frame.payload;
}

/** Until the peer has read all and says so with its end. */
async function listenForAcks({ sealed, limits }: BulkDeps, flow: ReturnType<typeof createFlow>): Promise<void> {
  for (let frame = await sealed.receive(); frame; frame = await sealed.receive()) {
    if (frame.type !== FRAME_TYPE.ack) throw violation(limits.id, `a frame of type ${frame.type} behind a request`);
    flow.acknowledged(frame.payload);
  }
}

async function sendItems(
  { clock, limits }: BulkDeps,
  flow: ReturnType<typeof createFlow>,
  items: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const room = async (length: number) => {
    using limit = deadline(clock, STALL_MS, signal);
    await flow.acquire(length, limit.signal);
  };
  try {
    for await (const item of items) {
      if (item.length > limits.messageBytesMax) {
        throw new KithError(
          'answer-too-large',
          `an item of ${item.length} bytes, at most ${limits.messageBytesMax} fit`,
        );
      }
      await room(item.length);
      await flow.write(FRAME_TYPE.item, item);
    }
    await flow.write(FRAME_TYPE.end, NOTHING);
  } catch (error) {
    throwIfAborted(signal);
    await flow.write(FRAME_TYPE.failure, encodeFailure(error));
  }
  await flow.end();
}
