import { describe, expect, it } from 'vitest';
import { nodeIdFromBytes } from '../../../src/core/ids.ts';
import { type CustodyPeer, createHeadNotes, type JournalHead } from '../../../src/keyserver/index.ts';
import { createManualClock } from '../../support/manual-clock.ts';

const [one, two] = [1, 2].map((value) => nodeIdFromBytes(new Uint8Array(32).fill(value))) as [never, never];
const headAt = (sequence: number): JournalHead => ({ incarnation: 1, sequence, hash: new Uint8Array(32) });

function world() {
  const clock = createManualClock();
  const told: string[] = [];
  const state = { head: undefined as JournalHead | undefined, servers: [one, two], silent: new Set<unknown>() };
  const peer = (nodeId: unknown): CustodyPeer => ({
    async request(request) {
      if (request.kind !== 'probe') throw new Error('only heads are told');
      told.push(`${nodeId === one ? 'one' : 'two'} ${request.head?.sequence}`);
      if (state.silent.has(nodeId)) await new Promise(() => undefined);
      return { kind: 'holding' };
    },
  });
  const notes = createHeadNotes({ clock, head: () => state.head, keyServers: () => state.servers, peer });
  return { clock, told, state, notes };
}

describe('notes of the head', () => {
  it('go to each key server within a second of a commit, and only when there is something new', async () => {
    const { clock, told, state, notes } = world();
    await notes.start({});
    await clock.advance(5_000);
    expect(told).toEqual([]);
    state.head = headAt(1);
    await clock.advance(10_000);
    expect(told).toEqual(['one 1', 'two 1']);
    for (let sequence = 2; sequence < 200; sequence++) {
      state.head = headAt(sequence);
      await clock.advance(10);
    }
    await clock.advance(1_000);
    // Two seconds of a hundred commits each: the first of it, the middle, the end.
    expect(told.length).toBeLessThanOrEqual(8);
    expect(told.slice(-2)).toEqual(['one 199', 'two 199']);
    await notes.stop();
    expect(clock.pending).toBe(0);
  });

  it('wait for a silent server without waiting for it with the others, and tell it the newest then', async () => {
    const { clock, told, state, notes } = world();
    state.silent.add(one);
    state.head = headAt(1);
    await notes.start({});
    for (let sequence = 2; sequence < 5; sequence++) {
      state.head = headAt(sequence);
      await clock.advance(1_000);
    }
    expect(told).toEqual(['one 1', 'two 1', 'two 2', 'two 3', 'two 4']);
    state.silent.clear();
    // Its request is given up after five seconds.
    await clock.advance(4_000);
    expect(told.slice(5)).toEqual(['one 4']);
    await notes.stop();
  });

  it('go to a server that became one only later', async () => {
    const { clock, told, state, notes } = world();
    state.servers = [one];
    state.head = headAt(7);
    await notes.start({});
    await clock.advance(2_000);
    state.servers = [one, two];
    await clock.advance(1_000);
    expect(told).toEqual(['one 7', 'two 7']);
    await notes.stop();
  });
});
