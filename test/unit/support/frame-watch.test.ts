// The watcher over sealed frames: quiet while nodes talk and meet again, and not if a number comes twice.

import { expect, it } from 'vitest';
import { createMemoryNetwork, type Transport } from '../../../src/p2p/index.ts';
import { watchFrames } from '../../support/frame-watch.ts';
import { createManualClock } from '../../support/manual-clock.ts';

const { signal } = new AbortController();

/** A frame as a session writes it: only its number matters. */
function frame(number: number): Uint8Array {
  const bytes = new Uint8Array(60);
  new DataView(bytes.buffer).setBigUint64(17, BigInt(number));
  return bytes;
}

async function pair() {
  const network = createMemoryNetwork({ clock: createManualClock() });
  const found: string[] = [];
  const made = (address: string, fill: number): Transport =>
    watchFrames(network.transport({ bootKey: new Uint8Array(32).fill(fill), address }), (what) => found.push(what));
  const [a, b] = [made('a', 1), made('b', 2)];
  b.onConnection((connection) => connection.onStream(() => undefined));
  await a.start({});
  await b.start({});
  return { a, found };
}

it('says nothing of numbers that go up over all streams, and begin anew with each connection', async () => {
  const { a, found } = await pair();
  for (const connection of [await a.dial('b', { signal }), await a.dial('b', { signal })]) {
    const one = await connection.openStream('/kith/member/1', { signal });
    const two = await connection.openStream('/kith/custody/1', { signal });
    await one.write(frame(0));
    await two.write(frame(1));
    await one.write(frame(5));
    await one.write(new Uint8Array(4));
  }
  expect(found).toEqual([]);
});

it('tells of a number that comes again, also on another stream, but not of handshakes', async () => {
  const { a, found } = await pair();
  const connection = await a.dial('b', { signal });
  const one = await connection.openStream('/kith/member/1', { signal });
  const two = await connection.openStream('/kith/custody/1', { signal });
  const attest = await connection.openStream('/kith/attest/1', { signal });
  await one.write(frame(3));
  await attest.write(frame(0));
  await two.write(frame(3));
  expect(found).toEqual(['/kith/custody/1: a frame with the number 3 after one with 3']);
});
