import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSimulatedSource, type QuoteSource } from '../../../src/attestation/index.ts';
import { simulatedMeasurements, simulatedQuote } from '../../../src/attestation/simulated/quote.ts';
import { concatBytes, utf8 } from '../../../src/core/bytes.ts';
import { encodeCbor } from '../../../src/core/cbor.ts';
import { KithError } from '../../../src/core/errors.ts';
import { idBytes } from '../../../src/core/ids.ts';
import { createFrameReader, createFrameWriter } from '../../../src/p2p/frames.ts';
import { runHandshake } from '../../../src/p2p/handshake/handshake.ts';
import { ATTEST_PROTOCOL, type Evidence, readMessage, sendMessage } from '../../../src/p2p/handshake/messages.ts';
import type { HandshakeDeps, HandshakeOutcome } from '../../../src/p2p/handshake/ports.ts';
import { attestationRefusalOf, createMemoryNetwork } from '../../../src/p2p/index.ts';
import type { ByteStream } from '../../../src/p2p/stream.ts';
import { flipped, measurements, pki } from '../../support/attestation.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import {
  createTestMesh,
  handshakeDeps,
  otherCluster,
  policyOf,
  START_MS,
  successorOf,
  type TestNodeOptions,
  testCluster,
} from '../../support/mesh.ts';
import { rejectionOf } from '../../support/outcome.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const bootKey = (value: number) => new Uint8Array(32).fill(value);
const [BOOT_A, BOOT_B, BOOT_M] = [bootKey(1), bootKey(2), bootKey(3)];

/** A stream between two boot keys. */
async function streams(clock: ManualClock, from = BOOT_A, to = BOOT_B): Promise<[ByteStream, ByteStream]> {
  const network = createMemoryNetwork({ clock });
  const near = network.transport({ bootKey: from, address: 'near' });
  const far = network.transport({ bootKey: to, address: 'far' });
  let there!: ByteStream;
  far.onConnection((connection) =>
    connection.onStream((_protocol, stream) => {
      there = stream;
    }),
  );
  await far.start({});
  const { signal } = new AbortController();
  const here = await (await near.dial('far', { signal })).openStream(ATTEST_PROTOCOL, { signal });
  return [here, there];
}

interface Side {
  readonly deps: HandshakeDeps;
  readonly own: Uint8Array;
  readonly peer: Uint8Array;
}

const run = (role: 'initiator' | 'responder', stream: ByteStream, { deps, own, peer }: Side) =>
  runHandshake(
    deps,
    stream,
    { role, ownBootKey: own, peerBootKey: peer, established: () => undefined },
    { signal: new AbortController().signal },
  );

const verdict = (outcome: HandshakeOutcome) =>
  outcome.kind === 'attested' ? 'attested' : `${outcome.by}: ${outcome.code}`;

/** Outcomes of both sides: as `us: code` or `peer: code`. */
async function meet(clock: ManualClock, a: TestNodeOptions = {}, b: TestNodeOptions = {}): Promise<string[]> {
  const [here, there] = await streams(clock);
  const both = Promise.all([
    run('initiator', here, { deps: handshakeDeps(clock, 'a', a), own: BOOT_A, peer: BOOT_B }),
    run('responder', there, { deps: handshakeDeps(clock, 'b', b), own: BOOT_B, peer: BOOT_A }),
  ]);
  return (await clock.settle(both)).map(verdict);
}

describe('the handshake', () => {
  it('attests both sides', async () => {
    expect(await meet(createManualClock(START_MS))).toEqual(['attested', 'attested']);
  });

  it('refuses a node of another cluster, and says so to it', async () => {
    const clock = createManualClock(START_MS);
    expect(await meet(clock, { cluster: otherCluster })).toEqual(['peer: other-cluster', 'us: other-cluster']);
  });

  it('refuses a node with other measurements, in either role', async () => {
    const clock = createManualClock(START_MS);
    const wrong = { measurements: simulatedMeasurements('other', utf8('other build')) };
    expect(await meet(clock, wrong)).toEqual(['peer: policy-measurement', 'us: policy-measurement']);
    expect(await meet(clock, {}, wrong)).toEqual(['us: policy-measurement', 'peer: policy-measurement']);
  });

  it('refuses a trust domain in debug mode', async () => {
    const clock = createManualClock(START_MS);
    const platform = pki.platform({ operator: 'op-a', name: 'a' });
    const source: QuoteSource = {
      kind: 'simulated',
      quote: async (reportData) =>
        simulatedQuote(platform, { reportData, measurements, tdAttributes: '0100001000000000' }),
    };
    expect(await meet(clock, { source })).toEqual(['peer: policy-debug', 'us: policy-debug']);
  });

  it('refuses when certificates have expired', async () => {
    const clock = createManualClock(START_MS + 100 * 365 * 86_400_000);
    const [, b] = await meet(clock);
    expect(b).toMatch(/^us: (collateral-unavailable|certificate-time|tcb-info-time)$/);
  });

  it('refuses a node whose quote was made earlier, for other nonces', async () => {
    const clock = createManualClock(START_MS);
    let replayed: Uint8Array | undefined;
    const source = createSimulatedSource({ clock }, pki.platform({ operator: 'op-a', name: 'a' }), measurements);
    // Its quoter does not look at what it got: the attacker runs its own software outside the trust domain.
    const wrap = (deps: HandshakeDeps): HandshakeDeps => ({
      ...deps,
      quoter: {
        async quote(claim, given) {
          replayed ??= await deps.quoter.quote(claim, given);
          return replayed;
        },
      },
    });
    expect(await meet(clock, { source, wrap })).toEqual(['attested', 'attested']);
    const otherNonces = { wrap: (deps: HandshakeDeps) => ({ ...deps, random: seededRandom('later') }) };
    expect(await meet(clock, { source, wrap }, otherNonces)).toEqual(['peer: report-data', 'us: report-data']);
  });

  it('refuses evidence that is too late for its nonce', async () => {
    const clock = createManualClock(START_MS);
    const wrap = (deps: HandshakeDeps): HandshakeDeps => ({ ...deps, quoter: { quote: () => new Promise(() => {}) } });
    const outcomes = await meet(clock, { wrap });
    expect(outcomes).toContain('us: timeout');
    expect(clock.monotonic()).toBeGreaterThanOrEqual(30_000);
    expect(clock.monotonic()).toBeLessThan(35_000);
  });

  it('counts the life of a nonce by the clock, not by the timer', async () => {
    const clock = createManualClock(START_MS);
    let late = 0;
    const wrap = (deps: HandshakeDeps): HandshakeDeps => ({
      ...deps,
      clock: { ...clock, monotonic: () => clock.monotonic() + late, now: clock.now, schedule: clock.schedule },
      attestor: {
        attest(...given) {
          late = 30_000;
          return deps.attestor.attest(...given);
        },
      },
    });
    expect((await meet(clock, {}, { wrap }))[1]).toBe('us: nonce-expired');
  });

  it('refuses its own quote, node id, key, and nonce when they come back', async () => {
    const clock = createManualClock(START_MS);
    const deps = handshakeDeps(clock, 'b');
    expect(verdict(await against(clock, deps, { evidence: (own) => own }))).toBe('us: reflected');
    const others = { nodeId: new Uint8Array(32).fill(9), hpkeKey: new Uint8Array(32).fill(9) };
    expect(verdict(await against(clock, deps, { evidence: (own) => ({ ...own, nodeId: others.nodeId }) }))).toBe(
      'us: reflected',
    );
    expect(verdict(await against(clock, deps, { evidence: (own) => ({ ...own, ...others }) }))).toBe('us: report-data');
    expect(verdict(await against(clock, deps, { echoNonce: true }))).toBe('us: reflected');
  });

  it('refuses messages that are no messages, each with its reason', async () => {
    const clock = createManualClock(START_MS);
    const hello = {
      kind: 'hello',
      version: 1,
      clusterId: idBytes(testCluster.id),
      configurationHash: testCluster.hash,
      configurationVersion: 1,
      nonce: bootKey(9),
    };
    const cases: [string, Uint8Array][] = [
      ['us: version', encodeCbor({ ...hello, version: 2 })],
      ['us: malformed-message', encodeCbor({ ...hello, more: 1 })],
      ['us: malformed-message', encodeCbor({ ...hello, nonce: new Uint8Array(31) })],
      ['us: malformed-message', concatBytes(encodeCbor(hello), Uint8Array.of(0))],
      ['us: malformed-message', new Uint8Array(20_481)],
      ['us: configuration-fork', encodeCbor({ ...hello, configurationHash: bootKey(5) })],
    ];
    for (const [expected, message] of cases) {
      const [here, there] = await streams(clock);
      const outcome = run('responder', there, { deps: handshakeDeps(clock, 'b'), own: BOOT_B, peer: BOOT_A });
      await createFrameWriter(here).write(message);
      expect(verdict(await clock.settle(outcome))).toBe(expected);
    }
  });

  it('gives up a peer that says nothing after five seconds', async () => {
    const clock = createManualClock(START_MS);
    const [, there] = await streams(clock);
    const outcome = run('responder', there, { deps: handshakeDeps(clock, 'b'), own: BOOT_B, peer: BOOT_A });
    expect(verdict(await clock.settle(outcome))).toBe('us: timeout');
    expect(clock.monotonic()).toBeLessThan(7_000);
  });

  it('makes no quote for an initiator that has not proven itself', async () => {
    const clock = createManualClock(START_MS);
    let quotes = 0;
    const wrap = (deps: HandshakeDeps): HandshakeDeps => ({
      ...deps,
      quoter: {
        quote(claim, given) {
          quotes++;
          return deps.quoter.quote(claim, given);
        },
      },
    });
    await meet(clock, { measurements: simulatedMeasurements('other', utf8('other build')) }, { wrap });
    expect(quotes).toBe(0);
    await meet(clock, {}, { wrap });
    expect(quotes).toBe(1);
  });

  it('says why, when no quote can be made or the keys of another boot are named', async () => {
    const clock = createManualClock(START_MS);
    const wrap = (deps: HandshakeDeps): HandshakeDeps => ({
      ...deps,
      quoter: { quote: () => Promise.reject(new KithError('quotes-busy', 'later')) },
    });
    expect(await meet(clock, { wrap })).toEqual(['us: no-quote', 'peer: no-quote']);
    const admit = () => ({ code: 'incarnation-lower', message: 'there is a newer boot' });
    expect(await meet(clock, {}, { admit })).toEqual(['peer: incarnation-lower', 'us: incarnation-lower']);
  });
});

/** Plays the responder's counterpart by hand: takes its evidence from `deps` itself and changes it. */
async function against(
  clock: ManualClock,
  deps: HandshakeDeps,
  { evidence, echoNonce = false }: { evidence?: (own: Evidence) => Evidence; echoNonce?: boolean },
): Promise<HandshakeOutcome> {
  const [here, there] = await streams(clock, BOOT_B, BOOT_A);
  const outcome = run('initiator', here, { deps, own: BOOT_B, peer: BOOT_A });
  const play = async () => {
    const [reader, writer] = [createFrameReader(there), createFrameWriter(there)];
    const hello = (await readMessage(reader, 'hello'))!;
    await sendMessage(writer, echoNonce ? hello : { ...hello, nonce: bootKey(77) });
    const own = await readMessage(reader, 'evidence');
    if (own && evidence) await sendMessage(writer, evidence(own));
  };
  void play().catch(() => undefined);
  return clock.settle(outcome);
}

describe('a relay with its own boot key between two genuine nodes', () => {
  it('gets neither of them to believe the other through it', async () => {
    const clock = createManualClock(START_MS);
    // A dials M, M dials B, and passes every byte on.
    const [a, towardsA] = await streams(clock, BOOT_A, BOOT_M);
    const [towardsB, b] = await streams(clock, BOOT_M, BOOT_B);
    for (const [from, to] of [
      [towardsA, towardsB],
      [towardsB, towardsA],
    ] as const) {
      const pass = async () => {
        for (let chunk = await from.read(); chunk; chunk = await from.read()) await to.write(chunk);
        await to.closeWrite();
      };
      void pass().catch(() => undefined);
    }
    const outcomes = await clock.settle(
      Promise.all([
        run('initiator', a, { deps: handshakeDeps(clock, 'a'), own: BOOT_A, peer: BOOT_M }),
        run('responder', b, { deps: handshakeDeps(clock, 'b'), own: BOOT_B, peer: BOOT_M }),
      ]),
    );
    expect(outcomes.map(verdict)).toEqual(['peer: report-data', 'us: report-data']);
  });
});

describe('nodes with different versions of the configuration', () => {
  const second = successorOf(testCluster, { confirmations: 2 });
  const third = successorOf(second, { confirmations: 3 });

  it('end up with the newest, whoever dials', async () => {
    for (const [older, newer] of [
      ['a', 'b'],
      ['b', 'a'],
    ]) {
      const clock = createManualClock(START_MS);
      const world = createTestMesh(clock);
      const nodes = ['a', 'b'].map((name) => world.node(name, name === newer ? { cluster: third } : {}));
      for (const { mesh } of nodes) await mesh.start({});
      const attested = await clock.settle(nodes[0]!.mesh.dial('b'));
      expect(attested.configurationHash).toEqual(third.hash);
      expect(nodes.find(({ name }) => name === older)!.cluster.hash).toEqual(third.hash);
    }
  });

  it('refuse a fork, and a successor that is not signed', async () => {
    const clock = createManualClock(START_MS);
    const fork = successorOf(testCluster, { confirmations: 5 });
    expect(await meet(clock, { cluster: second }, { cluster: fork })).toContain('us: configuration-fork');
    const forged = { ...second, versions: second.versions.map((version) => ({ ...version, signatures: [] })) };
    expect(await meet(clock, {}, { cluster: forged })).toEqual([
      'us: configuration-refused',
      'peer: configuration-refused',
    ]);
    expect(await meet(clock, { cluster: fork }, { cluster: third })).toContain('us: configuration-fork');
  });

  it('refuse what the node does not adopt, and evidence under the older version', async () => {
    const clock = createManualClock(START_MS);
    const adopt = () => Promise.reject(new KithError('store', 'the disk is full'));
    expect((await meet(clock, { adopt }, { cluster: second }))[0]).toBe('us: configuration-refused');
    // It takes the successor and goes on proving itself under the old one.
    const wrap = (deps: HandshakeDeps): HandshakeDeps => ({
      ...deps,
      quoter: {
        quote: (claim, given) => deps.quoter.quote({ ...claim, configurationHash: testCluster.hash }, given),
      },
    });
    expect((await meet(clock, { wrap }, { cluster: second }))[1]).toBe('us: report-data');
  });

  it('catch up over several handshakes when many versions behind', async () => {
    const clock = createManualClock(START_MS);
    let newest = testCluster;
    for (let i = 0; i < 20; i++) newest = successorOf(newest, { confirmations: 2 + (i % 2) });
    const world = createTestMesh(clock);
    const a = world.node('a');
    const b = world.node('b', { cluster: newest });
    for (const { mesh } of [a, b]) await mesh.start({});
    const refused = await clock.settle(rejectionOf(a.mesh.dial('b')));
    expect(attestationRefusalOf(refused)?.code).toBe('configuration-behind');
    expect(a.cluster.configuration.version).toBe(17);
    await clock.settle(a.mesh.dial('b'));
    expect(a.cluster.hash).toEqual(newest.hash);
  });

  it('part when the new configuration excludes one of them', async () => {
    const clock = createManualClock(START_MS);
    const world = createTestMesh(clock);
    const [a, b] = [world.node('a'), world.node('b')];
    for (const { mesh } of [a, b]) await mesh.start({});
    await clock.settle(a.mesh.dial('b'));
    await clock.advance(10);
    b.cluster = successorOf(testCluster, {
      policy: policyOf(simulatedMeasurements('next', utf8('next build'))),
    });
    b.mesh.reexamine();
    // The side that dialled hears of the new version with a heartbeat, and asks for it as soon as it may.
    await clock.advance(17_000);
    expect(b.mesh.peers()).toEqual([]);
    expect(b.changes.at(-1)).toMatchObject({ reason: { code: 'attestation-refused' } });
    expect(b.changes.at(-1)).toMatchObject({ reason: { message: expect.stringContaining('policy-measurement') } });
  });

  it('renew at once under a configuration that still believes both', async () => {
    const clock = createManualClock(START_MS);
    const world = createTestMesh(clock);
    const [a, b] = [world.node('a'), world.node('b')];
    for (const { mesh } of [a, b]) await mesh.start({});
    await clock.settle(a.mesh.dial('b'));
    await clock.advance(20_000);
    a.cluster = second;
    a.mesh.reexamine();
    await clock.advance(1_000);
    expect(b.cluster.hash).toEqual(second.hash);
    expect(b.mesh.peer(a.nodeId)!.attested.configurationHash).toEqual(second.hash);
    await clock.advance(120_000);
    expect(b.changes.map(({ kind }) => kind)).toEqual(['up']);
  });
});

/** Node id, HPKE key and incarnation at the end of an evidence message. */
const CLAIMS_BYTES = 94;

describe('a handshake with one bit changed on the way', () => {
  it('attests nobody to anybody, or makes keys that open nothing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(7), fc.nat(1 << 20), async (nth, at) => {
        const clock = createManualClock(START_MS);
        const world = createTestMesh(clock);
        const [a, b] = [world.node('a'), world.node('b')];
        for (const { mesh } of [a, b]) await mesh.start({});
        let count = 0;
        let changed = false;
        world.network.faults.chunk = ({ protocol, bytes }) => {
          if (protocol !== ATTEST_PROTOCOL || count++ !== nth) return undefined;
          changed = true;
          // Of evidence its claims, which are its end: changes to quotes are tried with the verifier, and some of its
          // bytes are signed by nobody and mean nothing.
          const from = bytes.length > CLAIMS_BYTES + 1_000 ? bytes.length - CLAIMS_BYTES : 0;
          return { bytes: flipped(bytes, 8 * from + (at % (8 * (bytes.length - from)))) };
        };
        const failed = await clock.settle(rejectionOf(a.mesh.dial('b')));
        delete world.network.faults.chunk;
        expect(changed).toBe(true);
        // Whatever it was, the two have no working connection that was attested through it.
        await clock.advance(40_000);
        if (!failed) expect(a.changes[1]).toMatchObject({ kind: 'down' });
      }),
      { numRuns: fuzzRuns(40) },
    );
  });
});
