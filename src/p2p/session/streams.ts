// The sealed streams of one attested connection: one for each protocol and direction as long as it lives, and bulk
// streams as they are asked for. A stream that breaks the rules takes the connection with it.

import { abortable, abortError, deadline } from '../../core/deadline.ts';
import { isKithError, KithError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import type { MeshErrorCode } from '../errors.ts';
import type { Handlers } from '../handlers.ts';
import type { AttestedPeer } from '../handshake/ports.ts';
import { DIAL_TIMEOUT_MS, type ProtocolLimits, REQUEST_TIMEOUT_MS } from '../limits.ts';
import type { ByteStream, Connection } from '../stream.ts';
import { readBulk, serveBulk } from './bulk.ts';
import { violation } from './flow.ts';
import { REQUEST_ID_BYTES } from './request-messages.ts';
import { createRequester, type Requester } from './requester.ts';
import { serveRequests } from './responder.ts';
import { type ConnectionKeys, createOrdinalWindow, createSealedStream, type SealedStream } from './sealed-stream.ts';

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** Ten seconds if undefined. */
  readonly timeoutMs?: number;
}

export interface Streams {
  request(protocol: string, payload: Uint8Array, options: RequestOptions): Promise<Uint8Array>;
  openBulk(
    protocol: string,
    payload: Uint8Array,
    options: { signal?: AbortSignal | undefined },
  ): AsyncIterable<Uint8Array>;
  /** Takes a stream the peer opened. */
  take(protocol: string, stream: ByteStream): void;
}

interface StreamsDeps {
  readonly clock: Clock;
  readonly connection: Connection;
  readonly keys: ConnectionKeys;
  readonly protocols: readonly ProtocolLimits[];
  readonly handlers: Pick<Handlers, 'answer' | 'answerBulk'>;
  /** As it attested last. */
  peer(): AttestedPeer;
}

const connectionError = (error: unknown): KithError =>
  isKithError(error) ? error : new KithError('internal', 'a stream failed', { cause: error });

export interface StreamEvents {
  /** Cuts the connection. */
  end(error: KithError): void;
  /** A stream the peer opened was not taken. */
  refused(protocol: string, error: KithError): void;
}

export function createStreams(deps: StreamsDeps, { end, refused }: StreamEvents): Streams {
  const { clock, connection, keys, handlers } = deps;
  const limitsOf = new Map(deps.protocols.map((limits) => [limits.id, limits]));
  const requesters = new Map<string, Promise<Requester>>();
  const ordinals = new Map<string, number>();
  const windows = new Map(deps.protocols.map(({ id }) => [id, createOrdinalWindow()]));
  const served = new Map<string, number>();
  const fail = (error: unknown) => end(connectionError(error));

  function limitsFor(protocol: string, kind: ProtocolLimits['kind']): ProtocolLimits {
    const limits = limitsOf.get(protocol);
    if (limits?.kind === kind) return limits;
    throw new KithError<MeshErrorCode>('unknown-protocol', `${protocol} is no ${kind} protocol of this mesh`);
  }

  const sealedOptions = ({ id, messageBytesMax }: ProtocolLimits) => ({
    protocol: id,
    payloadBytesMax: messageBytesMax + REQUEST_ID_BYTES,
  });

  async function open(limits: ProtocolLimits, signal: AbortSignal): Promise<SealedStream> {
    using limit = deadline(clock, DIAL_TIMEOUT_MS, signal);
    const stream = await connection.openStream(limits.id, { signal: limit.signal });
    const ordinal = ordinals.get(limits.id) ?? 0;
    ordinals.set(limits.id, ordinal + 1);
    return createSealedStream(keys, stream, { ...sealedOptions(limits), opener: keys.role, ordinal });
  }

  async function openRequester(limits: ProtocolLimits): Promise<Requester> {
    const sealed = await open(limits, connection.closed);
    const requester = createRequester({ clock, sealed, limits }, fail);
    const close = () => requester.close(abortError(connection.closed));
    if (connection.closed.aborted) close();
    else connection.closed.addEventListener('abort', close, { once: true });
    return requester;
  }

  function requesterFor(limits: ProtocolLimits): Promise<Requester> {
    const known = requesters.get(limits.id);
    if (known) return known;
    const opening = openRequester(limits);
    requesters.set(limits.id, opening);
    // The next request tries again.
    opening.catch(() => requesters.delete(limits.id));
    return opening;
  }

  async function* bulk(limits: ProtocolLimits, payload: Uint8Array, signal: AbortSignal | undefined) {
    const ended = new AbortController();
    const signals = [connection.closed, ...(signal ? [signal] : [])];
    const onAbort = () => ended.abort(abortError(signals.find(({ aborted }) => aborted)!));
    for (const each of signals) each.addEventListener('abort', onAbort, { once: true });
    try {
      if (signals.some(({ aborted }) => aborted)) onAbort();
      const sealed = await open(limits, ended.signal);
      yield* readBulk({ clock, sealed, limits, signal: ended.signal }, payload);
    } catch (error) {
      if (isKithError(error, 'protocol-violation', 'frame-replayed', 'frame-missing', 'frame-forged')) fail(error);
      throw error;
    } finally {
      for (const each of signals) each.removeEventListener('abort', onAbort);
    }
  }

  function refuse(protocol: string, stream: ByteStream, error: KithError): void {
    refused(protocol, error);
    stream.abort(error);
  }

  function serve(limits: ProtocolLimits, stream: ByteStream): void {
    const running = served.get(limits.id) ?? 0;
    const opener = keys.role === 'initiator' ? 'responder' : 'initiator';
    const fresh = windows.get(limits.id)!;
    const sealed = createSealedStream(keys, stream, { ...sealedOptions(limits), opener, fresh });
    const common = { clock, sealed, limits, signal: connection.closed };
    if (limits.kind === 'request') {
      if (running > 0) {
        fail(violation(limits.id, 'a second stream for requests'));
        return;
      }
      served.set(limits.id, 1);
      const answer = (request: Uint8Array, { signal }: { signal: AbortSignal }) =>
        handlers.answer(limits.id, request, deps.peer(), signal);
      serveRequests({ ...common, answer }, fail);
      return;
    }
    if (running >= limits.handlersMax) {
      refuse(limits.id, stream, new KithError<MeshErrorCode>('too-many', `${running} streams are open already`));
      return;
    }
    served.set(limits.id, running + 1);
    const answer = (request: Uint8Array, { signal }: { signal: AbortSignal }) =>
      handlers.answerBulk(limits.id, request, deps.peer(), signal);
    void serveBulk({ ...common, answer }, end).finally(() => served.set(limits.id, served.get(limits.id)! - 1));
  }

  return {
    async request(protocol, payload, { signal, timeoutMs = REQUEST_TIMEOUT_MS }) {
      using limit = deadline(clock, timeoutMs, signal);
      const requester = await abortable(requesterFor(limitsFor(protocol, 'request')), limit.signal);
      return await requester.request(payload, { signal: limit.signal });
    },
    openBulk: (protocol, payload, { signal }) => bulk(limitsFor(protocol, 'bulk'), payload, signal),
    take(protocol, stream) {
      const limits = limitsOf.get(protocol);
      if (limits) serve(limits, stream);
      else refuse(protocol, stream, new KithError<MeshErrorCode>('unknown-protocol', `nobody serves ${protocol}`));
    },
  };
}
