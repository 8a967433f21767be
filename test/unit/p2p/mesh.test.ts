import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/core/bytes.ts';
import { sleep } from '../../../src/core/deadline.ts';
import { KithError } from '../../../src/core/errors.ts';
import { ATTEST_PROTOCOL } from '../../../src/p2p/handshake/messages.ts';
import type { HandshakeDeps } from '../../../src/p2p/handshake/ports.ts';
import { attestationRefusalOf, DEFAULT_LIMITS, refusalOf } from '../../../src/p2p/index.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { createTestMesh, handshakeDeps, START_MS, type TestNode, type TestNodeOptions } from '../../support/mesh.ts';
import { codeOf, rejectionOf } from '../../support/outcome.ts';

const REPLICATE = '/kith/replicate/1';
const SNAPSHOT = '/kith/snapshot/1';

async function pair(options: { a?: TestNodeOptions; b?: TestNodeOptions } = {}) {
  const clock = createManualClock(START_MS);
  const world = createTestMesh(clock);
  const [a, b] = [world.node('a', options.a), world.node('b', options.b)];
  await Promise.all([a.mesh.start({}), b.mesh.start({})]);
  const refused = () => clock.settle(rejectionOf(a.mesh.dial('b')));
  const meet = async () => {
    const attested = await clock.settle(a.mesh.dial('b'));
    await clock.advance(10);
    return attested;
  };
  return { clock, world, a, b, meet, refused };
}

const kinds = (node: TestNode) => node.changes.map(({ kind }) => kind);

describe('the mesh', () => {
  it('connects two nodes that believe each other, and both see what the other proved', async () => {
    const { a, b, meet } = await pair();
    const attested = await meet();
    expect(attested).toMatchObject({ nodeId: b.nodeId, operator: 'op-b', tcbStatus: 'UpToDate', incarnation: 1 });
    expect(b.mesh.peer(a.nodeId)?.attested).toMatchObject({ nodeId: a.nodeId, operator: 'op-a', phase: 'attesting' });
    expect(kinds(b)).toContain('up');
  });

  it('keeps a peer whose quote took longer than a member may be silent', async () => {
    const slow = (deps: HandshakeDeps): HandshakeDeps => ({
      ...deps,
      quoter: {
        async quote(claim, given) {
          await sleep(deps.clock, 20_000);
          return deps.quoter.quote(claim, given);
        },
      },
    });
    const { clock, a, b, meet } = await pair({ a: { wrap: slow } });
    await meet();
    await clock.advance(60_000);
    expect([kinds(a), kinds(b)]).toEqual([['up'], ['up']]);
  });

  it('tells why it refused a peer, also when that hangs up at once', async () => {
    const { clock, world, b } = await pair();
    const rude = world.network.transport({ bootKey: new Uint8Array(32).fill(8), address: 'rude' });
    const { signal } = new AbortController();
    const connection = await rude.dial('b', { signal });
    const stream = await connection.openStream(ATTEST_PROTOCOL, { signal });
    await stream.write(Uint8Array.of(0, 0, 0, 1, 0xff));
    await clock.settle(stream.read());
    connection.abort(new KithError('connection-closed', 'bye'));
    await clock.advance(2_000);
    expect(b.reports.map((report) => [report.kind, 'reason' in report && report.reason.code])).toEqual([
      ['handshake', false],
      ['not-attested', 'malformed-message'],
    ]);
  });

  it('carries requests both ways over one connection, many at once', async () => {
    const { clock, a, b, meet } = await pair();
    for (const node of [a, b]) {
      node.mesh.handle(REPLICATE, {}, async (request, peer) =>
        utf8(`${node.name} to ${peer.operator}: ${request.length}`),
      );
    }
    await meet();
    const answers = await clock.settle(
      Promise.all(Array.from({ length: 100 }, (_, i) => a.mesh.peer(b.nodeId)!.request(REPLICATE, new Uint8Array(i)))),
    );
    expect(answers.map((bytes) => new TextDecoder().decode(bytes))).toEqual(
      Array.from({ length: 100 }, (_, i) => `b to op-a: ${i}`),
    );
    const back = await clock.settle(b.mesh.peer(a.nodeId)!.request(REPLICATE, utf8('x')));
    expect(new TextDecoder().decode(back)).toBe('a to op-b: 1');
  });

  it('passes on a typed refusal of a handler, and nothing of an unexpected error', async () => {
    const { clock, a, b, meet } = await pair();
    const thrown: unknown[] = [new KithError('no-such-thing', 'there is none'), new Error('/secret/path')];
    b.mesh.handle(REPLICATE, {}, async () => {
      throw thrown.shift();
    });
    await meet();
    const ask = () => clock.settle(rejectionOf(a.mesh.peer(b.nodeId)!.request(REPLICATE, utf8('x'))));
    expect(refusalOf(await ask())).toEqual({ code: 'no-such-thing', message: 'there is none' });
    expect(refusalOf(await ask())).toEqual({ code: 'internal', message: 'the request failed' });
    expect(b.reports.filter(({ kind }) => kind !== 'handshake')).toEqual([
      expect.objectContaining({ kind: 'handler-failed', protocol: REPLICATE }),
    ]);
  });

  it('refuses an answer that is too large, a handler for no protocol of its own, and a second one', async () => {
    const { clock, a, b, meet } = await pair();
    b.mesh.handle(REPLICATE, {}, async () => new Uint8Array(262_145));
    b.mesh.handleBulk(SNAPSHOT, {}, async function* () {
      yield new Uint8Array(262_145);
    });
    expect(codeOf(() => b.mesh.handle(REPLICATE, {}, async (request) => request))).toBe('internal');
    expect(codeOf(() => b.mesh.handle(SNAPSHOT, {}, async (request) => request))).toBe('unknown-protocol');
    expect(codeOf(() => b.mesh.handleBulk(REPLICATE, {}, async function* () {}))).toBe('unknown-protocol');
    await meet();
    const peer = a.mesh.peer(b.nodeId)!;
    expect(refusalOf(await clock.settle(rejectionOf(peer.request(REPLICATE, utf8('x')))))?.code).toBe(
      'answer-too-large',
    );
    const bulk = collect(peer.openBulk(SNAPSHOT, utf8('x')));
    expect(refusalOf(await clock.settle(rejectionOf(bulk)))?.code).toBe('answer-too-large');
    await a.mesh.stop();
    expect((await rejectionOf(peer.request(REPLICATE, utf8('x'))))?.code).toBe('not-connected');
  });

  it('fails what is under way when the connection is lost, with its reason', async () => {
    const { clock, world, a, b, meet } = await pair();
    b.mesh.handle(REPLICATE, {}, () => new Promise(() => {}));
    b.mesh.handleBulk(SNAPSHOT, {}, async function* () {
      yield utf8('one');
      await new Promise(() => {});
    });
    await meet();
    const peer = a.mesh.peer(b.nodeId)!;
    const [asked, read] = [peer.request(REPLICATE, utf8('x')), collect(peer.openBulk(SNAPSHOT, utf8('x')))].map(
      rejectionOf,
    );
    await clock.advance(100);
    world.network.cut('a', 'b');
    expect((await clock.settle(asked!))?.code).toBe('connection-closed');
    expect((await clock.settle(read!))?.code).toBe('connection-closed');
  });

  it('ends a bulk answer when its reader is aborted', async () => {
    const { clock, a, b, meet } = await pair();
    let over = false;
    b.mesh.handleBulk(SNAPSHOT, {}, async function* (_request, _peer, { signal }) {
      signal.addEventListener('abort', () => {
        over = true;
      });
      yield utf8('one');
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    });
    await meet();
    const controller = new AbortController();
    const reading = rejectionOf(collect(a.mesh.peer(b.nodeId)!.openBulk(SNAPSHOT, utf8('x'), controller)));
    await clock.advance(100);
    controller.abort(new KithError('enough', 'no more'));
    expect((await clock.settle(reading))?.code).toBe('enough');
    await clock.advance(100);
    expect(over).toBe(true);
  });

  it('serves a protocol only in its phases and to whom it is permitted', async () => {
    const { clock, a, b, meet } = await pair();
    const permit = (_: unknown, request: Uint8Array) =>
      request.length === 0 ? { code: 'empty', message: 'say something' } : undefined;
    b.mesh.handle(REPLICATE, { phases: ['ready'], permit }, async () => utf8('ok'));
    await meet();
    const ask = (bytes: Uint8Array) => clock.settle(rejectionOf(a.mesh.peer(b.nodeId)!.request(REPLICATE, bytes)));
    expect(refusalOf(await ask(utf8('x')))?.code).toBe('not-in-phase');
    b.phase = 'ready';
    expect(refusalOf(await ask(new Uint8Array(0)))?.code).toBe('empty');
    expect(await ask(utf8('x'))).toBeUndefined();
    expect(
      refusalOf(await clock.settle(rejectionOf(a.mesh.peer(b.nodeId)!.request('/kith/custody/1', utf8('x')))))?.code,
    ).toBe('not-served');
    expect((await ask2(clock, a, b, '/kith/none/1'))?.code).toBe('unknown-protocol');
    expect((await ask2(clock, a, b, REPLICATE, new Uint8Array(300_000)))?.code).toBe('request-too-large');
  });

  it('ends a request at its deadline and tells the handler', async () => {
    const { clock, a, b, meet } = await pair();
    let told: unknown;
    b.mesh.handle(REPLICATE, {}, (_request, _peer, { signal }) => {
      signal.addEventListener('abort', () => {
        told = signal.reason;
      });
      return new Promise(() => {});
    });
    await meet();
    const asked = a.mesh.peer(b.nodeId)!.request(REPLICATE, utf8('x'), { timeoutMs: 500 });
    expect((await clock.settle(rejectionOf(asked)))?.code).toBe('timeout');
    await clock.advance(10);
    expect(told).toMatchObject({ code: 'cancelled' });
    expect(a.mesh.peer(b.nodeId)).toBeDefined();
  });

  it('streams a bulk answer as fast as it is read, and tells a whole one from a failed one', async () => {
    const { clock, a, b, meet } = await pair();
    let made = 0;
    b.mesh.handleBulk(SNAPSHOT, {}, async function* (request) {
      for (let i = 0; i < 200; i++) {
        made++;
        yield new Uint8Array(30_000).fill(i);
      }
      if (request.length > 0) throw new KithError('half-way', 'no more');
    });
    await meet();
    const stream = a.mesh.peer(b.nodeId)!.openBulk(SNAPSHOT, new Uint8Array(0));
    const iterator = stream[Symbol.asyncIterator]();
    await clock.settle(iterator.next());
    await clock.advance(1_000);
    // 1 MiB in flight at most: 34 items, one more made and waiting.
    expect(made).toBeLessThan(40);
    const rest = await clock.settle(collect({ [Symbol.asyncIterator]: () => iterator }));
    expect(rest.map((item) => item[0])).toEqual(Array.from({ length: 199 }, (_, i) => i + 1));
    const failing = a.mesh.peer(b.nodeId)!.openBulk(SNAPSHOT, utf8('x'));
    expect(refusalOf(await clock.settle(rejectionOf(collect(failing))))?.code).toBe('half-way');
  });

  it('lets a reader leave a bulk answer, and the next one begin', async () => {
    const { clock, a, b, meet } = await pair();
    let left = 0;
    b.mesh.handleBulk(SNAPSHOT, {}, async function* () {
      try {
        for (;;) yield new Uint8Array(1_000);
      } finally {
        left++;
      }
    });
    await meet();
    for (let round = 0; round < 3; round++) {
      const first = async () => {
        for await (const item of a.mesh.peer(b.nodeId)!.openBulk(SNAPSHOT, new Uint8Array(0))) return item;
        return undefined;
      };
      expect(await clock.settle(first())).toHaveLength(1_000);
      await clock.advance(10);
    }
    expect(left).toBe(3);
    expect(a.mesh.peer(b.nodeId)).toBeDefined();
  });

  it('keeps the same one of two connections dialled at once, and loses nothing meanwhile', async () => {
    const { clock, a, b } = await pair();
    for (const node of [a, b]) node.mesh.handle(REPLICATE, {}, async (request) => request);
    await clock.settle(Promise.all([a.mesh.dial('b'), b.mesh.dial('a')]));
    const asked = a.mesh.peer(b.nodeId)!.request(REPLICATE, utf8('x'));
    await clock.settle(asked);
    await clock.advance(10_000);
    expect(kinds(a)).toEqual(['up']);
    expect(kinds(b)).toEqual(['up']);
    await clock.settle(b.mesh.peer(a.nodeId)!.request(REPLICATE, utf8('x')));
  });

  it('tells phase and height with each heartbeat', async () => {
    const { clock, a, b, meet } = await pair();
    await meet();
    b.phase = 'ready';
    b.height = 77;
    await clock.advance(6_000);
    expect(a.mesh.peer(b.nodeId)).toMatchObject({ phase: 'ready', height: 77, addresses: ['b'] });
    expect(kinds(a)).toContain('moved');
  });

  it('tells what is announced at once, and what is announced within a second of that as one', async () => {
    const { clock, world, a, b, meet } = await pair();
    await meet();
    await clock.advance(2_000);
    const seen: [number, string][] = [];
    a.mesh.onChange((change) => {
      if (change.kind === 'moved') seen.push([clock.monotonic(), change.peer.phase]);
    });
    let chunks = 0;
    world.network.faults.chunk = ({ from }) => {
      if (from === 'b') chunks++;
      return undefined;
    };
    const began = clock.monotonic();
    for (let i = 0; i < 200; i++) {
      b.phase = `phase ${i}`;
      void b.mesh.announce();
      await clock.advance(2);
    }
    await clock.advance(2_000);
    expect(seen).toEqual([
      [began, 'phase 0'],
      [began + 1_000, 'phase 199'],
    ]);
    // Two heartbeats with what acknowledges them.
    expect(chunks).toBeLessThan(20);
  });

  it('says that all were told when each has answered what is true now, or is gone', async () => {
    const { clock, world, a, b, meet } = await pair();
    await meet();
    await clock.advance(2_000);
    b.phase = 'draining';
    await clock.settle(b.mesh.announce(), { msMax: 100 });
    expect(a.mesh.peer(b.nodeId)?.phase).toBe('draining');
    world.network.faults.chunk = () => ({ copies: 0 });
    const began = clock.monotonic();
    await clock.settle(b.mesh.announce());
    expect(b.mesh.peers()).toEqual([]);
    expect(clock.monotonic() - began).toBeGreaterThan(10_000);
    await clock.settle(b.mesh.announce(), { msMax: 0 });
  });

  it('finds members by those it knows, and never dials itself twice', async () => {
    const clock = createManualClock(START_MS);
    const world = createTestMesh(clock);
    const a = world.node('a', { mesh: { bootstrap: ['a', 'b'] } });
    const b = world.node('b');
    const c = world.node('c', { mesh: { bootstrap: ['b'] } });
    for (const node of [a, b, c]) await node.mesh.start({});
    await clock.advance(20_000);
    for (const node of [a, b, c]) expect(node.mesh.peers()).toHaveLength(2);
    await clock.advance(600_000);
    for (const node of [a, b, c]) {
      expect(node.mesh.peers()).toHaveLength(2);
      expect(node.changes.filter(({ kind }) => kind !== 'moved')).toHaveLength(2);
    }
  });

  it('connects again after a cut, and after a peer was silent', async () => {
    const clock = createManualClock(START_MS);
    const world = createTestMesh(clock);
    const a = world.node('a', { mesh: { bootstrap: ['b'] } });
    const b = world.node('b');
    for (const node of [a, b]) await node.mesh.start({});
    await clock.advance(2_000);
    world.network.cut('a', 'b');
    await clock.advance(5_000);
    expect(kinds(a)).toEqual(['up', 'down', 'up']);
    world.network.faults.chunk = () => ({ copies: 0 });
    await clock.advance(25_000);
    expect(a.changes.at(-1)).toMatchObject({ kind: 'down', reason: { code: 'peer-silent' } });
    expect(b.mesh.peers()).toEqual([]);
    delete world.network.faults.chunk;
    await clock.advance(120_000);
    expect(a.changes.at(-1)?.kind).toBe('up');
  });

  it('notices a link that works in one direction only, on both sides', async () => {
    const { clock, world, a, b, meet } = await pair();
    await meet();
    world.network.faults.chunk = ({ from }) => (from === 'a' ? { copies: 0 } : undefined);
    await clock.advance(25_000);
    expect(a.mesh.peers()).toEqual([]);
    expect(b.mesh.peers()).toEqual([]);
    expect(b.changes.at(-1)).toMatchObject({ reason: { code: 'peer-silent' } });
  });

  it('renews attestation on the same connection before it expires', async () => {
    const { clock, a, b, meet } = await pair();
    const first = await meet();
    await clock.advance(3 * 3_600_000);
    expect(kinds(a)).toEqual(['up']);
    expect(kinds(b)).toEqual(['up']);
    expect(a.mesh.peer(b.nodeId)!.attested.validUntilMs).toBeGreaterThan(first.validUntilMs + 3_600_000);
  });

  it('cuts a peer that stops proving itself when its hour is over', async () => {
    let quotes = true;
    const wrap: TestNodeOptions['wrap'] = (deps) => ({
      ...deps,
      quoter: {
        quote: (claim, given) =>
          quotes ? deps.quoter.quote(claim, given) : Promise.reject(new KithError('quote-source', 'broken')),
      },
    });
    const { clock, a, b, meet } = await pair({ b: { wrap } });
    await meet();
    quotes = false;
    await clock.advance(3_590_000);
    expect(kinds(a)).toEqual(['up']);
    await clock.advance(20_000);
    for (const node of [a, b]) {
      expect(node.mesh.peers()).toEqual([]);
      expect(node.changes.at(-1)).toMatchObject({ kind: 'down' });
    }
    expect([a, b].map((node) => node.changes.at(-1))).toContainEqual(
      expect.objectContaining({ reason: expect.objectContaining({ code: 'attestation-expired' }) }),
    );
  });

  it('cuts a peer that is not admitted any more', async () => {
    let fenced = false;
    const admit = () => (fenced ? { code: 'fenced', message: 'a newer incarnation is there' } : undefined);
    const { a, b, meet, refused, clock } = await pair({ a: { admit } });
    await meet();
    fenced = true;
    a.mesh.reexamine();
    await clock.advance(10);
    expect(a.changes.at(-1)).toMatchObject({ kind: 'down', reason: { code: 'excluded' } });
    expect(b.mesh.peers()).toEqual([]);
    expect(attestationRefusalOf(await refused())?.code).toBe('fenced');
  });

  it('parts from a peer whose renewal names another node, key or a lower incarnation', async () => {
    for (const change of [{ incarnation: 0 }, { nodeId: 'other' }, { hpkeKeyPair: 'other' }] as const) {
      let changed = false;
      const wrap: TestNodeOptions['wrap'] = (deps) => {
        const own = deps.identity();
        const other = handshakeDeps(deps.clock, 'other').identity();
        const value =
          'incarnation' in change
            ? { incarnation: 0 }
            : { [Object.keys(change)[0]!]: other[Object.keys(change)[0] as 'nodeId'] };
        return { ...deps, identity: () => (changed ? { ...own, ...value } : own) };
      };
      const { clock, a, b, meet } = await pair({ a: { wrap } });
      await meet();
      // Past the dial that verifies where the other one says it is.
      await clock.advance(700_000);
      changed = true;
      await clock.advance(2_800_000);
      expect(b.changes[1]).toMatchObject({ kind: 'down', reason: { code: 'attestation-refused' } });
      expect((b.changes[1] as { reason: { message: string } }).reason.message).toContain('identity-changed');
      expect(a.changes[1]).toMatchObject({ kind: 'down' });
    }
  });

  it('takes a higher incarnation with a renewal', async () => {
    let incarnation = 1;
    const wrap: TestNodeOptions['wrap'] = (deps) => {
      const own = deps.identity();
      return { ...deps, identity: () => ({ ...own, incarnation }) };
    };
    const { clock, a, b, meet } = await pair({ a: { wrap } });
    await meet();
    incarnation = 5;
    await clock.advance(2_800_000);
    expect(kinds(b)).toEqual(['up']);
    expect(b.mesh.peer(a.nodeId)!.attested.incarnation).toBe(5);
  });

  it('has a place for so many peers, and refuses one more, not one it knows', async () => {
    const clock = createManualClock(START_MS);
    const world = createTestMesh(clock);
    const limits = { ...DEFAULT_LIMITS, connectionsMax: 2 };
    const a = world.node('a', { mesh: { limits } });
    const others = ['b', 'c', 'd'].map((name) => world.node(name));
    for (const { mesh } of [a, ...others]) await mesh.start({});
    for (const { mesh } of others.slice(0, 2)) await clock.settle(mesh.dial('a'));
    const refused = await clock.settle(rejectionOf(others[2]!.mesh.dial('a')));
    expect(attestationRefusalOf(refused)?.code).toBe('too-many');
    expect(a.mesh.peers()).toHaveLength(2);
    await clock.settle(others[0]!.mesh.dial('a'));
  });

  it('keeps a bounded number of connections to one boot of a node, in the end one', async () => {
    const { clock, a, b } = await pair();
    const dials = await clock.settle(Promise.all(Array.from({ length: 6 }, () => rejectionOf(a.mesh.dial('b')))));
    expect(dials.filter((error) => error === undefined)).toHaveLength(3);
    expect(new Set(dials.map((error) => attestationRefusalOf(error)?.code ?? error?.code))).toEqual(
      new Set([undefined, 'too-many']),
    );
    await clock.advance(3_000);
    expect(a.mesh.peers()).toHaveLength(1);
    expect(b.mesh.peers()).toHaveLength(1);
    expect((await clock.settle(rejectionOf(a.mesh.dial('b'))))?.code).toBeUndefined();
  });

  it('takes the newer boot of a node in place of the older', async () => {
    const clock = createManualClock(START_MS);
    const world = createTestMesh(clock);
    const a = world.node('a');
    const old = world.node('b');
    const anew = world.node('b', { bootKey: new Uint8Array(32).fill(7), identity: { incarnation: 2 } });
    await a.mesh.start({});
    await old.mesh.start({});
    await clock.settle(a.mesh.dial('b'));
    await anew.mesh.start({});
    await clock.settle(anew.mesh.dial('a'));
    await clock.advance(10);
    expect(a.mesh.peers().map(({ attested }) => attested.incarnation)).toEqual([2]);
    expect(old.changes.at(-1)).toMatchObject({ kind: 'down' });
  });

  it('ends everything when it stops, and refuses to dial', async () => {
    const { clock, a, b, meet } = await pair();
    await meet();
    await a.mesh.stop();
    await a.mesh.stop();
    await clock.advance(1);
    expect(b.mesh.peers()).toEqual([]);
    expect((await rejectionOf(a.mesh.dial('b')))?.code).toBe('stopped');
  });
});

async function ask2(
  clock: ReturnType<typeof createManualClock>,
  a: TestNode,
  b: TestNode,
  protocol: string,
  bytes = utf8('x'),
) {
  return clock.settle(rejectionOf(a.mesh.peer(b.nodeId)!.request(protocol, bytes)));
}

async function collect(items: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const item of items) all.push(item);
  return all;
}
