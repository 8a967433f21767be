// Who answers which protocol, in which phases, to whom.

import { KithError } from '../core/errors.ts';
import type { Refusal } from './errors.ts';
import type { AttestedPeer } from './handshake/ports.ts';
import type { ProtocolLimits } from './limits.ts';

/** Answers a request of an attested peer. A KithError goes to the peer as code and message, anything else as `internal`. */
export type RequestHandler = (
  request: Uint8Array,
  peer: AttestedPeer,
  options: { signal: AbortSignal },
) => Promise<Uint8Array>;

/** Answers with items, made as fast as the peer takes them. */
export type BulkHandler = (
  request: Uint8Array,
  peer: AttestedPeer,
  options: { signal: AbortSignal },
) => AsyncIterable<Uint8Array>;

export interface HandlerOptions {
  /** Phases of this node in which it answers; any if undefined. */
  readonly phases?: readonly string[];
  /** Asked before each request; a refusal goes to the peer. */
  readonly permit?: (peer: AttestedPeer, request: Uint8Array) => Refusal | undefined;
}

export interface Handlers {
  handle(protocol: string, options: HandlerOptions, handler: RequestHandler): void;
  handleBulk(protocol: string, options: HandlerOptions, handler: BulkHandler): void;
  /** @throws KithError `unknown-protocol`, `not-served`, `not-in-phase`, or what `permit` says. */
  answer(protocol: string, request: Uint8Array, peer: AttestedPeer, signal: AbortSignal): Promise<Uint8Array>;
  answerBulk(protocol: string, request: Uint8Array, peer: AttestedPeer, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

interface Entry<Handler> extends HandlerOptions {
  readonly handler: Handler;
}

/** @param deps.phase of this node, read at each request. */
export function createHandlers(
  deps: { phase: () => string; onUnexpected: (protocol: string, error: unknown) => void },
  protocols: readonly ProtocolLimits[],
): Handlers {
  const requests = new Map<string, Entry<RequestHandler>>();
  const bulks = new Map<string, Entry<BulkHandler>>();

  function add<Handler>(
    entries: Map<string, Entry<Handler>>,
    kind: ProtocolLimits['kind'],
    protocol: string,
    entry: Entry<Handler>,
  ): void {
    const known = protocols.some((limits) => limits.id === protocol && limits.kind === kind);
    if (!known) throw new KithError('unknown-protocol', `${protocol} is no ${kind} protocol of this mesh`);
    if (entries.has(protocol)) throw new KithError('internal', `${protocol} has a handler already`);
    entries.set(protocol, entry);
  }

  function find<Handler>(
    entries: Map<string, Entry<Handler>>,
    protocol: string,
    peer: AttestedPeer,
    request: Uint8Array,
  ): Handler {
    const entry = entries.get(protocol);
    if (!entry) throw new KithError('not-served', `this node does not serve ${protocol}`);
    const phase = deps.phase();
    if (entry.phases && !entry.phases.includes(phase)) {
      throw new KithError('not-in-phase', `${protocol} is not served in the phase ${phase}`);
    }
    const refused = entry.permit?.(peer, request);
    if (refused) throw new KithError(refused.code, refused.message);
    return entry.handler;
  }

  const unexpected = (protocol: string, error: unknown) => {
    if (!(error instanceof KithError)) deps.onUnexpected(protocol, error);
    return error;
  };

  return {
    handle: (protocol, options, handler) => add(requests, 'request', protocol, { ...options, handler }),
    handleBulk: (protocol, options, handler) => add(bulks, 'bulk', protocol, { ...options, handler }),
    async answer(protocol, request, peer, signal) {
      try {
        return await find(requests, protocol, peer, request)(request, peer, { signal });
      } catch (error) {
        throw unexpected(protocol, error);
      }
    },
    async *answerBulk(protocol, request, peer, signal) {
      try {
        yield* find(bulks, protocol, peer, request)(request, peer, { signal });
      } catch (error) {
        throw unexpected(protocol, error);
      }
    },
  };
}
