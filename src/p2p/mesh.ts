// The attested mesh: keeps connections to the members, lets in who proves itself, and carries requests between
// nodes. What a peer must prove is in handshake/, what is checked of each frame in session/.

import { abortError, deadline, throwIfAborted } from '../core/deadline.ts';
import { isKithError, KithError } from '../core/errors.ts';
import type { NodeId } from '../core/ids.ts';
import type { Part } from '../core/life-cycle.ts';
import { createDirectory } from './directory.ts';
import type { MeshErrorCode, Refusal } from './errors.ts';
import { createGate } from './gate.ts';
import { type BulkHandler, createHandlers, type HandlerOptions, type RequestHandler } from './handlers.ts';
import type { AttestedPeer, HandshakeDeps } from './handshake/ports.ts';
import { checkLimits, DEFAULT_LIMITS, DIAL_TIMEOUT_MS, type MeshLimits } from './limits.ts';
import { encodeMember, isAddress, KNOWN_ADDRESSES_MAX, type Member } from './member.ts';
import { createPeers } from './peers.ts';
import type { MeshReport } from './report.ts';
import { createSession, type Session, type SessionEvents } from './session/session.ts';
import type { RequestOptions } from './session/streams.ts';
import type { Connection, Transport } from './stream.ts';

/** A connected, attested member. */
export interface MeshPeer {
  readonly attested: AttestedPeer;
  /** As its last heartbeat said, or its handshake before the first. */
  readonly phase: string;
  readonly height: number | undefined;
  /** Where it says it can be reached. */
  readonly addresses: readonly string[];
  /** On the monotonic clock, milliseconds. */
  readonly connectedSinceMs: number;
  readonly lastSeenMs: number;
  /**
   * Asks over the sealed stream of a protocol.
   * @throws KithError `peer-refused` (see `refusalOf`), `timeout`, `requests-busy`, `request-too-large`,
   *   `not-connected`, or why the connection ended.
   */
  request(protocol: string, payload: Uint8Array, options?: RequestOptions): Promise<Uint8Array>;
  /** Asks for a streamed answer; leave the loop to end it early. @throws as `request`, while iterating. */
  openBulk(
    protocol: string,
    payload: Uint8Array,
    options?: { signal?: AbortSignal | undefined },
  ): AsyncIterable<Uint8Array>;
}

export type MeshChange =
  | { readonly kind: 'up'; readonly peer: MeshPeer }
  /** A heartbeat brought another phase or height. */
  | { readonly kind: 'moved'; readonly peer: MeshPeer }
  | { readonly kind: 'down'; readonly nodeId: NodeId; readonly reason: Refusal };

export interface MeshDeps extends HandshakeDeps {
  readonly transport: Transport;
  /** Told to all members with each heartbeat; see `announce`. */
  status(): { readonly phase: string; readonly height: number | undefined };
  /** What operators should know of; nothing depends on it. */
  report?(event: MeshReport): void;
}

export interface MeshOptions {
  /** Addresses to find members at, without identities. */
  readonly bootstrap?: readonly string[];
  readonly limits?: MeshLimits;
}

export interface Mesh extends Part {
  /** Answers requests of attested peers. Once per protocol. @throws KithError `unknown-protocol`. */
  handle(protocol: string, options: HandlerOptions, handler: RequestHandler): void;
  /** Answers with a stream of items. */
  handleBulk(protocol: string, options: HandlerOptions, handler: BulkHandler): void;
  peer(nodeId: NodeId): MeshPeer | undefined;
  peers(): MeshPeer[];
  /** Connects and attests. @throws KithError `attestation-refused` with the refusal as cause, or why it failed. */
  dial(address: string, options?: { signal?: AbortSignal }): Promise<AttestedPeer>;
  /** Addresses worth trying, for instance those in a store's header. */
  learn(addresses: readonly string[]): void;
  /** Calls back on each change; returns what ends that. */
  onChange(listener: (change: MeshChange) => void): () => void;
  /** After a new configuration, roster or incarnation: asks `admit` of every peer again, renews where needed. */
  reexamine(): void;
  /**
   * Tells all peers the own status within a second instead of with the next heartbeat. Resolves when each has answered
   * or is gone: nobody has to wait for that.
   */
  announce(): Promise<void>;
  /** Ends every connection, for members to be met again: after the own identity has changed. */
  meetAgain(): void;
}

/** @throws KithError `over-budget` if the limits allow peers to make it hold more than 512 MiB, `bad-limits`. */
export function createMesh(deps: MeshDeps, options: MeshOptions = {}): Mesh {
  const { clock, random, transport } = deps;
  const limits = options.limits ?? DEFAULT_LIMITS;
  checkLimits(limits);
  const listeners = new Set<(change: MeshChange) => void>();
  const sessions = new Set<Session>();
  const gate = createGate({ clock }, limits);
  const peers = createPeers({ clock, ownBootKey: transport.bootKey }, limits);
  const handlers = createHandlers(
    {
      phase: () => deps.status().phase,
      onUnexpected: (protocol, error) => deps.report?.({ kind: 'handler-failed', protocol, error }),
    },
    limits.protocols,
  );
  const connected = (nodeId: NodeId) => peers.get(nodeId) !== undefined;
  const directory = createDirectory(
    { clock, random, dial: dialNode, connected },
    { bootstrap: options.bootstrap ?? [] },
  );
  const stopping = new AbortController();
  let started: Promise<void> | undefined;

  const sessionDeps = {
    ...deps,
    ownBootKey: transport.bootKey,
    protocols: limits.protocols,
    handlers,
    room: peers.full,
    note: () => {
      const { phase, height } = deps.status();
      const known = directory.known().slice(0, KNOWN_ADDRESSES_MAX);
      const { version } = deps.cluster().configuration;
      return encodeMember({ phase, height, configuration: version, addresses: transport.addresses(), known });
    },
  };

  const emit = (change: MeshChange) => {
    for (const listener of [...listeners]) listener(change);
  };

  const viewOf = (session: Session): MeshPeer => {
    const nodeId = session.peer!.nodeId;
    // A peer outlives one of its connections.
    const current = () => peers.get(nodeId) ?? session;
    return {
      get attested() {
        return current().peer!;
      },
      get phase() {
        return current().member?.phase ?? current().peer!.phase;
      },
      get height() {
        return current().member?.height;
      },
      get addresses() {
        return current().member?.addresses ?? [];
      },
      get connectedSinceMs() {
        return current().connectedSinceMs;
      },
      get lastSeenMs() {
        return current().lastSeenMs;
      },
      request: (protocol, payload, given = {}) => current().request(protocol, payload, given),
      openBulk: (protocol, payload, given = {}) => current().openBulk(protocol, payload, given),
    };
  };

  function noted(session: Session, member: Member, before: Member | undefined): void {
    const nodeId = session.peer!.nodeId;
    directory.owns(nodeId, member.addresses);
    directory.learn(member.known);
    const said = before ?? { phase: session.peer!.phase, height: undefined };
    const moved = said.phase !== member.phase || said.height !== member.height;
    if (moved && peers.get(nodeId) === session) emit({ kind: 'moved', peer: viewOf(session) });
  }

  /** A session from here to its end; `settled` is told once, when it is attested or has failed to. */
  function adopt(connection: Connection, settled: (reason: KithError | undefined) => void): Session {
    const host = connection.remoteHost;
    let refusedBy: 'us' | 'peer' | undefined;
    const events: SessionEvents = {
      handshake(_session, outcome, first) {
        if (first && outcome.kind === 'refused') refusedBy = outcome.by;
        deps.report?.({ kind: 'handshake', host, renewal: !first, outcome });
      },
      streamRefused(_session, protocol, error) {
        deps.report?.({ kind: 'stream-refused', host, protocol, reason: refusalOfError(error) });
      },
      up(session) {
        // Asked before it was admitted too; several may have been at once.
        const full = peers.full(session.peer!);
        if (full) {
          session.end(new KithError<MeshErrorCode>('too-many', full.message));
          return;
        }
        settled(undefined);
        if (peers.add(session)) emit({ kind: 'up', peer: viewOf(session) });
      },
      noted,
      down(session, reason) {
        sessions.delete(session);
        settled(reason);
        const refusal = refusalOfError(reason);
        // Who is turned away wants to know why, not that.
        const why = attestationRefusalOf(reason) ?? refusal;
        if (!session.peer) {
          deps.report?.({ kind: 'not-attested', host, by: refusedBy, reason: why });
          return;
        }
        const { nodeId } = session.peer;
        deps.report?.({ kind: 'cut', host, nodeId, reason: why });
        if (peers.remove(session)) emit({ kind: 'down', nodeId, reason: refusal });
      },
    };
    const session = createSession(sessionDeps, connection, events);
    sessions.add(session);
    session.begin();
    return session;
  }

  function accept(connection: Connection): void {
    const entry = gate.enter(connection.remoteHost);
    if (entry.kind === 'refused' || stopping.signal.aborted) {
      const message = entry.kind === 'refused' ? entry.message : 'the node stops';
      const error = new KithError<MeshErrorCode>(entry.kind === 'refused' ? 'too-many' : 'stopped', message);
      deps.report?.({ kind: 'turned-away', host: connection.remoteHost, reason: refusalOfError(error) });
      connection.abort(error);
      return;
    }
    adopt(connection, () => entry.leave());
  }

  async function dialPeer(address: string, signal: AbortSignal): Promise<AttestedPeer> {
    throwIfAborted(stopping.signal);
    using limit = deadline(clock, DIAL_TIMEOUT_MS, signal);
    const connection = await transport.dial(address, { signal: limit.signal });
    limit.cancel();
    if (stopping.signal.aborted) {
      connection.abort(abortError(stopping.signal));
      throw abortError(stopping.signal);
    }
    return new Promise((resolve, reject) => {
      const onAbort = () => session.end(abortError(signal));
      const session = adopt(connection, (reason) => {
        signal.removeEventListener('abort', onAbort);
        if (reason) reject(reason);
        else resolve(session.peer!);
      });
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  async function dialNode(address: string, { signal }: { signal: AbortSignal }): Promise<NodeId> {
    return (await dialPeer(address, signal)).nodeId;
  }

  async function start(signal: AbortSignal | undefined): Promise<void> {
    transport.onConnection(accept);
    await transport.start(signal ? { signal } : {});
    directory.start();
  }

  return {
    name: 'mesh',
    start({ signal }) {
      started ??= start(signal);
      return started;
    },
    async stop() {
      if (stopping.signal.aborted) return;
      const reason = new KithError<MeshErrorCode>('stopped', 'the node stops');
      stopping.abort(reason);
      directory.stop();
      for (const session of [...sessions]) session.end(reason);
      await transport.stop();
    },
    handle: handlers.handle,
    handleBulk: handlers.handleBulk,
    peer(nodeId) {
      const session = peers.get(nodeId);
      return session && viewOf(session);
    },
    peers: () => peers.all().map(viewOf),
    dial: (address, given = {}) => dialPeer(address, given.signal ?? stopping.signal),
    learn: (addresses) => directory.learn(addresses.filter(isAddress)),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    reexamine() {
      for (const session of [...sessions]) session.reexamine();
    },
    async announce() {
      await Promise.all(peers.all().map((session) => session.announce()));
    },
    meetAgain() {
      const reason = new KithError<MeshErrorCode>('connection-closed', 'this node is known by another identity now');
      for (const session of [...sessions]) session.end(reason);
    },
  };
}

const refusalOfError = ({ code, message }: KithError): Refusal => ({ code, message });

/** The refusal in the cause of `attestation-refused`, undefined for any other error. */
export function attestationRefusalOf(error: unknown): Refusal | undefined {
  if (!isKithError(error, 'attestation-refused') || !isKithError(error.cause)) return undefined;
  return { code: error.cause.code, message: error.cause.message };
}
