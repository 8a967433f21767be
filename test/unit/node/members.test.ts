import { describe, expect, it } from 'vitest';
import { nodeIdFromBytes } from '../../../src/core/ids.ts';
import { memberInfos, type NodeInfoDeps } from '../../../src/node/node-info.ts';

const idOf = (value: number) => nodeIdFromBytes(new Uint8Array(32).fill(value));

/** A node that knows height 100 and has detected up to 97, with members that name the tip in their heartbeats. */
function depsWith(stated: readonly (readonly [number, number])[]): NodeInfoDeps {
  const peer = (value: number, height: number | undefined) => ({
    attested: { nodeId: idOf(value), operator: `op-${value}`, tcbStatus: 'UpToDate', incarnation: 1 },
    phase: 'ready',
    height,
    lastSeenMs: 1_000,
  });
  const deps = {
    clock: { monotonic: () => 3_000 },
    condition: {
      phase: 'ready',
      running: { identity: { nodeId: idOf(1) }, tip: () => 100, detector: { detected: 97 } },
      attested: { operator: 'op-1', quote: { tcbStatus: 'UpToDate' } },
    },
    company: { peering: { mesh: { peers: () => [peer(2, 100), peer(3, 99), peer(4, undefined)] } } },
    clusterHeight: () => ({
      height: () => 100,
      report: () => ({ members: stated.map(([value, height]) => ({ nodeId: idOf(value), height })) }),
    }),
  };
  return deps as unknown as NodeInfoDeps;
}

describe('the members a node tells of', () => {
  it('lag by what they signed that they have indexed, not by the tip they know', () => {
    expect(memberInfos(depsWith([[2, 60]])).map(({ lag }) => lag)).toEqual([3, 40, 1, 100]);
  });

  it('lag by nothing when they are further than this node', () => {
    expect(memberInfos(depsWith([[2, 120]])).map(({ lag }) => lag)[1]).toBe(0);
  });
});
