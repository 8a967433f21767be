// One connection from its first byte to its last: until attested it takes nothing but `/kith/attest/1`; then sealed
// streams and heartbeats; attestation is renewed before it expires, and whatever goes wrong cuts the connection.

import { equalBytes } from '../../core/bytes.ts';
import { deadline } from '../../core/deadline.ts';
import { isKithError, KithError, messageOf } from '../../core/errors.ts';
import type { Timer } from '../../core/ports.ts';
import type { MeshErrorCode, Refusal } from '../errors.ts';
import type { Handlers } from '../handlers.ts';
import type { HandshakeRequest } from '../handshake/exchange.ts';
import { HELLO_TIMEOUT_MS, runHandshake } from '../handshake/handshake.ts';
import { ATTEST_PROTOCOL } from '../handshake/messages.ts';
import type { AttestedPeer, Contexts, HandshakeDeps, HandshakeOutcome } from '../handshake/ports.ts';
import { MEMBER_PROTOCOL, type ProtocolLimits, RENEW_AFTER_MS, RENEW_GRACE_MS, RENEW_RETRY_MS } from '../limits.ts';
import { decodeMember, type Member } from '../member.ts';
import type { ByteStream, Connection } from '../stream.ts';
import { createHeartbeat } from './heartbeat.ts';
import { createStreams, type Streams } from './streams.ts';

export interface SessionDeps extends HandshakeDeps {
  readonly ownBootKey: Uint8Array;
  readonly protocols: readonly ProtocolLimits[];
  readonly handlers: Pick<Handlers, 'answer' | 'answerBulk'>;
  /** Whether there is room for one more connection of this peer; asked before it is admitted. */
  room(peer: AttestedPeer): Refusal | undefined;
  /** The own note of `/kith/member/1`. */
  note(): Uint8Array;
}

export interface SessionEvents {
  /** Attested for the first time, and open in both directions. */
  up(session: Session): void;
  /** The peer's newest note, and the one before. */
  noted(session: Session, member: Member, before: Member | undefined): void;
  /** A handshake, the first or a renewal, came to its end. */
  handshake(session: Session, outcome: HandshakeOutcome, first: boolean): void;
  /** A stream the peer opened was not taken; the connection may go on. */
  streamRefused(session: Session, protocol: string, error: KithError): void;
  /** After `up`, or instead of it. */
  down(session: Session, reason: KithError): void;
}

export interface Session extends Pick<Streams, 'request' | 'openBulk'> {
  readonly connection: Connection;
  /** As it attested last, undefined until then. */
  readonly peer: AttestedPeer | undefined;
  readonly member: Member | undefined;
  /** On the monotonic clock. */
  readonly connectedSinceMs: number;
  readonly lastSeenMs: number;
  /** Begins: the side that dialled attests, the other waits to be asked. */
  begin(): void;
  /** Looks at the peer again after a new configuration or roster: cuts it, or has it attest again. */
  reexamine(): void;
  /** Tells the peer the own note, within a second. Resolves when it has answered, or the connection has ended. */
  announce(): Promise<void>;
  end(reason: KithError): void;
}

type Refused = Extract<HandshakeOutcome, { kind: 'refused' }>;

/** Renewals a peer may ask for: each costs a quote. */
const RENEW_INTERVAL_MS = 10_000;
/** The other side counts from its own end of the last handshake. */
const RENEW_MARGIN_MS = 500;

/** Failures that pass: a renewal is tried again until the attestation expires. */
const PASSING: ReadonlySet<string> = new Set([
  'timeout',
  'no-quote',
  'collateral-unavailable',
  'configuration-behind',
  'stream-aborted',
  'unreachable',
  'too-many',
]);

const failure = (code: MeshErrorCode, message: string) => new KithError<MeshErrorCode>(code, message);

export function createSession(deps: SessionDeps, connection: Connection, events: SessionEvents): Session {
  const { clock } = deps;
  const connectedSinceMs = clock.monotonic();
  let lastSeenMs = connectedSinceMs;
  let peer: AttestedPeer | undefined;
  let member: Member | undefined;
  let streams: Streams | undefined;
  let contexts: Contexts | undefined;
  let handshaking = false;
  /** Why the handshake under way has failed, while the peer is told. */
  let judged: Refused | undefined;
  let attestedAtMs = Number.NEGATIVE_INFINITY;
  let ended = false;
  const timers = new Map<string, Timer>();
  const heartbeat = createHeartbeat({
    clock,
    beat: async (options) => note(await streams!.request(MEMBER_PROTOCOL, deps.note(), options)),
    lastSeenMs: () => lastSeenMs,
    end,
  });

  function after(name: string, delayMs: number, act: () => void): void {
    timers.get(name)?.cancel();
    timers.set(name, clock.schedule(delayMs, act));
  }

  function end(reason: KithError): void {
    if (ended) return;
    ended = true;
    for (const timer of timers.values()) timer.cancel();
    heartbeat.stop();
    connection.abort(reason);
    contexts?.sender.wipe();
    contexts?.recipient.wipe();
    events.down(session, reason);
  }

  function established(believed: AttestedPeer, made: Contexts | undefined): void {
    if (ended) return;
    peer = believed;
    attestedAtMs = clock.monotonic();
    // Two quotes may have taken longer than a member may be silent.
    lastSeenMs = attestedAtMs;
    after('expiry', believed.validUntilMs - attestedAtMs, () =>
      end(failure('attestation-expired', 'the attestation was not renewed in time')),
    );
    if (!made) return;
    contexts = made;
    const { role, peerBootKey } = connection;
    const seen = () => {
      lastSeenMs = clock.monotonic();
    };
    const keys = { contexts: made, role, ownBootKey: deps.ownBootKey, peerBootKey, seen };
    const { protocols, handlers } = deps;
    streams = createStreams(
      { clock, connection, keys, protocols, handlers: { ...handlers, answer }, peer: () => peer! },
      { end, refused: (protocol, error) => events.streamRefused(session, protocol, error) },
    );
  }

  /** Heartbeats are answered here, everything else by whoever registered for it. */
  const answer: Handlers['answer'] = async (protocol, request, from, signal) => {
    if (protocol !== MEMBER_PROTOCOL) return deps.handlers.answer(protocol, request, from, signal);
    note(request);
    return deps.note();
  };

  function note(bytes: Uint8Array): void {
    const before = member;
    member = decodeMember(bytes);
    if ((member.configuration ?? 0) > deps.cluster().configuration.version) renewSoon();
    events.noted(session, member, before);
  }

  async function attest(stream: ByteStream): Promise<void> {
    const first = peer === undefined;
    const { role, peerBootKey } = connection;
    const request: HandshakeRequest = {
      role,
      ownBootKey: deps.ownBootKey,
      peerBootKey,
      ...(peer && { previous: peer }),
      established,
      refused(outcome) {
        if (ended) return;
        judged = outcome;
        events.handshake(session, outcome, first);
      },
    };
    const admit = (believed: AttestedPeer) => deps.room(believed) ?? deps.admit(believed);
    const outcome = await runHandshake(first ? { ...deps, admit } : deps, stream, request, {
      signal: connection.closed,
    });
    judged = undefined;
    if (ended) return;
    if (outcome.kind === 'attested') events.handshake(session, outcome, first);
    if (outcome.kind === 'refused') refused(outcome, first);
    else if (first) {
      events.up(session);
      heartbeat.start();
    }
    if (!ended && role === 'initiator') scheduleRenewal(outcome.kind === 'refused' ? RENEW_RETRY_MS : RENEW_AFTER_MS);
  }

  function refused({ by, code, message }: Refused, first: boolean): void {
    if (!first && PASSING.has(code)) return;
    const who = by === 'us' ? 'refused the peer' : 'the peer refused us';
    const cause = new KithError(code, message);
    end(new KithError<MeshErrorCode>('attestation-refused', `${who}: ${code}: ${message}`, { cause }));
  }

  /** One at a time; whatever a handshake throws is the end of the connection. */
  function handshake(run: () => Promise<void>): void {
    handshaking = true;
    run()
      .catch((error: unknown) => {
        const passing = peer !== undefined && isKithError(error) && PASSING.has(error.code);
        if (!passing) end(isKithError(error) ? error : new KithError('internal', messageOf(error), { cause: error }));
        else if (!ended) scheduleRenewal(RENEW_RETRY_MS);
      })
      .finally(() => {
        handshaking = false;
      });
  }

  function initiate(): void {
    if (ended || handshaking) return;
    handshake(async () => {
      using limit = deadline(clock, HELLO_TIMEOUT_MS, connection.closed);
      const stream = await connection.openStream(ATTEST_PROTOCOL, { signal: limit.signal });
      limit.cancel();
      await attest(stream);
    });
  }

  function scheduleRenewal(delayMs: number): void {
    // Up to a tenth earlier, so that a cluster that started together does not renew together.
    const early = (deps.random.bytes(1)[0]! / 256) * 0.1;
    after('renewal', Math.floor(delayMs * (1 - early)), initiate);
  }

  /** As soon as the other side takes another handshake. */
  function renewSoon(): void {
    if (connection.role !== 'initiator' || timers.has('soon')) return;
    const openAtMs = attestedAtMs + RENEW_INTERVAL_MS + RENEW_MARGIN_MS;
    after('soon', Math.max(handshaking ? RENEW_MARGIN_MS : 0, openAtMs - clock.monotonic()), () => {
      timers.delete('soon');
      if (handshaking) renewSoon();
      else initiate();
    });
  }

  function take(protocol: string, stream: ByteStream): void {
    if (protocol === ATTEST_PROTOCOL) {
      const tooSoon = peer !== undefined && clock.monotonic() - attestedAtMs < RENEW_INTERVAL_MS;
      if (connection.role === 'initiator' || handshaking || tooSoon) {
        const error = failure('too-many', 'one handshake at a time, begun by the side that dialled');
        events.streamRefused(session, protocol, error);
        stream.abort(error);
        return;
      }
      timers.get('hello')?.cancel();
      handshake(() => attest(stream));
      return;
    }
    if (streams) {
      streams.take(protocol, stream);
      return;
    }
    const error = failure('not-attested', `${protocol} is not open to a peer that has not attested`);
    stream.abort(error);
    end(error);
  }

  const live = (): Streams => {
    if (streams && !ended) return streams;
    throw failure('not-connected', ended ? 'the connection has ended' : 'the peer has not attested yet');
  };

  const session: Session = {
    connection,
    connectedSinceMs,
    get peer() {
      return peer;
    },
    get member() {
      return member;
    },
    get lastSeenMs() {
      return lastSeenMs;
    },
    begin() {
      const onClosed = () => {
        // A peer that hangs up on a refusal has not changed why it ended.
        if (judged) refused(judged, peer === undefined);
        end(isKithError(connection.closed.reason) ? connection.closed.reason : lost());
      };
      if (connection.closed.aborted) {
        onClosed();
        return;
      }
      connection.closed.addEventListener('abort', onClosed, { once: true });
      connection.onStream(take);
      if (connection.role === 'initiator') initiate();
      else after('hello', HELLO_TIMEOUT_MS, () => end(failure('not-attested', 'the peer did not begin to attest')));
    },
    reexamine() {
      if (!peer || ended) return;
      const excluded = deps.admit(peer);
      if (excluded) {
        end(failure('excluded', `${excluded.code}: ${excluded.message}`));
        return;
      }
      if (equalBytes(peer.configurationHash, deps.cluster().hash)) return;
      renewSoon();
      after('grace', RENEW_GRACE_MS, () => {
        if (!equalBytes(peer!.configurationHash, deps.cluster().hash)) {
          end(failure('attestation-expired', 'the peer has not attested under the new configuration'));
        }
      });
    },
    announce: heartbeat.announce,
    request: async (protocol, payload, options) => live().request(protocol, payload, options),
    openBulk: (protocol, payload, options) => live().openBulk(protocol, payload, options),
    end,
  };

  return session;
}

const lost = () => failure('connection-closed', 'the connection was lost');
