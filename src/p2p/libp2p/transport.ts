// The real transport: libp2p over TCP with Noise and yamux, and nothing else of it: no discovery, relay, identify or
// ping, so that a stranger can open the mesh's own protocols only. The identity is made at each boot.

import { setMaxListeners } from 'node:events';
import '../../core/polyfill.ts';

import { noise } from '@chainsafe/libp2p-noise';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { Connection as Libp2pConnection, Stream } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { CODE_IP4, CODE_IP6, type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { createLibp2p, type Libp2p } from 'libp2p';
import { toHex } from '../../core/bytes.ts';
import { abortError, throwIfAborted } from '../../core/deadline.ts';
import { isKithError, KithError, messageOf } from '../../core/errors.ts';
import type { Random } from '../../core/ports.ts';
import type { MeshErrorCode } from '../errors.ts';
import { ATTEST_PROTOCOL } from '../handshake/messages.ts';
import {
  DEFAULT_LIMITS,
  DIAL_TIMEOUT_MS,
  HANDSHAKE_BURST,
  type MeshLimits,
  STREAM_READ_BUFFER_BYTES,
  STREAM_WRITE_BUFFER_BYTES,
} from '../limits.ts';
import type { ByteStream, Connection, Transport } from '../stream.ts';
import { byteStreamOf } from './byte-stream.ts';

export interface Libp2pTransportOptions {
  /** Multiaddrs, for instance `/ip4/0.0.0.0/tcp/4001`. */
  readonly listen: readonly string[];
  /** What others are told instead of the addresses listened on. */
  readonly announce?: readonly string[];
  readonly limits?: MeshLimits;
}

const SEED_BYTES = 32;
/** From the first byte of an inbound connection to its end of Noise and yamux, and for naming a stream's protocol. */
const NEGOTIATION_MS = 5_000;
/** Inbound connections between TCP and the end of Noise. */
const PENDING_MAX = 16;
/** Listeners on the end of one connection: five protocols, each with its streams and requests under way. */
const ENDED_LISTENERS_MAX = 256;
/** Sockets without traffic are closed; heartbeats keep the others. */
const SOCKET_IDLE_MS = 60_000;
/** A yamux frame; smaller ones let heartbeats pass between the pieces of a large message. */
const YAMUX_FRAME_BYTES = 65_536;

const fail = (code: MeshErrorCode, message: string, cause?: unknown): never => {
  throw new KithError<MeshErrorCode>(code, message, { cause });
};

/** Makes the identity; no socket is opened before `start`. */
export async function createLibp2pTransport(
  deps: { random: Random },
  options: Libp2pTransportOptions,
): Promise<Transport> {
  const limits = options.limits ?? DEFAULT_LIMITS;
  const privateKey = await generateKeyPairFromSeed('Ed25519', deps.random.bytes(SEED_BYTES));
  const bootKey = privateKey.publicKey.raw;
  const listen = options.listen.map((address) => readAddress(address).toString());
  const announce = (options.announce ?? []).map((address) => readAddress(address).toString());
  const wrapped = new Map<string, Wrapped>();
  let host: Libp2p | undefined;
  let accept: ((connection: Connection) => void) | undefined;

  function wrap(connection: Libp2pConnection): Wrapped {
    const known = wrapped.get(connection.id);
    if (known) return known;
    const made = wrapConnection(connection, () => {
      wrapped.delete(connection.id);
      // Strangers come with fresh identities: what libp2p keeps about each would grow without bound.
      if (host?.status === 'started') host.peerStore.delete(connection.remotePeer).catch(() => undefined);
    });
    // A late stream of a connection that is gone: nothing would ever take it out of the map.
    if (connection.status === 'open') wrapped.set(connection.id, made);
    return made;
  }

  /** Ends connections to identities of other kinds: only Ed25519 keys can stand in report data. */
  function isBootKey(connection: Libp2pConnection): boolean {
    if (connection.remotePeer.type === 'Ed25519') return true;
    connection.abort(new KithError<MeshErrorCode>('connection-closed', 'a boot key must be an Ed25519 key'));
    return false;
  }

  async function start(): Promise<void> {
    const made = await createLibp2p({ ...libp2pLimits(limits), start: false, privateKey, addresses: { listen } });
    for (const { id, streams } of inboundStreams(limits)) {
      const onStream = (stream: Stream, connection: Libp2pConnection) =>
        wrap(connection).take(id, byteStreamOf(stream));
      await made.handle(id, onStream, { maxInboundStreams: streams, maxOutboundStreams: streams });
    }
    made.addEventListener('connection:open', ({ detail }) => {
      if (!isBootKey(detail)) return;
      const connection = wrap(detail);
      if (detail.direction === 'inbound') accept?.(connection.connection);
    });
    host = made;
    try {
      await made.start();
    } catch (error) {
      fail('cannot-listen', `${listen.join(', ')}: ${messageOf(error)}`, error);
    }
  }

  async function dial(address: string, { signal }: { signal: AbortSignal }): Promise<Connection> {
    throwIfAborted(signal);
    const target = readAddress(address);
    if (!host) return fail('unreachable', 'the transport is not started');
    try {
      const connection = await host.dial(target, { signal, force: true });
      if (!isBootKey(connection)) fail('unreachable', `${address}: not a boot key there`);
      return wrap(connection).connection;
    } catch (error) {
      if (signal.aborted) throw abortError(signal);
      if (isKithError(error)) throw error;
      if (messageOf(error).includes('Can not dial self') || isOwn(error))
        return fail('dialled-self', 'that is this node');
      return fail('unreachable', `${address}: ${messageOf(error)}`, error);
    }
  }

  return {
    bootKey,
    start: () => start(),
    async stop() {
      for (const { connection } of [...wrapped.values()]) {
        connection.abort(new KithError<MeshErrorCode>('connection-closed', 'the transport stopped'));
      }
      await host?.stop();
    },
    dial,
    onConnection(handler) {
      accept = handler;
    },
    addresses: () => (announce.length > 0 ? announce : (host?.getMultiaddrs() ?? []).map(withoutPeer)),
  };
}

function inboundStreams(limits: MeshLimits): { id: string; streams: number }[] {
  const served = limits.protocols.map(({ id, kind, handlersMax }) => ({
    id,
    streams: kind === 'bulk' ? handlersMax : 1,
  }));
  return [{ id: ATTEST_PROTOCOL, streams: 1 }, ...served];
}

function libp2pLimits(limits: MeshLimits) {
  const connections = limits.connectionsMax + limits.strangersMax;
  const streams = inboundStreams(limits).reduce((sum, each) => sum + each.streams, 0);
  return {
    transports: [
      tcp({
        maxConnections: connections,
        inboundSocketInactivityTimeout: SOCKET_IDLE_MS,
        outboundSocketInactivityTimeout: SOCKET_IDLE_MS,
      }),
    ],
    connectionEncrypters: [noise()],
    streamMuxers: [
      yamux({
        // One more each way for a stream that is still being closed.
        maxInboundStreams: 2 * streams,
        maxOutboundStreams: 2 * streams,
        maxEarlyStreams: streams,
        maxMessageSize: YAMUX_FRAME_BYTES,
        streamOptions: {
          initialStreamWindowSize: STREAM_READ_BUFFER_BYTES,
          maxStreamWindowSize: STREAM_READ_BUFFER_BYTES,
          maxReadBufferLength: 2 * STREAM_READ_BUFFER_BYTES,
          maxWriteBufferLength: 4 * STREAM_WRITE_BUFFER_BYTES,
        },
      }),
    ],
    connectionMonitor: { enabled: false },
    connectionManager: {
      // Above what TCP lets in, so that nothing a stranger does has libp2p close a connection of a member to make room.
      maxConnections: 2 * connections,
      maxIncomingPendingConnections: PENDING_MAX,
      // Many nodes of a development cluster share one host.
      inboundConnectionThreshold: HANDSHAKE_BURST,
      inboundUpgradeTimeout: NEGOTIATION_MS,
      inboundStreamProtocolNegotiationTimeout: NEGOTIATION_MS,
      outboundStreamProtocolNegotiationTimeout: NEGOTIATION_MS,
      dialTimeout: DIAL_TIMEOUT_MS,
      addressDialTimeout: DIAL_TIMEOUT_MS,
      maxParallelDials: 8,
      maxDialQueueLength: 64,
      reconnectRetries: 0,
    },
    // Loopback and private networks are where clusters live, and nobody else's business.
    connectionGater: { denyDialMultiaddr: () => false },
  };
}

interface Wrapped {
  readonly connection: Connection;
  take(protocol: string, stream: ByteStream): void;
}

function wrapConnection(connection: Libp2pConnection, onClosed: () => void): Wrapped {
  const ended = new AbortController();
  // A few for each protocol and direction, all of one life: not the leak Node takes more than ten for.
  setMaxListeners(ENDED_LISTENERS_MAX, ended.signal);
  let handler: ((protocol: string, stream: ByteStream) => void) | undefined;
  const close = (error: KithError) => {
    if (ended.signal.aborted) return;
    ended.abort(error);
    onClosed();
  };
  connection.addEventListener('close', ({ error }) => {
    close(new KithError<MeshErrorCode>('connection-closed', 'the connection was lost', { cause: error }));
  });

  return {
    take(protocol, stream) {
      if (handler) handler(protocol, stream);
      else stream.abort(new KithError<MeshErrorCode>('stream-aborted', 'nobody takes streams'));
    },
    connection: {
      peerBootKey: connection.remotePeer.publicKey?.raw ?? new Uint8Array(0),
      remoteHost: hostOf(connection.remoteAddr),
      role: connection.direction === 'outbound' ? 'initiator' : 'responder',
      async openStream(protocol, { signal }) {
        throwIfAborted(ended.signal);
        throwIfAborted(signal);
        try {
          return byteStreamOf(await connection.newStream(protocol, { signal }));
        } catch (error) {
          if (ended.signal.aborted) throw abortError(ended.signal);
          if (signal.aborted) throw abortError(signal);
          return fail('unreachable', `no stream for ${protocol}: ${messageOf(error)}`, error);
        }
      },
      onStream(taken) {
        handler = taken;
      },
      abort(error) {
        connection.abort(error);
        close(error);
      },
      closed: ended.signal,
    },
  };
}

function readAddress(address: string): Multiaddr {
  try {
    return multiaddr(address);
  } catch (error) {
    return fail('bad-address', `${address} is no multiaddr: ${messageOf(error)}`, error);
  }
}

/** Boot identities mean nothing to others: they are gone with the next boot. */
const withoutPeer = (address: Multiaddr): string => address.toString().replace(/\/p2p\/[^/]+$/, '');

/** Several addresses of one dial failed: whether one of them because it was ours. */
const isOwn = (error: unknown): boolean =>
  error instanceof AggregateError && error.errors.some((each) => messageOf(each).includes('Can not dial self'));

const IP6_NETWORK_BYTES = 8;

/** An IPv4 address as it is, of an IPv6 address the network of 64 bits: a host owns all of it. */
function hostOf(address: Multiaddr): string {
  const component = address.getComponents().find(({ code }) => code === CODE_IP4 || code === CODE_IP6);
  if (!component) return 'unknown';
  if (component.code === CODE_IP4) return component.value ?? 'unknown';
  return toHex((component.bytes ?? new Uint8Array(0)).slice(-16).slice(0, IP6_NETWORK_BYTES));
}
