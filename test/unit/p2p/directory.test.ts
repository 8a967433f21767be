import { describe, expect, it } from 'vitest';
import { KithError } from '../../../src/core/errors.ts';
import { type NodeId, nodeIdFromBytes } from '../../../src/core/ids.ts';
import { ADDRESSES_MAX, createDirectory } from '../../../src/p2p/directory.ts';
import { decodeMember, encodeMember, isAddress } from '../../../src/p2p/member.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { codeOf } from '../../support/outcome.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const node = (value: number) => nodeIdFromBytes(new Uint8Array(32).fill(value));

function world(bootstrap: string[] = [], answers: Record<string, NodeId | 'self'> = {}) {
  const clock = createManualClock();
  const dials: { address: string; atMs: number }[] = [];
  const up = new Set<NodeId>();
  const directory = createDirectory(
    {
      clock,
      random: seededRandom('directory'),
      async dial(address) {
        dials.push({ address, atMs: clock.monotonic() });
        const answer = answers[address];
        if (answer === 'self') throw new KithError('dialled-self', 'that is this node');
        if (answer === undefined) throw new KithError('unreachable', 'nobody');
        up.add(answer);
        return answer;
      },
      connected: (nodeId) => up.has(nodeId),
    },
    { bootstrap },
  );
  directory.start();
  return { clock, dials, up, directory, answers };
}

describe('the directory', () => {
  it('dials a dead address with growing pauses, a minute at most, and never forgets a configured one', async () => {
    const { clock, dials, directory } = world(['x']);
    await clock.advance(3_600_000);
    const pauses = dials.map(({ atMs }, i) => atMs - (dials[i - 1]?.atMs ?? 0)).slice(1);
    expect(pauses[0]).toBeLessThan(3_000);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(60_500);
    expect(Math.min(...pauses.slice(8))).toBeGreaterThanOrEqual(30_000);
    expect(new Set(pauses.slice(8)).size).toBeGreaterThan(10);
    expect(directory.size).toBe(1);
  });

  it('dials itself once', async () => {
    const { clock, dials } = world(['me'], { me: 'self' });
    await clock.advance(3_600_000);
    expect(dials).toHaveLength(1);
  });

  it('dials no connected node, and soon one that was lost', async () => {
    const { clock, dials, up } = world(['x'], { x: node(1) });
    await clock.advance(60_000);
    expect(dials).toHaveLength(1);
    up.clear();
    await clock.advance(2_000);
    expect(dials).toHaveLength(2);
  });

  it('forgets a learnt address that never answers', async () => {
    const { clock, directory } = world();
    directory.learn(['x']);
    await clock.advance(3_600_000);
    expect(directory.size).toBe(0);
  });

  it('forgets a learnt address that nobody mentioned for a day', async () => {
    const { clock, directory, up, answers } = world([], { x: node(1) });
    directory.learn(['x']);
    await clock.advance(5_000);
    expect(directory.known()).toEqual(['x']);
    up.clear();
    delete answers['x'];
    await clock.advance(86_400_000 + 60_000);
    expect(directory.size).toBe(0);
  });

  it('remembers a bounded number, and gives up no answering address for one that was only named', async () => {
    const answers = Object.fromEntries(Array.from({ length: ADDRESSES_MAX }, (_, i) => [`good ${i}`, node(i % 200)]));
    const { clock, directory } = world([], answers);
    directory.learn(Object.keys(answers));
    await clock.advance(120_000);
    directory.learn(Array.from({ length: 1_000 }, (_, i) => `bad ${i}`));
    expect(directory.size).toBe(ADDRESSES_MAX);
    expect(directory.known()).toHaveLength(ADDRESSES_MAX);
  });

  it('lets no member silence an address by calling it its own', async () => {
    const { clock, directory, dials, up } = world([], { x: node(2) });
    up.add(node(1));
    directory.owns(node(1), ['x']);
    await clock.advance(300_000);
    expect(dials).toHaveLength(0);
    await clock.advance(400_000);
    expect(dials).toHaveLength(1);
  });

  it('dials what a member called its own as soon as that member is lost', async () => {
    const { clock, directory, dials, up } = world([], { x: node(1) });
    up.add(node(1));
    directory.owns(node(1), ['x']);
    await clock.advance(10_000);
    up.clear();
    await clock.advance(3_000);
    expect(dials).toHaveLength(1);
  });

  it('dials nothing after it stopped', async () => {
    const { clock, directory, dials } = world(['x']);
    directory.stop();
    await clock.advance(60_000);
    expect(dials).toHaveLength(0);
  });
});

describe('a member note', () => {
  it('survives the wire, without addresses that others would refuse', () => {
    const note = { phase: 'ready', height: 7, addresses: ['a', 'b c', 'x'.repeat(161)], known: ['d'] };
    expect(decodeMember(encodeMember(note))).toEqual({ phase: 'ready', height: 7, addresses: ['a'], known: ['d'] });
    const none = { phase: 'ready', height: undefined, addresses: [], known: [] };
    expect(decodeMember(encodeMember(none))).toEqual({ phase: 'ready', addresses: [], known: [] });
    expect(['/ip4/1.2.3.4/tcp/1', '', 'ä', 'a\n'].map(isAddress)).toEqual([true, false, false, false]);
  });

  it('keeps its lists short', () => {
    const many = Array.from({ length: 100 }, (_, i) => `a${i}`);
    const note = decodeMember(encodeMember({ phase: 'ready', addresses: many, known: many }));
    expect([note.addresses.length, note.known.length]).toEqual([8, 64]);
    expect(codeOf(() => decodeMember(new Uint8Array(20_000)))).toBe('too-large');
  });
});
