// Several nodes on a network that delays, cuts and hides, on virtual time from one seed.

import { describe, expect, it } from 'vitest';
import { toHex, utf8 } from '../../../src/core/bytes.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { createTestMesh, START_MS } from '../../support/mesh.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const NAMES = ['n0', 'n1', 'n2', 'n3', 'n4'];
const REPLICATE = '/kith/replicate/1';

async function run(seed: string): Promise<{ trace: string[]; connected: number[]; answered: number }> {
  const clock = createManualClock(START_MS);
  const world = createTestMesh(clock);
  const chance = seededRandom(seed);
  const roll = (sides: number) => chance.bytes(1)[0]! % sides;
  const trace: string[] = [];
  const nodes = NAMES.map((name) => world.node(name, { mesh: { bootstrap: ['n0', 'n1'] } }));
  for (const node of nodes) {
    node.mesh.handle(REPLICATE, {}, async (request) => request);
    node.mesh.onChange((change) => {
      const other = change.kind === 'down' ? `${change.nodeId} ${change.reason.code}` : change.peer.attested.nodeId;
      trace.push(`${clock.monotonic()} ${node.name} ${change.kind} ${other}`);
    });
    await node.mesh.start({});
  }
  let mute = '';
  world.network.faults.chunk = ({ from }) => (from === mute ? { copies: 0 } : { delayMs: roll(80) });
  world.network.faults.dial = () => roll(10) > 0;
  let answered = 0;
  for (let second = 0; second < 60; second += 2) {
    await clock.advance(2_000);
    if (roll(4) === 0) world.network.cut(NAMES[roll(5)]!, NAMES[roll(5)]!);
    if (roll(8) === 0) mute = roll(2) === 0 ? NAMES[roll(5)]! : '';
    for (const peer of nodes[roll(5)]!.mesh.peers()) {
      peer.request(REPLICATE, utf8('still there?')).then(
        () => answered++,
        () => undefined,
      );
    }
  }
  world.network.faults.chunk = () => ({ delayMs: 5 });
  delete world.network.faults.dial;
  await clock.advance(180_000);
  const connected = nodes.map(({ mesh }) => mesh.peers().length);
  for (const { mesh } of nodes) await mesh.stop();
  return { trace, connected, answered };
}

describe('a mesh on a troubled network', () => {
  it('is whole again when the trouble is over, and goes the same way twice from the same seed', async () => {
    for (const seed of ['a', 'b', 'c']) {
      const first = await run(seed);
      expect(first.connected, `seed ${seed}`).toEqual([4, 4, 4, 4, 4]);
      expect(first.answered).toBeGreaterThan(10);
      expect(first.trace.some((line) => line.includes(' down '))).toBe(true);
      expect((await run(seed)).trace).toEqual(first.trace);
    }
  });

  it('goes other ways from other seeds', async () => {
    const traces = [(await run('d')).trace, (await run('e')).trace].map((trace) => toHex(utf8(trace.join('\n'))));
    expect(traces[0]).not.toBe(traces[1]);
  });
});
