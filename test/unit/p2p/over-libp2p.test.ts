import { afterEach, describe, expect, it } from 'vitest';
import { simulatedMeasurements } from '../../../src/attestation/simulated/quote.ts';
import { utf8 } from '../../../src/core/bytes.ts';
import type { Clock } from '../../../src/core/ports.ts';
import { systemClock, systemRandom } from '../../../src/core/system.ts';
import { attestationRefusalOf, createLibp2pTransport } from '../../../src/p2p/index.ts';
import { createTestMesh, START_MS, type TestNode, type TestNodeOptions } from '../../support/mesh.ts';
import { rejectionOf } from '../../support/outcome.ts';

const REPLICATE = '/kith/replicate/1';
const SNAPSHOT = '/kith/snapshot/1';

/** Real waiting, at a time at which the simulated certificates are valid. */
const clock: Clock = {
  ...systemClock,
  now: () => START_MS + systemClock.monotonic(),
};

describe('the mesh over libp2p on loopback', () => {
  const nodes: TestNode[] = [];
  afterEach(async () => {
    await Promise.all(nodes.splice(0).map(({ mesh }) => mesh.stop()));
  });

  async function node(name: string, options: TestNodeOptions = {}): Promise<TestNode> {
    const transport = await createLibp2pTransport({ random: systemRandom }, { listen: ['/ip4/127.0.0.1/tcp/0'] });
    const made = createTestMesh(clock).node(name, { ...options, transport });
    await made.mesh.start({});
    nodes.push(made);
    return made;
  }
  const addressOf = ({ transport }: TestNode) => transport.addresses()[0]!;
  const until = async (met: () => boolean) => {
    while (!met()) await new Promise((resolve) => setTimeout(resolve, 20));
  };

  it('attests, answers many requests of the largest size both ways, and streams', async () => {
    const [a, b] = [await node('a'), await node('b')];
    for (const { mesh } of [a, b]) {
      mesh.handle(REPLICATE, {}, async (request) => request);
      mesh.handleBulk(SNAPSHOT, {}, async function* () {
        for (let i = 0; i < 40; i++) yield new Uint8Array(262_144).fill(i);
      });
    }
    const attested = await a.mesh.dial(addressOf(b));
    expect(attested).toMatchObject({ nodeId: b.nodeId, bootKey: b.bootKey, operator: 'op-b' });
    await until(() => b.mesh.peers().length === 1);
    const ask = async (from: TestNode, to: TestNode) => {
      const asked = Array.from({ length: 20 }, (_, i) =>
        from.mesh.peer(to.nodeId)!.request(REPLICATE, new Uint8Array(262_144).fill(i), { timeoutMs: 60_000 }),
      );
      expect((await Promise.all(asked)).map((answer) => answer[1])).toEqual(asked.map((_, i) => i));
    };
    const stream = async (from: TestNode, to: TestNode) => {
      let count = 0;
      for await (const item of from.mesh.peer(to.nodeId)!.openBulk(SNAPSHOT, new Uint8Array(0))) {
        expect(item[0]).toBe(count++);
      }
      expect(count).toBe(40);
    };
    await Promise.all([ask(a, b), ask(b, a), stream(a, b), stream(b, a)]);
    // Streams that are done do not count: a hundred one after another are no problem.
    for (let i = 0; i < 100; i++) {
      for await (const item of a.mesh.peer(b.nodeId)!.openBulk(SNAPSHOT, new Uint8Array(0))) {
        expect(item).toHaveLength(262_144);
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(a.mesh.peers()).toHaveLength(1);
  });

  it('refuses wrongly measured code, and says so to it', async () => {
    const a = await node('a', { measurements: simulatedMeasurements('other', utf8('other build')) });
    const b = await node('b');
    const refused = await rejectionOf(a.mesh.dial(addressOf(b)));
    expect(attestationRefusalOf(refused)?.code).toBe('policy-measurement');
    expect(b.mesh.peers()).toEqual([]);
  });

  it('cuts a stranger that opens anything but the handshake', async () => {
    const b = await node('b');
    const stranger = await createLibp2pTransport({ random: systemRandom }, { listen: [] });
    await stranger.start({});
    const { signal } = new AbortController();
    const connection = await stranger.dial(addressOf(b), { signal });
    await connection.openStream(REPLICATE, { signal }).catch(() => undefined);
    await until(() => connection.closed.aborted);
    expect(b.reports).toEqual([
      expect.objectContaining({ reason: expect.objectContaining({ code: 'not-attested' }), host: '127.0.0.1' }),
    ]);
    await stranger.stop();
  });

  it('founds a mesh of four from addresses without identities, dialled by all at once', async () => {
    const first = await node('n0');
    const bootstrap = [addressOf(first)];
    const others = await Promise.all(['n1', 'n2', 'n3'].map((name) => node(name, { mesh: { bootstrap } })));
    await until(() => [first, ...others].every(({ mesh }) => mesh.peers().length === 3));
  });

  it('notices that a node is gone', async () => {
    const [a, b] = [await node('a'), await node('b')];
    await a.mesh.dial(addressOf(b));
    await until(() => b.mesh.peers().length === 1);
    await b.mesh.stop();
    await until(() => a.mesh.peers().length === 0);
  });
});
