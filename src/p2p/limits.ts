// What peers may make us hold and how long we wait, each with its reason; and the sum of it all, checked at start.

import { KithError } from '../core/errors.ts';
import type { MeshErrorCode } from './errors.ts';
import { CONFIGURATION_MESSAGE_BYTES_MAX } from './handshake/messages.ts';

export interface ProtocolLimits {
  readonly id: string;
  /** `request`: one stream for each side's requests. `bulk`: a stream for each answer, streamed. */
  readonly kind: 'request' | 'bulk';
  /** Largest request, response or item. */
  readonly messageBytesMax: number;
  /** Sent and not acknowledged by the other application, per stream and direction. */
  readonly inFlightFramesMax: number;
  readonly inFlightBytesMax: number;
  /** Requests of one peer handled at once; of a bulk protocol: streams open at once. */
  readonly handlersMax: number;
}

/** The mesh's own protocol: heartbeats and addresses. */
export const MEMBER_PROTOCOL = '/kith/member/1';

const KIB = 1_024;

/**
 * Each in-flight limit is at most 64 frames or 1 MiB, as much as hides a round trip between continents at 100 Mbit/s.
 * What one protocol holds never keeps another from its work.
 */
export const MESH_PROTOCOLS: readonly ProtocolLimits[] = [
  // One heartbeat is on its way at a time; its size is that of 64 addresses of 256 characters.
  request(MEMBER_PROTOCOL, { message: 32, frames: 4, bytes: 64, handlers: 1 }),
  // Joins and leaves: some hundred signatures of 64 bytes.
  request('/kith/roster/1', { message: 64, frames: 64, bytes: 128, handlers: 4 }),
  // A share with the signed header of its epoch: a few KiB.
  request('/kith/custody/1', { message: 64, frames: 64, bytes: 256, handlers: 4 }),
  // Batches of operations, 3 to 17 KiB each.
  request('/kith/replicate/1', { message: 256, frames: 64, bytes: 1_024, handlers: 4 }),
  { ...request('/kith/snapshot/1', { message: 256, frames: 64, bytes: 1_024, handlers: 1 }), kind: 'bulk' },
];

function request(
  id: string,
  limits: { message: number; frames: number; bytes: number; handlers: number },
): ProtocolLimits {
  return {
    id,
    kind: 'request',
    messageBytesMax: limits.message * KIB,
    inFlightFramesMax: limits.frames,
    inFlightBytesMax: limits.bytes * KIB,
    handlersMax: limits.handlers,
  };
}

export interface MeshLimits {
  readonly protocols: readonly ProtocolLimits[];
  /** Attested connections. Every member talks to every other. */
  readonly connectionsMax: number;
  /** Connections others opened that have not attested yet. */
  readonly strangersMax: number;
  /** The same, from one host: one that sits on its connections leaves room for others. */
  readonly strangersPerHostMax: number;
}

/** Members of a cluster: beyond some thirty, full replication carries no further. A duplicate lives for a moment. */
export const DEFAULT_LIMITS: MeshLimits = {
  protocols: MESH_PROTOCOLS,
  connectionsMax: 32,
  strangersMax: 16,
  strangersPerHostMax: 8,
};

/** Requests of ours that wait for room in flight to one peer: as many again as are in flight. */
export const WAITING_REQUESTS_MAX = 64;
/** What a transport holds of one stream that is not read. The least yamux allows, see src/p2p/libp2p. */
export const STREAM_READ_BUFFER_BYTES = 262_144;
/** What a transport holds of one stream that is not sent: what yamux may take at once. */
export const STREAM_WRITE_BUFFER_BYTES = 262_144;
/** A node is a small virtual machine beside detection; the mesh may take an eighth of 4 GiB. */
export const MESH_MEMORY_BYTES_MAX = 536_870_912;

/** Heartbeats: three are lost before a peer is. */
export const HEARTBEAT_MS = 5_000;
/** One more for news; whatever else is new within a second of it waits for the next, so that nobody floods others. */
export const ANNOUNCE_INTERVAL_MS = 1_000;
export const SILENCE_MS = 15_000;
/** Not a byte taken for so long by a peer that has bytes waiting: it does not read. */
export const STALL_MS = 15_000;
/** How long an acknowledgement waits for others: a frame for each message would be half of all frames. */
export const ACK_DELAY_MS = 200;
/** A request nobody gave another deadline. */
export const REQUEST_TIMEOUT_MS = 10_000;
/** Renewal begins at three quarters of the hour, leaving room for an outage of the quoting service. */
export const RENEW_AFTER_MS = 2_700_000;
export const RENEW_RETRY_MS = 60_000;
/** After a new configuration, until the side that dialled has renewed. */
export const RENEW_GRACE_MS = 60_000;
/** The loser of two connections stays so long, so that what is in flight on it ends well. */
export const DUPLICATE_LINGER_MS = 2_000;
/** A dial with everything up to the proven boot key. */
export const DIAL_TIMEOUT_MS = 10_000;
/** Handshakes one host may begin at once, and how fast it may begin more: many nodes of a test share one host. */
export const HANDSHAKE_BURST = 32;
export const HANDSHAKE_INTERVAL_MS = 1_000;

/** The most the mesh can be made to hold, in bytes. */
export function worstCaseBytes(limits: MeshLimits): number {
  const buffers = STREAM_READ_BUFFER_BYTES + STREAM_WRITE_BUFFER_BYTES;
  const attest = CONFIGURATION_MESSAGE_BYTES_MAX * 2 + buffers;
  let connection = attest;
  for (const { kind, messageBytesMax, inFlightBytesMax, handlersMax } of limits.protocols) {
    const streams = kind === 'bulk' ? 2 * handlersMax : 2;
    // One frame being read and one being written, sealed; on the two sides of a stream.
    const moving = 2 * messageBytesMax;
    const answers = kind === 'bulk' ? 0 : handlersMax * messageBytesMax;
    // On one stream we hold what is in flight towards us, on the other what is in flight from us.
    connection += streams * (inFlightBytesMax + moving + buffers) + answers;
  }
  return limits.connectionsMax * connection + limits.strangersMax * attest;
}

/** @throws KithError `over-budget` saying by how much, `bad-limits`. */
export function checkLimits(limits: MeshLimits): void {
  if (!limits.protocols.some(({ id, kind }) => id === MEMBER_PROTOCOL && kind === 'request')) {
    throw new KithError<MeshErrorCode>('bad-limits', `the mesh needs ${MEMBER_PROTOCOL} for its heartbeats`);
  }
  for (const { id, messageBytesMax, inFlightBytesMax, inFlightFramesMax, handlersMax } of limits.protocols) {
    const sound = messageBytesMax <= inFlightBytesMax && inFlightFramesMax >= 1 && handlersMax >= 1;
    if (!sound)
      throw new KithError<MeshErrorCode>('bad-limits', `${id}: a message must fit into what may be in flight`);
  }
  const bytes = worstCaseBytes(limits);
  if (bytes > MESH_MEMORY_BYTES_MAX) {
    throw new KithError<MeshErrorCode>(
      'over-budget',
      `peers could make the mesh hold ${bytes} bytes, at most ${MESH_MEMORY_BYTES_MAX} are allowed: lower the limits`,
    );
  }
}
