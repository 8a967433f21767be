// Flow control by itself: what is acknowledged when.

import { expect, it } from 'vitest';
import { concatBytes, u32be } from '../../../src/core/bytes.ts';
import { KithError } from '../../../src/core/errors.ts';
import { ACK_DELAY_MS, type ProtocolLimits } from '../../../src/p2p/limits.ts';
import { createFlow } from '../../../src/p2p/session/flow.ts';
import { FRAME_TYPE, type SealedStream } from '../../../src/p2p/session/sealed-stream.ts';
import { createManualClock } from '../../support/manual-clock.ts';

const LIMITS: ProtocolLimits = {
  ...{ id: '/test/1', kind: 'request', messageBytesMax: 400 },
  ...{ inFlightFramesMax: 8, inFlightBytesMax: 1_000, handlersMax: 1 },
};

function flowWithAcks() {
  const clock = createManualClock();
  const acks: Uint8Array[] = [];
  const sealed: SealedStream = {
    async send(type, payload) {
      if (type === FRAME_TYPE.ack) acks.push(payload);
    },
    end: async () => undefined,
    receive: async () => undefined,
    abort: () => undefined,
  };
  const failures: unknown[] = [];
  const flow = createFlow({ clock, sealed, limits: LIMITS }, (error) => failures.push(error));
  const take = async (...lengths: readonly number[]) => {
    for (const length of lengths) {
      flow.received(length);
      flow.consumed(length);
    }
    await clock.advance(0);
  };
  return { clock, flow, acks, failures, take };
}

const ack = (frames: number, bytes: number) => concatBytes(u32be(frames), u32be(bytes));

it('acknowledges messages together, a moment after the first of them', async () => {
  const { clock, acks, take } = flowWithAcks();
  await take(10, 20);
  await clock.advance(ACK_DELAY_MS - 1);
  expect(acks).toEqual([]);
  await take(30);
  await clock.advance(1);
  expect(acks).toEqual([ack(3, 60)]);
  await clock.advance(10 * ACK_DELAY_MS);
  expect(acks.length).toBe(1);
});

it('acknowledges at once what is half of what may be in flight, so that nobody waits for room', async () => {
  const { acks, take } = flowWithAcks();
  await take(1, 1, 1);
  expect(acks).toEqual([]);
  await take(1);
  expect(acks).toEqual([ack(4, 4)]);
  await take(200, 300);
  expect(acks).toEqual([ack(4, 4), ack(2, 500)]);
});

it('acknowledges nothing any more once it is closed', async () => {
  const { clock, flow, acks, failures, take } = flowWithAcks();
  await take(10);
  flow.close(new KithError('connection-closed', 'over'));
  await clock.advance(2 * ACK_DELAY_MS);
  expect(acks).toEqual([]);
  expect(failures).toEqual([]);
});
