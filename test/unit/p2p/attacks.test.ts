import { describe, expect, it } from 'vitest';
import { concatBytes, u32be, utf8 } from '../../../src/core/bytes.ts';
import { isKithError } from '../../../src/core/errors.ts';
import { FRAME_HEADER_BYTES } from '../../../src/p2p/frames.ts';
import { ATTEST_PROTOCOL } from '../../../src/p2p/handshake/messages.ts';
import { DEFAULT_LIMITS, type Transport } from '../../../src/p2p/index.ts';
import type { Chunk, ChunkFate } from '../../../src/p2p/memory.ts';
import { FRAME_TYPE } from '../../../src/p2p/session/sealed-stream.ts';
import type { ByteStream, Connection } from '../../../src/p2p/stream.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { createTestMesh, START_MS, type TestNodeOptions } from '../../support/mesh.ts';
import { rejectionOf } from '../../support/outcome.ts';

const REPLICATE = '/kith/replicate/1';

async function world(options: { a?: TestNodeOptions; b?: TestNodeOptions } = {}) {
  const clock = createManualClock(START_MS);
  const all = createTestMesh(clock);
  const [a, b] = [all.node('a', options.a), all.node('b', options.b)];
  for (const { mesh } of [a, b]) await mesh.start({});
  const stranger = all.network.transport({ bootKey: new Uint8Array(32).fill(99), address: 'stranger' });
  const { signal } = new AbortController();
  return {
    ...all,
    clock,
    a,
    b,
    signal,
    dial: () => stranger.dial('b', { signal }),
    async met() {
      b.mesh.handle(REPLICATE, {}, async (request) => request);
      await clock.settle(a.mesh.dial('b'));
      await clock.advance(10);
    },
  };
}

const codeOfEnd = (connection: Connection) =>
  isKithError(connection.closed.reason) ? connection.closed.reason.code : undefined;

/** Applies `fate` to the nth sealed request of a to b. */
const onRequest = (n: number, fate: (chunk: Chunk) => ChunkFate | undefined) => {
  let count = 0;
  return (chunk: Chunk): ChunkFate | undefined => {
    const isRequest =
      chunk.protocol === REPLICATE && chunk.from === 'a' && chunk.bytes[FRAME_HEADER_BYTES] === FRAME_TYPE.request;
    return isRequest && ++count === n ? fate(chunk) : undefined;
  };
};

describe('a peer that has not attested', () => {
  it('can open no other protocol: the connection is cut', async () => {
    for (const { id } of DEFAULT_LIMITS.protocols) {
      const { dial, clock, signal, b } = await world();
      const connection = await dial();
      const stream = await connection.openStream(id, { signal });
      await stream.write(new Uint8Array(100)).catch(() => undefined);
      await clock.advance(1);
      expect(codeOfEnd(connection)).toBe('not-attested');
      expect(b.reports).toEqual([expect.objectContaining({ kind: 'not-attested' })]);
      expect(b.mesh.peers()).toEqual([]);
    }
  });

  it('can do so neither during a handshake, nor run two handshakes at once', async () => {
    const { dial, clock, signal } = await world();
    const connection = await dial();
    await connection.openStream(ATTEST_PROTOCOL, { signal });
    const second = await connection.openStream(ATTEST_PROTOCOL, { signal });
    expect((await clock.settle(rejectionOf(second.read())))?.code).toBe('too-many');
    await connection.openStream(REPLICATE, { signal });
    expect(codeOfEnd(connection)).toBe('not-attested');
  });

  it('is cut after five seconds, whether it opens nothing or says nothing', async () => {
    const { dial, clock, signal } = await world();
    const [idle, mute] = [await dial(), await dial()];
    await mute.openStream(ATTEST_PROTOCOL, { signal });
    await clock.advance(7_000);
    expect([idle, mute].map(codeOfEnd)).toEqual(['not-attested', 'attestation-refused']);
  });

  it('gets no more than a few slots and a rate per host, and others still get in', async () => {
    const { dial, clock, a, b } = await world();
    const flood = await Promise.all(Array.from({ length: 200 }, dial));
    expect(flood.filter(({ closed }) => !closed.aborted)).toHaveLength(DEFAULT_LIMITS.strangersPerHostMax);
    await clock.settle(a.mesh.dial('b'));
    expect(b.mesh.peers()).toHaveLength(1);
    await clock.advance(6_000);
    expect(flood.filter(({ closed }) => !closed.aborted)).toHaveLength(0);
    const again = await Promise.all(Array.from({ length: 200 }, dial));
    expect(again.filter(({ closed }) => !closed.aborted)).toHaveLength(8);
  });

  it('cannot send a large message: 20 KiB are the most', async () => {
    const { dial, clock, signal } = await world();
    const connection = await dial();
    const stream = await connection.openStream(ATTEST_PROTOCOL, { signal });
    await stream.write(concatBytes(u32be(20_481), new Uint8Array(20_481)));
    await clock.advance(2_000);
    expect(codeOfEnd(connection)).toBe('attestation-refused');
  });
});

describe('sealed frames on the way', () => {
  const cases: [string, string, (chunk: Chunk) => ChunkFate | undefined][] = [
    ['lost', 'frame-missing', () => ({ copies: 0 })],
    ['doubled', 'frame-replayed', () => ({ copies: 2 })],
    ['overtaken by later ones', 'frame-missing', () => ({ delayMs: 200, overtaken: true })],
    [
      'altered',
      'frame-forged',
      ({ bytes }) => ({ bytes: bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte)) }),
    ],
    ['given another type', 'frame-forged', ({ bytes }) => ({ bytes: withByte(bytes, 0, FRAME_TYPE.cancel) })],
    ['given another number', 'frame-forged', ({ bytes }) => ({ bytes: withByte(bytes, 20, 0xff) })],
    ['given a number used before', 'frame-replayed', ({ bytes }) => ({ bytes: withByte(bytes, 20, 0) })],
    ['given another stream', 'frame-replayed', ({ bytes }) => ({ bytes: withByte(bytes, 4, 9) })],
    ['given another place', 'frame-missing', ({ bytes }) => ({ bytes: withByte(bytes, 12, 9) })],
    ['given no known type', 'protocol-violation', ({ bytes }) => ({ bytes: withByte(bytes, 0, 99) })],
    ['cut short', 'protocol-violation', ({ bytes }) => ({ bytes: concatBytes(u32be(10), bytes.subarray(4, 14)) })],
    ['made too large', 'frame-too-large', ({ bytes }) => ({ bytes: concatBytes(u32be(300_000), bytes.subarray(4)) })],
  ];
  for (const [what, code, fate] of cases) {
    it(`that are ${what} cut the connection: ${code}`, async () => {
      const { a, b, clock, network, met } = await world();
      await met();
      const ask = () => a.mesh.peer(b.nodeId)!.request(REPLICATE, utf8('hello'));
      await clock.settle(ask());
      network.faults.chunk = onRequest(2, fate);
      const asked = [ask(), ask(), ask(), ask()].map(rejectionOf);
      const failures = await clock.settle(Promise.all(asked));
      expect(failures.at(-1)).toBeDefined();
      expect(b.changes.at(-1)).toMatchObject({ kind: 'down', reason: { code } });
      expect(a.mesh.peers()).toEqual([]);
    });
  }

  it('that are only late arrive in order', async () => {
    const { a, b, clock, network, met } = await world();
    await met();
    network.faults.chunk = onRequest(1, () => ({ delayMs: 300 }));
    const ask = (n: number) => a.mesh.peer(b.nodeId)!.request(REPLICATE, Uint8Array.of(n));
    expect(await clock.settle(Promise.all([ask(1), ask(2)]))).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
  });

  it('from an earlier connection are worth nothing on a later one', async () => {
    const { a, b, clock, network, met } = await world();
    await met();
    let recorded: Uint8Array | undefined;
    network.faults.chunk = onRequest(1, ({ bytes }) => {
      recorded = bytes.slice();
      return undefined;
    });
    await clock.settle(a.mesh.peer(b.nodeId)!.request(REPLICATE, utf8('once')));
    network.cut('a', 'b');
    delete network.faults.chunk;
    await clock.settle(a.mesh.dial('b'));
    network.faults.chunk = onRequest(1, () => ({ bytes: recorded! }));
    await clock.settle(rejectionOf(a.mesh.peer(b.nodeId)!.request(REPLICATE, utf8('again'))));
    expect(b.changes.at(-1)).toMatchObject({ kind: 'down' });
    expect((b.changes.at(-1) as { reason: { code: string } }).reason.code).toMatch(/^frame-(forged|replayed)$/);
  });

  it('sent back to their sender are worth nothing', async () => {
    const { a, b, clock, network, met } = await world();
    await met();
    await clock.settle(a.mesh.peer(b.nodeId)!.request(REPLICATE, utf8('x')));
    let request: Uint8Array | undefined;
    network.faults.chunk = (chunk) => {
      if (chunk.protocol !== REPLICATE) return undefined;
      if (chunk.from === 'a') request ??= chunk.bytes.slice();
      return chunk.from === 'b' && request ? { bytes: request } : undefined;
    };
    await clock.settle(rejectionOf(a.mesh.peer(b.nodeId)!.request(REPLICATE, utf8('y'))));
    expect((a.changes.at(-1) as { reason: { code: string } }).reason.code).toMatch(/^frame-(forged|replayed|missing)$/);
  });
});

function withByte(chunk: Uint8Array, offset: number, value: number): Uint8Array {
  const copy = chunk.slice();
  copy[FRAME_HEADER_BYTES + offset] = value;
  return copy;
}

/** A transport whose streams of one protocol are not read any more once `stop` was called. */
function deaf(transport: Transport, protocol: string) {
  let stopped = false;
  const wrapStream = (stream: ByteStream): ByteStream => ({
    ...stream,
    read: () => (stopped ? new Promise(() => {}) : stream.read()),
  });
  const wrapConnection = (connection: Connection): Connection => ({
    ...connection,
    openStream: async (id, given) => {
      const stream = await connection.openStream(id, given);
      return id === protocol ? wrapStream(stream) : stream;
    },
    onStream: (handler) =>
      connection.onStream((id, stream) => handler(id, id === protocol ? wrapStream(stream) : stream)),
  });
  return {
    stop: () => {
      stopped = true;
    },
    transport: {
      ...transport,
      dial: async (address: string, given: { signal: AbortSignal }) =>
        wrapConnection(await transport.dial(address, given)),
      onConnection: (handler: (connection: Connection) => void) =>
        transport.onConnection((connection) => handler(wrapConnection(connection))),
    },
  };
}

describe('a peer that does not read', () => {
  it('cannot make us hold more than what may be in flight, and is cut', async () => {
    const clock = createManualClock(START_MS);
    const all = createTestMesh(clock);
    const inner = all.network.transport({ bootKey: new Uint8Array(32).fill(42), address: 'a' });
    const { transport, stop } = deaf(inner, REPLICATE);
    const a = all.node('a', { transport });
    const b = all.node('b');
    let handled = 0;
    b.mesh.handle(REPLICATE, {}, async () => {
      handled++;
      return new Uint8Array(200_000);
    });
    for (const { mesh } of [a, b]) await mesh.start({});
    await clock.settle(a.mesh.dial('b'));
    await clock.settle(a.mesh.peer(b.nodeId)!.request(REPLICATE, utf8('x')));
    stop();
    for (let i = 0; i < 60; i++) {
      a.mesh
        .peer(b.nodeId)!
        .request(REPLICATE, utf8('x'), { timeoutMs: 60_000 })
        .catch(() => undefined);
    }
    await clock.advance(10_000);
    expect(handled).toBeLessThan(12);
    await clock.advance(25_000);
    expect(b.changes[1]).toMatchObject({ kind: 'down', reason: { code: 'peer-stalled' } });
  });

  it('makes callers wait, then refuses them, and heartbeats go on', async () => {
    const { a, b, clock, met } = await world();
    b.mesh.handle('/kith/custody/1', {}, () => new Promise(() => {}));
    await met();
    const ask = () =>
      rejectionOf(a.mesh.peer(b.nodeId)!.request('/kith/custody/1', new Uint8Array(10_000), { timeoutMs: 40_000 }));
    const asked = Array.from({ length: 100 }, ask);
    const results = await clock.settle(Promise.all(asked));
    const codes = results.map((error) => error?.code);
    // 256 KiB in flight are 26 requests, 64 more wait.
    expect(codes.filter((code) => code === 'requests-busy')).toHaveLength(10);
    expect(codes.filter((code) => code === 'timeout')).toHaveLength(90);
    expect(a.mesh.peers()).toHaveLength(1);
  });
});

describe('an attested peer that breaks the rules', () => {
  it('is cut when it opens a second stream for requests', async () => {
    const { a, b, clock, met, signal } = await world();
    let connection: Connection | undefined;
    const dial = a.transport.dial;
    Object.assign(a.transport, {
      dial: async (...given: Parameters<typeof dial>) => {
        connection = await dial(...given);
        return connection;
      },
    });
    await met();
    await clock.settle(a.mesh.peer(b.nodeId)!.request(REPLICATE, utf8('x')));
    await connection!.openStream(REPLICATE, { signal });
    await clock.advance(1);
    expect(b.changes.at(-1)).toMatchObject({ kind: 'down', reason: { code: 'protocol-violation' } });
  });

  it('is cut when it ends a stream that lives as long as the connection', async () => {
    const { a, b, clock, network, met } = await world();
    await met();
    await clock.settle(a.mesh.peer(b.nodeId)!.request(REPLICATE, utf8('x')));
    network.faults.chunk = onRequest(1, () => ({ bytes: u32be(0) }));
    await clock.settle(rejectionOf(a.mesh.peer(b.nodeId)!.request(REPLICATE, utf8('x'))));
    expect(b.changes.at(-1)).toMatchObject({ kind: 'down', reason: { code: 'protocol-violation' } });
  });

  it('cannot ask for renewals without end', async () => {
    const { a, b, clock, met, signal } = await world();
    let connection: Connection | undefined;
    const dial = a.transport.dial;
    Object.assign(a.transport, {
      dial: async (...given: Parameters<typeof dial>) => {
        connection = await dial(...given);
        return connection;
      },
    });
    await met();
    const stream = await connection!.openStream(ATTEST_PROTOCOL, { signal });
    expect((await clock.settle(rejectionOf(stream.read())))?.code).toBe('too-many');
    expect(b.mesh.peers()).toHaveLength(1);
  });
});
