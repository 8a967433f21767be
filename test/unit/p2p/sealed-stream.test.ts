import { describe, expect, it } from 'vitest';
import { concatBytes, utf8 } from '../../../src/core/bytes.ts';
import { hpkeGenerateKeyPair, hpkeSetupRecipient, hpkeSetupSender } from '../../../src/core/hpke.ts';
import { type ConnectionKeys, createSealedStream, FRAME_TYPE } from '../../../src/p2p/session/sealed-stream.ts';
import type { ByteStream } from '../../../src/p2p/stream.ts';
import { rejectionOf } from '../../support/outcome.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const random = seededRandom('sealed stream');
const INFO = utf8('test');
const [BOOT_A, BOOT_B] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];

/** Keys of both ends of a connection. */
function keys(): [ConnectionKeys, ConnectionKeys] {
  const [a, b] = [hpkeGenerateKeyPair(random), hpkeGenerateKeyPair(random)];
  const toB = hpkeSetupSender({ random }, b.publicKey, INFO);
  const toA = hpkeSetupSender({ random }, a.publicKey, INFO);
  const contextsA = { sender: toB.context, recipient: hpkeSetupRecipient(a, toA.enc, INFO) };
  const contextsB = { sender: toA.context, recipient: hpkeSetupRecipient(b, toB.enc, INFO) };
  const seen = () => undefined;
  return [
    { contexts: contextsA, role: 'initiator', ownBootKey: BOOT_A, peerBootKey: BOOT_B, seen },
    { contexts: contextsB, role: 'responder', ownBootKey: BOOT_B, peerBootKey: BOOT_A, seen },
  ];
}

/** Collects what is written, or yields what was given. */
function wire(chunks: Uint8Array[]): ByteStream {
  return {
    write: async (bytes) => void chunks.push(bytes.slice()),
    read: async () => chunks.shift(),
    closeWrite: async () => undefined,
    abort: () => undefined,
  };
}

const options = { protocol: '/p/1', opener: 'initiator' as const, ordinal: 3, payloadBytesMax: 100 };

/** What the other end makes of the frames that `send` seals. */
async function received(
  send: (own: ConnectionKeys, chunks: Uint8Array[]) => Promise<void>,
  changed: Partial<typeof options> = {},
  taken: (peer: ConnectionKeys) => ConnectionKeys = (peer) => peer,
): Promise<string[]> {
  const [own, peer] = keys();
  const chunks: Uint8Array[] = [];
  await send(own, chunks);
  const stream = createSealedStream(taken(peer), wire(chunks), { ...options, ...changed });
  const out: string[] = [];
  const listen = async () => {
    for (let frame = await stream.receive(); frame; frame = await stream.receive()) {
      out.push(new TextDecoder().decode(frame.payload));
    }
    out.push('end');
  };
  const failure = await rejectionOf(listen());
  return failure ? [...out, failure.code] : out;
}

const say = async (own: ConnectionKeys, chunks: Uint8Array[], text: string, changed: Partial<typeof options> = {}) =>
  createSealedStream(own, wire(chunks), { ...options, ...changed }).send(FRAME_TYPE.request, utf8(text));

describe('a sealed stream', () => {
  it('carries frames in order to an end', async () => {
    const both = await received(async (own, chunks) => {
      const stream = createSealedStream(own, wire(chunks), options);
      await stream.send(FRAME_TYPE.request, utf8('one'));
      await stream.send(FRAME_TYPE.request, new Uint8Array(0));
      await stream.end();
    });
    expect(both).toEqual(['one', '', 'end']);
  });

  it('takes no second frame for a place, even one sealed afresh', async () => {
    const twice = await received(async (own, chunks) => {
      await say(own, chunks, 'one');
      await say(own, chunks, 'other one');
    });
    expect(twice).toEqual(['one', 'frame-replayed']);
  });

  it('takes no frame of another protocol, opener, stream, direction or connection', async () => {
    const one = (own: ConnectionKeys, chunks: Uint8Array[]) => say(own, chunks, 'one');
    expect(await received(one, { protocol: '/p/2' })).toEqual(['frame-forged']);
    expect(await received((own, chunks) => say(own, chunks, 'x', { opener: 'responder' as 'initiator' }))).toEqual([
      'frame-forged',
    ]);
    expect(await received(one, { ordinal: 4 })).toEqual(['frame-replayed']);
    const otherPeer = (peer: ConnectionKeys) => ({ ...peer, peerBootKey: new Uint8Array(32).fill(9) });
    expect(await received(one, {}, otherPeer)).toEqual(['frame-forged']);
    expect(await received(one, {}, () => keys()[1])).toEqual(['frame-forged']);
    const turned = (peer: ConnectionKeys) => ({ ...peer, ownBootKey: BOOT_A, peerBootKey: BOOT_B });
    expect(await received(one, {}, turned)).toEqual(['frame-forged']);
  });

  it('counts over all streams of a connection', async () => {
    const [own] = keys();
    const chunks: Uint8Array[] = [];
    for (const ordinal of [0, 1, 2]) await say(own, chunks, 'x', { ordinal });
    const numbers = chunks.map((chunk) => new DataView(chunk.buffer).getBigUint64(4 + 13));
    expect(numbers).toEqual([0n, 1n, 2n]);
  });

  it('refuses frame numbers beyond counting', async () => {
    const changed = await received(async (own, chunks) => {
      await say(own, chunks, 'x');
      const frame = chunks.pop()!;
      chunks.push(concatBytes(frame.subarray(0, 4 + 13), new Uint8Array(8).fill(255), frame.subarray(4 + 21)));
    });
    expect(changed).toEqual(['protocol-violation']);
  });
});
