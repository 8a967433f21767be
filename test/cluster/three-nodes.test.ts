// Three node processes over real libp2p on loopback that keep one another's sealing keys.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type ClusterProcesses, startCluster, until } from '../support/cluster-processes.ts';
import { temporaryFolder } from '../support/folder.ts';
import { longForm } from '../support/fuzz.ts';
import '../support/processes.ts';
import { madeUpLines } from '../support/replay.ts';

const folder = temporaryFolder();
/** Short: the nodes are about keys here. */
const replayPath = join(folder, 'chain.jsonl');
const LINES = madeUpLines(1_000, 60).filter(({ flags }) => flags === null);
const NODES = [0, 1, 2];
const KILLS = longForm ? 50 : 3;

let three: ClusterProcesses;

beforeAll(async () => {
  writeFileSync(replayPath, LINES.map((line) => JSON.stringify(line)).join('\n'));
  three = await startCluster({ nodes: NODES.length, folder, replayPath, gated: true });
  for (const i of NODES) await three.waitReady(i);
  await three.waitMembers(NODES.length);
  for (const i of NODES) await three.waitBacked(i);
});

describe('three node processes', () => {
  it('come back under their own ids when they are killed, whichever it is', async () => {
    for (let n = 0; n < KILLS; n++) {
      const i = n % NODES.length;
      const before = (await three.info(i))!;
      await three.kill(i);
      await three.boot(i);
      const tookMs = await three.waitReady(i, 30_000);
      const after = (await three.info(i))!;
      expect(after.nodeId).toBe(before.nodeId);
      expect(after.incarnation).toBeGreaterThan(before.incarnation);
      expect(tookMs).toBeLessThan(15_000);
      await three.waitBacked(i);
    }
  });

  it.each(['closed', 'silent'] as const)('notice that one of them is cut off (%s), and find it again', async (how) => {
    const alone = 2;
    const reached = async (i: number) => (await three.info(i))!.quorum.reachable;
    three.cut(alone, how);
    await until('the one alone', async () => (await reached(alone)) === 1);
    for (const i of [0, 1]) await until('the two others', async () => (await reached(i)) === 2);
    three.heal(alone);
    for (const i of NODES) await until('all together', async () => (await reached(i)) === NODES.length);
  });

  it('lose the id with the disk: a wiped machine is a new member', async () => {
    const before = (await three.info(1))!;
    await three.kill(1);
    three.wipe(1);
    await three.boot(1);
    await three.waitReady(1);
    expect((await three.info(1))!.nodeId).not.toBe(before.nodeId);
    await three.waitBacked(1);
  });

  it('stop when they are told to', async () => {
    for (const i of NODES) await three.kill(i, 'SIGTERM');
    for (const i of NODES) expect(await three.process(i).ended).toBe(0);
    await three.stop();
  });
});
