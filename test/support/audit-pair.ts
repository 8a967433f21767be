// Two members that only audit: no loops run, so that all traffic is the audit's.

import { sha256 } from '#crypto';
import { utf8 } from '../../src/core/bytes.ts';
import { opIdFromBytes, regIdFromBytes } from '../../src/core/ids.ts';
import { createSyncWorld, type SyncNode } from './sync-network.ts';

export function auditPair() {
  const world = createSyncWorld();
  const [a, b] = [world.add('a'), world.add('b')];
  a.up = b.up = true;
  return { world, a, b };
}

/** States that no user signed: only audits see them. */
export function plantAll(count: number, ...nodes: readonly SyncNode[]): void {
  for (let i = 0; i < count; i++) {
    const name = sha256(utf8(`planted ${i}`));
    for (const { replica } of nodes) replica.plant(regIdFromBytes(name), opIdFromBytes(name));
  }
}
