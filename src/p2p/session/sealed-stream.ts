// Sealed frames over a byte stream. This is the one place where sequence, replay and direction of what attested
// peers say are checked: whatever comes out of `receive` was sealed for this boot of this node, by the other end of
// this connection, for this protocol and stream, and comes exactly once and in order.

import { concatBytes, u32be, u64be, utf8 } from '../../core/bytes.ts';
import { encodeCbor } from '../../core/cbor.ts';
import { isKithError, KithError } from '../../core/errors.ts';
import { LABEL_MESH_FRAME } from '../../core/labels.ts';
import type { MeshErrorCode } from '../errors.ts';
import { createFrameReader, createFrameWriter } from '../frames.ts';
import type { Contexts } from '../handshake/ports.ts';
import type { ByteStream } from '../stream.ts';

export const FRAME_TYPE = { request: 1, response: 2, failure: 3, ack: 4, cancel: 5, item: 6, end: 7 } as const;
export type FrameType = (typeof FRAME_TYPE)[keyof typeof FRAME_TYPE];
const FRAME_TYPES: ReadonlySet<number> = new Set(Object.values(FRAME_TYPE));

/** Type 1, stream ordinal 4, index in the stream 8, number in the context 8. */
const HEADER_BYTES = 21;
/** Header and the AEAD's tag. */
export const SEAL_OVERHEAD_BYTES = HEADER_BYTES + 16;

export type Role = 'initiator' | 'responder';

/** One connection's keys, shared by all its streams: numbers go up over all of them. */
export interface ConnectionKeys {
  readonly contexts: Contexts;
  /** Of this side in the connection. */
  readonly role: Role;
  readonly ownBootKey: Uint8Array;
  readonly peerBootKey: Uint8Array;
  /** Told of each frame that was accepted: the peer is alive. */
  seen(): void;
}

export interface SealedFrame {
  readonly type: FrameType;
  readonly payload: Uint8Array;
}

export interface SealedStream {
  /** Seals and writes; one call at a time. */
  send(type: FrameType, payload: Uint8Array): Promise<void>;
  /** The end frame: nothing comes after it. */
  end(): Promise<void>;
  /**
   * The next frame, undefined after the end frame.
   * @throws KithError `frame-replayed`, `frame-missing`, `frame-forged`, `protocol-violation`, or those of frames.
   */
  receive(): Promise<SealedFrame | undefined>;
  abort(error: KithError): void;
}

export interface SealedStreamOptions {
  readonly protocol: string;
  /** Who opened the stream. */
  readonly opener: Role;
  readonly payloadBytesMax: number;
  /** The opener's count of its streams of this protocol; the other side learns it from the first frame. */
  readonly ordinal?: number;
  /** Whether a stream with that ordinal was not seen before; asked once, for an authentic first frame. */
  fresh?(ordinal: number): boolean;
}

function reject(code: MeshErrorCode, message: string): never {
  throw new KithError<MeshErrorCode>(code, message);
}

export function createSealedStream(
  keys: ConnectionKeys,
  stream: ByteStream,
  options: SealedStreamOptions,
): SealedStream {
  const { protocol, opener, payloadBytesMax, fresh } = options;
  const reader = createFrameReader(stream);
  const writer = createFrameWriter(stream);
  const outgoing = associated(protocol, opener, keys.ownBootKey, keys.peerBootKey);
  const incoming = associated(protocol, opener, keys.peerBootKey, keys.ownBootKey);
  let ordinal = options.ordinal;
  let sent = 0;
  let received = 0;
  let lastNumber = -1;

  function open(frame: Uint8Array): SealedFrame {
    const header = frame.subarray(0, HEADER_BYTES);
    if (frame.length < SEAL_OVERHEAD_BYTES || !FRAME_TYPES.has(header[0]!)) {
      reject('protocol-violation', `${protocol}: not a sealed frame`);
    }
    const view = new DataView(header.buffer, header.byteOffset, HEADER_BYTES);
    const claimed = view.getUint32(1);
    const index = readCount(view, 5);
    const number = readCount(view, 13);
    if (ordinal !== undefined && claimed !== ordinal)
      reject('frame-replayed', `${protocol}: a frame of another stream`);
    if (index < received) reject('frame-replayed', `${protocol}: frame ${index} came before`);
    if (index > received) reject('frame-missing', `${protocol}: frame ${index} came where ${received} was due`);
    if (number <= lastNumber) reject('frame-replayed', `${protocol}: number ${number} is not above ${lastNumber}`);
    const payload = unseal(number, concatBytes(incoming, header), frame.subarray(HEADER_BYTES));
    if (ordinal === undefined) {
      if (fresh?.(claimed) === false) reject('frame-replayed', `${protocol}: stream ${claimed} was seen before`);
      ordinal = claimed;
    }
    received++;
    lastNumber = number;
    keys.seen();
    return { type: header[0] as FrameType, payload };
  }

  function unseal(number: number, aad: Uint8Array, ciphertext: Uint8Array): Uint8Array {
    try {
      return keys.contexts.recipient.openAt(number, aad, ciphertext);
    } catch (error) {
      if (isKithError(error, 'hpke-open', 'hpke-key')) reject('frame-forged', `${protocol}: a frame does not open`);
      throw error;
    }
  }

  return {
    send(type, payload) {
      const { sender } = keys.contexts;
      if (ordinal === undefined) throw new KithError('internal', 'the opener of a stream speaks first');
      const header = concatBytes(Uint8Array.of(type), u32be(ordinal), u64be(sent), u64be(sender.sequence));
      sent++;
      return writer.write(concatBytes(header, sender.seal(concatBytes(outgoing, header), payload)));
    },
    end: () => writer.end(),
    async receive() {
      const frame = await reader.next(payloadBytesMax + SEAL_OVERHEAD_BYTES);
      return frame && open(frame);
    },
    abort: (error) => stream.abort(error),
  };
}

function readCount(view: DataView, offset: number): number {
  const count = view.getBigUint64(offset);
  if (count > BigInt(Number.MAX_SAFE_INTEGER)) reject('protocol-violation', 'a frame number beyond counting');
  return Number(count);
}

/** Who says what to whom; the header, with the type, follows. */
function associated(protocol: string, opener: Role, senderKey: Uint8Array, receiverKey: Uint8Array): Uint8Array {
  return concatBytes(utf8(LABEL_MESH_FRAME), encodeCbor({ protocol, opener, senderKey, receiverKey }));
}

/** Ordinals may overtake one another a little between streams; each is accepted once. */
const ORDINAL_WINDOW = 64;

/** Remembers which ordinals were seen, in bounded room. */
export function createOrdinalWindow(): (ordinal: number) => boolean {
  const seen = new Set<number>();
  let highest = -1;
  return (ordinal) => {
    if (ordinal <= highest - ORDINAL_WINDOW || seen.has(ordinal)) return false;
    seen.add(ordinal);
    highest = Math.max(highest, ordinal);
    for (const old of seen) if (old <= highest - ORDINAL_WINDOW) seen.delete(old);
    return true;
  };
}
