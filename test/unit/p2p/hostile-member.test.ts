// An attested member whose code breaks the rules inside its sealed streams: keys, handshake and frames are genuine.

import { describe, expect, it } from 'vitest';
import { concatBytes, u32be, utf8 } from '../../../src/core/bytes.ts';
import { isKithError } from '../../../src/core/errors.ts';
import { runHandshake } from '../../../src/p2p/handshake/handshake.ts';
import { ATTEST_PROTOCOL } from '../../../src/p2p/handshake/messages.ts';
import type { Contexts } from '../../../src/p2p/handshake/ports.ts';
import {
  createSealedStream,
  FRAME_TYPE,
  type FrameType,
  type SealedFrame,
} from '../../../src/p2p/session/sealed-stream.ts';
import type { ByteStream } from '../../../src/p2p/stream.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { createTestMesh, handshakeDeps, START_MS } from '../../support/mesh.ts';

const CUSTODY = '/kith/custody/1';
const REPLICATE = '/kith/replicate/1';
const SNAPSHOT = '/kith/snapshot/1';
const MEMBER = '/kith/member/1';

async function hostile() {
  const clock = createManualClock(START_MS);
  const world = createTestMesh(clock);
  const b = world.node('b');
  await b.mesh.start({});
  const own = new Uint8Array(32).fill(66);
  const { signal } = new AbortController();
  const connection = await world.network.transport({ bootKey: own, address: 'm' }).dial('b', { signal });
  const incoming: { protocol: string; stream: ByteStream }[] = [];
  connection.onStream((protocol, stream) => void incoming.push({ protocol, stream }));
  let contexts: Contexts | undefined;
  const established = (_peer: unknown, made: Contexts | undefined) => {
    contexts = made;
  };
  const request = { role: 'initiator' as const, ownBootKey: own, peerBootKey: b.bootKey, established };
  const stream = await connection.openStream(ATTEST_PROTOCOL, { signal });
  const outcome = await clock.settle(runHandshake(handshakeDeps(clock, 'm'), stream, request, { signal }));
  expect(outcome.kind).toBe('attested');
  await clock.advance(10);
  const keys = {
    contexts: contexts!,
    role: 'initiator' as const,
    ownBootKey: own,
    peerBootKey: b.bootKey,
    seen: () => undefined,
  };
  return {
    clock,
    b,
    connection,
    /** Opens a sealed stream of ours. */
    async open(protocol: string, ordinal = 0) {
      const raw = await connection.openStream(protocol, { signal });
      const options = { protocol, opener: 'initiator' as const, ordinal, payloadBytesMax: 300_000 };
      return { raw, ...createSealedStream(keys, raw, options) };
    },
    /** Takes the stream that the node opened for this protocol. */
    taken(protocol: string) {
      const raw = incoming.find((each) => each.protocol === protocol)!.stream;
      return createSealedStream(keys, raw, { protocol, opener: 'responder', payloadBytesMax: 300_000 });
    },
    async ended() {
      await clock.advance(10);
      const { reason } = connection.closed;
      return isKithError(reason) ? reason.code : undefined;
    },
  };
}

const withId = (id: number, content: Uint8Array = utf8('x')) => concatBytes(u32be(id), content);

describe('a hostile member', () => {
  const frames: [string, [FrameType, Uint8Array][]][] = [
    ['skips a request id', [[FRAME_TYPE.request, withId(1)]]],
    [
      'uses a request id twice',
      [
        [FRAME_TYPE.request, withId(0)],
        [FRAME_TYPE.request, withId(0)],
      ],
    ],
    ['gives up a request it has not made', [[FRAME_TYPE.cancel, u32be(0)]]],
    ['sends an answer where it asks', [[FRAME_TYPE.response, withId(0)]]],
    ['sends a frame without an id', [[FRAME_TYPE.request, new Uint8Array(3)]]],
    ['acknowledges what was not sent', [[FRAME_TYPE.ack, concatBytes(u32be(1), u32be(0))]]],
    ['acknowledges nothing', [[FRAME_TYPE.ack, concatBytes(u32be(0), u32be(0))]]],
    ['sends half an acknowledgement', [[FRAME_TYPE.ack, u32be(1)]]],
    [
      'sends more frames than may be in flight',
      Array.from({ length: 65 }, (_, i): [FrameType, Uint8Array] => [FRAME_TYPE.request, withId(i)]),
    ],
    [
      'sends more bytes than may be in flight',
      Array.from({ length: 5 }, (_, i): [FrameType, Uint8Array] => [
        FRAME_TYPE.request,
        withId(i, new Uint8Array(65_000)),
      ]),
    ],
  ];
  for (const [what, sent] of frames) {
    it(`that ${what} is cut`, async () => {
      const { b, open, ended } = await hostile();
      b.mesh.handle(CUSTODY, {}, () => new Promise(() => {}));
      const stream = await open(CUSTODY);
      for (const [type, payload] of sent) await stream.send(type, payload).catch(() => undefined);
      expect(await ended()).toBe('protocol-violation');
      expect(b.changes.map(({ kind }) => kind)).toEqual(['up', 'down']);
    });
  }

  it('that stays within its limits is served, up to the last byte', async () => {
    const { b, open, ended, clock } = await hostile();
    b.mesh.handle(REPLICATE, {}, async (request) => request);
    const stream = await open(REPLICATE);
    await stream.send(FRAME_TYPE.request, withId(0, new Uint8Array(262_144)));
    const answered: SealedFrame[] = [];
    const listen = async () => {
      for (let frame = await stream.receive(); frame; frame = await stream.receive()) answered.push(frame);
    };
    listen().catch(() => undefined);
    await clock.advance(10);
    expect(answered.map(({ type, payload }) => [type, payload.length])).toContainEqual([FRAME_TYPE.response, 262_148]);
    expect(await ended()).toBeUndefined();
  });

  it('that answers a request nobody made, or with what is no answer, is cut', async () => {
    const answers: [FrameType, Uint8Array][] = [
      [FRAME_TYPE.response, withId(7)],
      [FRAME_TYPE.failure, withId(0, utf8('not CBOR'))],
      [FRAME_TYPE.request, withId(0)],
    ];
    for (const [type, payload] of answers) {
      const { clock, taken, ended } = await hostile();
      const stream = taken(MEMBER);
      expect((await clock.settle(stream.receive()))?.type).toBe(FRAME_TYPE.request);
      await stream.send(type, payload);
      expect(await ended()).toBe('protocol-violation');
    }
  });

  it('that answers a heartbeat with what is no note is cut', async () => {
    const { clock, taken, ended } = await hostile();
    const stream = taken(MEMBER);
    await clock.settle(stream.receive());
    await stream.send(FRAME_TYPE.response, withId(0, utf8('no note')));
    expect(await ended()).toBe('malformed');
  });

  it('that does not answer heartbeats is cut, however much else it says', async () => {
    const { b, clock, open, connection } = await hostile();
    b.mesh.handle(REPLICATE, {}, async (request) => request);
    const stream = await open(REPLICATE);
    for (let i = 0; i < 30 && !connection.closed.aborted; i++) {
      await stream.send(FRAME_TYPE.request, withId(i));
      await clock.advance(1_000);
    }
    expect(b.changes.at(-1)).toMatchObject({ kind: 'down', reason: { code: 'peer-silent' } });
  });

  it('gets one bulk answer at a time', async () => {
    const { b, clock, open, ended } = await hostile();
    b.mesh.handleBulk(SNAPSHOT, {}, async function* () {
      for (;;) yield new Uint8Array(1_000);
    });
    const [first, second] = [await open(SNAPSHOT, 0), await open(SNAPSHOT, 1)];
    await first.send(FRAME_TYPE.request, utf8('x'));
    await expect(clock.settle(second.raw.read())).rejects.toThrow('open already');
    expect(await ended()).toBeUndefined();
  });

  it('that begins a bulk stream with anything else, goes on with anything else, or uses one twice, is cut', async () => {
    for (const sent of [[FRAME_TYPE.ack], [FRAME_TYPE.request, FRAME_TYPE.request]] as const) {
      const { b, open, ended } = await hostile();
      b.mesh.handleBulk(SNAPSHOT, {}, async function* () {
        for (;;) yield new Uint8Array(1_000);
      });
      const stream = await open(SNAPSHOT);
      for (const type of sent) await stream.send(type, utf8('x'));
      expect(await ended()).toBe('protocol-violation');
    }
    const { b, clock, open, ended } = await hostile();
    b.mesh.handleBulk(SNAPSHOT, {}, async function* () {});
    for (let round = 0; round < 2; round++) {
      const stream = await open(SNAPSHOT, 0);
      await stream.send(FRAME_TYPE.request, utf8('x')).catch(() => undefined);
      await stream.end().catch(() => undefined);
      await clock.advance(10);
    }
    expect(await ended()).toBe('frame-replayed');
  });

  it('that takes a bulk answer and reads nothing of it, holds 1 MiB for fifteen seconds', async () => {
    const { b, clock, open } = await hostile();
    let made = 0;
    let over = false;
    b.mesh.handleBulk(SNAPSHOT, {}, async function* () {
      try {
        for (;;) {
          made++;
          yield new Uint8Array(100_000);
        }
      } finally {
        over = true;
      }
    });
    const stream = await open(SNAPSHOT);
    await stream.send(FRAME_TYPE.request, utf8('x'));
    await clock.advance(10_000);
    expect(made).toBeLessThan(13);
    expect(over).toBe(false);
    await clock.advance(40_000);
    expect(over).toBe(true);
  });
});
