import { describe, expect, it } from 'vitest';
import { nodeIdFromBytes } from '../../../src/core/ids.ts';
import { quorumInfo, rosterInfo } from '../../../src/node/standing.ts';

const entry = (value: number, platform = `platform ${value}`) => ({
  nodeId: nodeIdFromBytes(new Uint8Array(32).fill(value)),
  platform,
  operator: `op-${value}`,
});
const [a, b, c, stranger] = [entry(1), entry(2), entry(3), entry(9)] as const;

describe('the quorum', () => {
  it('is a majority of the roster, whoever is reachable', () => {
    const around = { entries: [a, b, c], self: a.nodeId, serving: true };
    expect(quorumInfo({ ...around, connected: [] })).toEqual({ needed: 2, reachable: 1 });
    expect(quorumInfo({ ...around, connected: [b.nodeId, c.nodeId] })).toEqual({ needed: 2, reachable: 3 });
    expect(quorumInfo({ ...around, serving: false, connected: [b.nodeId] })).toEqual({ needed: 2, reachable: 1 });
  });

  it('does not count who is not on the roster, nor a platform twice', () => {
    const around = { entries: [a, b, entry(4, b.platform)], self: a.nodeId, serving: true };
    const connected = [b.nodeId, entry(4).nodeId, stranger.nodeId];
    expect(quorumInfo({ ...around, connected })).toEqual({ needed: 2, reachable: 2 });
  });

  it('is this node alone before there is a roster', () => {
    const around = { entries: [], self: a.nodeId, connected: [b.nodeId] };
    expect(quorumInfo({ ...around, serving: true })).toEqual({ needed: 1, reachable: 1 });
    expect(quorumInfo({ ...around, serving: false })).toEqual({ needed: 1, reachable: 0 });
  });
});

it('names every member of the roster once, with its standing', () => {
  const shown = rosterInfo({ entries: [a, b, c], self: b.nodeId, connected: [c.nodeId, stranger.nodeId] });
  expect(shown.map(({ operator, standing }) => [operator, standing])).toEqual([
    ['op-1', 'away'],
    ['op-2', 'self'],
    ['op-3', 'connected'],
  ]);
});
