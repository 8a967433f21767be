// The attested mesh: whole handshakes, requests per second over an attested connection, and how long a node takes to get
// its sealing key back, in memory and over libp2p on loopback. Quotes are simulated: made and verified, both ends in one
// process and so on one core. A real quoting service adds its own time to each quote.

import type { Clock } from '../src/core/ports.ts';
import { systemClock, systemRandom } from '../src/core/system.ts';
import { createLibp2pTransport, type Transport } from '../src/p2p/index.ts';
import { createTestMesh, START_MS, type TestNode } from '../test/support/mesh.ts';
import { type KeyReleaseTimes, keyRelease } from './key-release.ts';
import { medianOf, until } from './report.ts';

/** Real waiting, at a time at which the simulated certificates are valid. */
export const meshClock: Clock = { ...systemClock, now: () => START_MS + systemClock.monotonic() };

const PROTOCOL = '/kith/replicate/1';
/** A replicated batch is at most four times this. */
const LARGE_BYTES = 65_536;
const SMALL_BYTES = 64;
const IN_FLIGHT = [1, 16];
const KEY_SERVERS = [1, 3, 5];
const PLACES = ['memory', 'libp2p'] as const;
export type Place = (typeof PLACES)[number];

interface Sizes {
  /** Handshakes of each kind: below what a node lets one host begin at once (src/p2p/limits.ts). */
  readonly handshakes: number;
  readonly rpcMs: number;
  readonly releases: number;
}
const SIZES: Sizes = { handshakes: 20, rpcMs: 3_000, releases: 15 };
const QUICK: Sizes = { handshakes: 5, rpcMs: 500, releases: 3 };

export async function benchMesh(options: { quick: boolean }): Promise<void> {
  const sizes = options.quick ? QUICK : SIZES;
  await benchHandshakes(sizes);
  await benchRequests(sizes);
  await benchKeyRelease(sizes);
}

/** Nodes that can reach one another at one kind of place. */
function createNodes(place: Place) {
  const test = createTestMesh(meshClock);
  const made: TestNode[] = [];
  return {
    async node(name: string): Promise<TestNode> {
      const transport: { transport?: Transport } =
        place === 'memory'
          ? {}
          : { transport: await createLibp2pTransport({ random: systemRandom }, { listen: ['/ip4/127.0.0.1/tcp/0'] }) };
      const node = test.node(name, transport);
      node.mesh.handle(PROTOCOL, {}, async (request) => request);
      await node.mesh.start({});
      made.push(node);
      return node;
    },
    async stop(): Promise<void> {
      await Promise.all(made.splice(0).map(({ mesh }) => mesh.stop()));
    },
  };
}

const addressOf = ({ transport }: TestNode) => transport.addresses()[0]!;
const met = (...nodes: readonly TestNode[]) => nodes.every(({ mesh }) => mesh.peers().length === 1);
const apart = (...nodes: readonly TestNode[]) => nodes.every(({ mesh }) => mesh.peers().length === 0);

/** From the dial until both have attested the other. */
async function timeHandshake(from: TestNode, to: TestNode): Promise<number> {
  const began = performance.now();
  await from.mesh.dial(addressOf(to));
  await until(() => met(from, to));
  return performance.now() - began;
}

async function handshakes(place: Place, count: number): Promise<{ first: number; again: number }> {
  const first: number[] = [];
  const again: number[] = [];
  for (let i = 0; i < count; i++) {
    const nodes = createNodes(place);
    const [a, b] = [await nodes.node(`a${i}`), await nodes.node(`b${i}`)];
    first.push(await timeHandshake(a, b));
    a.mesh.meetAgain();
    await until(() => apart(a, b));
    again.push(await timeHandshake(a, b));
    await nodes.stop();
  }
  return { first: medianOf(first), again: medianOf(again) };
}

async function benchHandshakes({ handshakes: count }: Sizes): Promise<void> {
  await handshakes('memory', 2);
  const rows: Record<string, string | number>[] = [];
  for (const place of PLACES) {
    const { first, again } = await handshakes(place, count);
    rows.push({ over: place, 'first, median ms': first.toFixed(1), 'again, median ms': again.toFixed(1), runs: count });
  }
  console.log('\nHandshakes (two quotes made, two verified; again: with the collateral verified before)');
  console.table(rows);
}

/** Requests per second with so many in flight, each answer as long as its request. */
async function requestsPerSecond(from: TestNode, to: TestNode, bytes: number, inFlight: number, ms: number) {
  const peer = from.mesh.peer(to.nodeId)!;
  const payload = systemRandom.bytes(bytes);
  const times: number[] = [];
  const began = performance.now();
  const worker = async () => {
    while (performance.now() - began < ms) {
      const at = performance.now();
      const answer = await peer.request(PROTOCOL, payload);
      if (answer.length !== bytes) throw new Error(`asked with ${bytes} bytes, answered with ${answer.length}`);
      times.push(performance.now() - at);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return { perSecond: (1_000 * times.length) / (performance.now() - began), median: medianOf(times) };
}

async function benchRequests({ rpcMs }: Sizes): Promise<void> {
  const rows: Record<string, string | number>[] = [];
  const inMemory = new Map<string, number>();
  for (const place of PLACES) {
    const nodes = createNodes(place);
    const [a, b] = [await nodes.node('a'), await nodes.node('b')];
    await timeHandshake(a, b);
    await requestsPerSecond(a, b, SMALL_BYTES, 1, rpcMs / 4);
    for (const bytes of [SMALL_BYTES, LARGE_BYTES]) {
      for (const inFlight of IN_FLIGHT) {
        const { perSecond, median } = await requestsPerSecond(a, b, bytes, inFlight, rpcMs);
        const what = `${bytes} ${inFlight}`;
        if (place === 'memory') inMemory.set(what, perSecond);
        rows.push({
          over: place,
          bytes,
          'in flight': inFlight,
          'per second': Math.round(perSecond),
          'MB/s each way': Number(((perSecond * bytes) / 1e6).toFixed(1)),
          'median ms': Number(median.toFixed(2)),
          'of memory': (perSecond / inMemory.get(what)!).toFixed(2),
        });
      }
    }
    await nodes.stop();
  }
  console.log('\nRequests over one attested connection (sealed both ways, the answer as long as the request)');
  console.table(rows);
}

async function benchKeyRelease({ releases }: Sizes): Promise<void> {
  const rows: Record<string, string | number>[] = [];
  for (const place of PLACES) {
    for (const servers of KEY_SERVERS) {
      const times: KeyReleaseTimes[] = await keyRelease({ clock: meshClock, place, servers, runs: releases });
      const median = (of: (times: KeyReleaseTimes) => number) => Number(medianOf(times.map(of)).toFixed(1));
      rows.push({
        over: place,
        'key servers': servers,
        'shares needed': times[0]!.threshold,
        'to meet them, ms': median(({ meetMs }) => meetMs),
        'from there to the key, ms': median(({ releaseMs }) => releaseMs),
        runs: releases,
      });
    }
  }
  console.log('\nA restarted node gets its sealing key back (medians; a fresh quote for each key server)');
  console.table(rows);
}
