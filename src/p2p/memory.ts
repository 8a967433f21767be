// A network inside one process: connections as pairs of queues, on virtual time, with faults between the two ends.
// For tests and the simulation of whole clusters; the same contract suite runs over it as over libp2p.

import { equalBytes } from '../core/bytes.ts';
import { abortError, throwIfAborted } from '../core/deadline.ts';
import { KithError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import type { MeshErrorCode } from './errors.ts';
import type { ByteStream, Connection, Transport } from './stream.ts';

/** Bytes one direction of a stream holds before `write` waits. As much as a yamux window. */
const WINDOW_BYTES = 262_144;

/** What a link does to one chunk, that is to one `write`: how often it arrives, and how much later. */
export interface ChunkFate {
  /** 1 if undefined; 0 loses it. */
  readonly copies?: number;
  readonly delayMs?: number;
  /** Replaces the bytes. */
  readonly bytes?: Uint8Array;
  /** Whether later chunks may overtake it. */
  readonly overtaken?: boolean;
}

export interface Chunk {
  readonly from: string;
  readonly to: string;
  readonly protocol: string;
  readonly bytes: Uint8Array;
}

/** What the network does; any part may be changed while it runs. */
export interface MemoryFaults {
  chunk?: (chunk: Chunk) => ChunkFate | undefined;
  /** Whether a dial gets through. */
  dial?: (from: string, to: string) => boolean;
}

export interface MemoryNetwork {
  readonly faults: MemoryFaults;
  /** @param options.address where others dial it. Any text: this network knows no grammar. */
  transport(options: { bootKey: Uint8Array; address: string }): Transport;
  /** Ends every connection between the two addresses (or of one, if the other is left out). */
  cut(a: string, b?: string): void;
}

const closedError = (message: string) => new KithError<MeshErrorCode>('connection-closed', message);

export interface MemoryNetworkDeps {
  readonly clock: Clock;
  /**
   * Is given the signal that ends a new link. It has a few listeners for each protocol and both ends, all of one life:
   * what a runtime may take for a leak unless it is told.
   */
  readonly onLink?: ((ended: AbortSignal) => void) | undefined;
}

export function createMemoryNetwork(deps: MemoryNetworkDeps): MemoryNetwork {
  const faults: MemoryFaults = {};
  const listening = new Map<string, Endpoint>();
  const links = new Set<Link>();

  function connect(from: Endpoint, to: Endpoint): Connection {
    const link = createLink(deps, faults, from, to, () => links.delete(link));
    links.add(link);
    to.accept(link.far);
    return link.near;
  }

  return {
    faults,
    transport({ bootKey, address }) {
      let accept: ((connection: Connection) => void) | undefined;
      const own: Endpoint = {
        bootKey,
        address,
        accept: (connection) => {
          if (accept) accept(connection);
          else connection.abort(closedError('nobody takes connections'));
        },
      };
      return {
        bootKey,
        async start() {
          listening.set(address, own);
        },
        async stop() {
          if (listening.get(address) === own) listening.delete(address);
          for (const link of [...links]) if (link.touches(own)) link.near.abort(closedError('the transport stopped'));
        },
        async dial(target, { signal }) {
          throwIfAborted(signal);
          const other = listening.get(target);
          if (!other || faults.dial?.(address, target) === false) {
            throw new KithError<MeshErrorCode>('unreachable', `nobody answers at ${target}`);
          }
          if (equalBytes(other.bootKey, bootKey))
            throw new KithError<MeshErrorCode>('dialled-self', 'that is this node');
          return connect(own, other);
        },
        onConnection(handler) {
          accept = handler;
        },
        addresses: () => [address],
      };
    },
    cut(a, b) {
      for (const link of [...links]) if (link.joins(a, b)) link.near.abort(closedError('the link was cut'));
    },
  };
}

interface Endpoint {
  readonly bootKey: Uint8Array;
  readonly address: string;
  accept(connection: Connection): void;
}

interface Link {
  readonly near: Connection;
  readonly far: Connection;
  touches(endpoint: Endpoint): boolean;
  joins(a: string, b: string | undefined): boolean;
}

type StreamHandler = (protocol: string, stream: ByteStream) => void;

function createLink(
  deps: MemoryNetworkDeps,
  faults: MemoryFaults,
  from: Endpoint,
  to: Endpoint,
  onClosed: () => void,
): Link {
  const { clock } = deps;
  const ended = new AbortController();
  deps.onLink?.(ended.signal);
  const streams = new Set<Pair>();
  const handlers: { near?: StreamHandler; far?: StreamHandler } = {};

  const abort = (error: KithError) => {
    if (ended.signal.aborted) return;
    onClosed();
    for (const stream of [...streams]) stream.abort(error);
    ended.abort(error);
  };

  function open(side: 'near' | 'far', protocol: string): ByteStream {
    const [source, target] = side === 'near' ? [from, to] : [to, from];
    const route = (a: Endpoint, b: Endpoint) => ({ clock, faults, from: a.address, to: b.address, protocol });
    const pair = createStreamPair(route(source, target), route(target, source), () => streams.delete(pair));
    streams.add(pair);
    const handler = handlers[side === 'near' ? 'far' : 'near'];
    if (handler) handler(protocol, pair.there);
    else pair.abort(new KithError<MeshErrorCode>('stream-aborted', 'nobody takes streams'));
    return pair.here;
  }

  const end = (side: 'near' | 'far'): Connection => ({
    peerBootKey: (side === 'near' ? to : from).bootKey,
    remoteHost: (side === 'near' ? to : from).address,
    role: side === 'near' ? 'initiator' : 'responder',
    async openStream(protocol, { signal }) {
      throwIfAborted(signal);
      if (ended.signal.aborted) throw abortError(ended.signal);
      return open(side, protocol);
    },
    onStream: (handler) => {
      handlers[side] = handler;
    },
    abort,
    closed: ended.signal,
  });

  return {
    near: end('near'),
    far: end('far'),
    touches: (endpoint) => endpoint === from || endpoint === to,
    joins: (a, b) =>
      [from.address, to.address].includes(a) && (b === undefined || [from.address, to.address].includes(b)),
  };
}

interface Route {
  readonly clock: Clock;
  readonly faults: MemoryFaults;
  readonly from: string;
  readonly to: string;
  readonly protocol: string;
}

interface Pair {
  readonly here: ByteStream;
  readonly there: ByteStream;
  abort(error: KithError): void;
}

function createStreamPair(out: Route, back: Route, onEnded: () => void): Pair {
  const forward = createPipe(out);
  const backward = createPipe(back);
  const abort = (error: KithError) => {
    onEnded();
    forward.abort(error);
    backward.abort(error);
  };
  const side = (outgoing: Pipe, incoming: Pipe): ByteStream => ({
    write: outgoing.write,
    closeWrite: async () => {
      outgoing.end();
      if (forward.ended() && backward.ended()) onEnded();
    },
    read: incoming.read,
    abort,
  });
  return { here: side(forward, backward), there: side(backward, forward), abort };
}

interface Pipe {
  write(bytes: Uint8Array): Promise<void>;
  read(): Promise<Uint8Array | undefined>;
  end(): void;
  ended(): boolean;
  abort(error: KithError): void;
}

/** One direction. Chunks keep their order unless a fault lets one be overtaken. */
function createPipe({ clock, faults, from, to, protocol }: Route): Pipe {
  const arrived: Uint8Array[] = [];
  let heldBytes = 0;
  let failure: KithError | undefined;
  let writeEnded = false;
  let readEnded = false;
  let lastDueMs = 0;
  /** On their way in order: nothing may arrive before them. */
  let inTransit = 0;
  let wakeReader: (() => void) | undefined;
  let wakeWriter: (() => void) | undefined;

  const deliver = (delayMs: number, overtaken: boolean, arrive: () => void) => {
    const now = clock.monotonic();
    const dueMs = Math.max(overtaken ? 0 : lastDueMs, now + delayMs);
    if (overtaken) {
      clock.schedule(dueMs - now, arrive);
      return;
    }
    lastDueMs = dueMs;
    if (dueMs <= now && inTransit === 0) {
      arrive();
      return;
    }
    inTransit++;
    clock.schedule(dueMs - now, () => {
      inTransit--;
      arrive();
    });
  };
  const wake = () => {
    wakeReader?.();
    wakeWriter?.();
  };

  return {
    async write(bytes) {
      if (failure) throw failure;
      if (writeEnded) throw new KithError<MeshErrorCode>('stream-aborted', 'the stream was ended');
      const fate = faults.chunk?.({ from, to, protocol, bytes }) ?? {};
      const chunk = (fate.bytes ?? bytes).slice();
      for (let copy = fate.copies ?? 1; copy > 0; copy--) {
        heldBytes += chunk.length;
        deliver(fate.delayMs ?? 0, fate.overtaken ?? false, () => {
          if (failure) return;
          arrived.push(chunk);
          wakeReader?.();
        });
      }
      while (heldBytes > WINDOW_BYTES && !failure) {
        await new Promise<void>((resolve) => {
          wakeWriter = resolve;
        });
      }
      if (failure) throw failure;
    },
    async read() {
      for (;;) {
        if (failure) throw failure;
        const chunk = arrived.shift();
        if (chunk) {
          heldBytes -= chunk.length;
          wakeWriter?.();
          return chunk;
        }
        if (readEnded) return undefined;
        await new Promise<void>((resolve) => {
          wakeReader = resolve;
        });
      }
    },
    end() {
      if (writeEnded) return;
      writeEnded = true;
      deliver(0, false, () => {
        readEnded = true;
        wakeReader?.();
      });
    },
    ended: () => writeEnded,
    abort(error) {
      failure ??= error;
      arrived.length = 0;
      wake();
    },
  };
}
