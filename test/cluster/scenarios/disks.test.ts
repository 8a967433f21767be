// Five nodes and their disks: lost, put back to an old state, copied, full; and nodes that lose their memory together.
// Each scenario runs alone: npx vitest run --project scenarios -t NAME. KITH_CLUSTER_DRIVER chooses what machines are.

import { mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemRandom } from '../../../src/core/system.ts';
import { until } from '../../support/cluster-processes.ts';
import { makeOperation, makeWallet, openTarget } from '../../support/load.ts';
import { runKith } from '../../support/processes.ts';
import { type Fleet, SCENARIO_MS, START_MS, startFleet, WAIT_MS } from '../driver/fleet.ts';
import { ACT_MS, command, must } from '../driver/index.ts';

let fleet: Fleet;
const five = ['node-1', 'node-2', 'node-3', 'node-4', 'node-5'];
const own = mkdtempSync(join(tmpdir(), 'kith-small-disk-'));
const SMALL_DISK = '96m';
/** A file system of its own takes root. */
const canMount = process.getuid?.() === 0;

beforeAll(async () => {
  if (canMount) await must('mount', ['-t', 'tmpfs', '-o', `size=${SMALL_DISK},mode=755`, 'tmpfs', own], ACT_MS);
  else console.warn('NOT TESTED here: a full disk, which takes root');
  fleet = await startFleet(canMount ? { disks: { 'node-5': own } } : {});
}, START_MS);
afterAll(async () => {
  await fleet?.close();
  if (canMount) await command('umount', ['-l', own], ACT_MS);
  rmSync(own, { recursive: true, force: true });
}, SCENARIO_MS);

/** A node that does not run while `work` is done. */
async function while_(name: string, work: () => Promise<void>): Promise<void> {
  await fleet.driver.kill(name);
  fleet.members.delete(name);
  await work();
  await fleet.driver.start(name);
  fleet.members.add(name);
  await fleet.waitReady(name);
}

describe('disks of five nodes', { timeout: SCENARIO_MS }, () => {
  it('that are wiped come back as another node with everything', async () => {
    const before = (await fleet.facts('node-2')).nodeId;
    await while_('node-2', async () => {
      await fleet.driver.emptyFolder(fleet.driver.disk('node-2'));
      await fleet.register(2);
    });
    expect((await fleet.facts('node-2')).nodeId).not.toBe(before);
    await fleet.check();
  });

  it('that are put back to an old state are told so by the others, and brought up to date', async () => {
    const before = (await fleet.facts('node-3')).nodeId;
    const saved = `${fleet.driver.disk('node-3')}-saved`;
    await while_('node-3', () => fleet.driver.copyFolder(fleet.driver.disk('node-3'), saved));
    await fleet.register(5, 'node-3');
    const log = (await fleet.driver.log('node-3')).length;
    await while_('node-3', async () => {
      await fleet.driver.copyFolder(saved, fleet.driver.disk('node-3'));
      await fleet.register(2);
    });
    rmSync(saved, { recursive: true, force: true });
    expect((await fleet.facts('node-3')).nodeId).toBe(before);
    expect((await fleet.driver.log('node-3')).slice(log)).toContain('"rollback"');
    await fleet.check();
  });

  it('that are cloned and started twice serve from one boot at most, and the other has ended', async () => {
    const name = 'node-4';
    const before = (await fleet.facts(name)).nodeId;
    await fleet.add('clone', { platform: 'a/node-4' });
    await while_(name, () => fleet.driver.copyFolder(fleet.driver.disk(name), fleet.driver.disk('clone')));
    await fleet.driver.start('clone');
    const ended: Record<string, number | null> = {};
    for (const boot of [name, 'clone'])
      void fleet.driver.ended(boot).then((code) => Object.assign(ended, { [boot]: code }));
    await until(
      'one of two boots has ended, or both',
      async () => {
        const phases = await Promise.all([name, 'clone'].map(async (boot) => (await fleet.info(boot))?.phase));
        expect(phases.filter((phase) => phase === 'ready').length).toBeLessThan(2);
        return Object.keys(ended).length > 0;
      },
      WAIT_MS,
    );
    for (const [boot, code] of Object.entries(ended)) {
      expect(code).toBe(1);
      expect(await fleet.driver.log(boot)).toContain('"fenced"');
    }
    // The node goes on with its own disk, whichever boot won.
    for (const boot of [name, 'clone']) if (!(boot in ended)) await fleet.driver.kill(boot);
    await fleet.driver.start(name);
    await fleet.waitReady(name);
    expect((await fleet.facts(name)).nodeId).toBe(before);
    await fleet.check();
  });

  it.runIf(canMount)('that are full refuse what they cannot keep, answer, and take again what they can', async () => {
    const name = 'node-5';
    const ballast = join(own, 'ballast');
    const fill = () => {
      const { bavail, bsize } = statfsSync(own);
      return command('fallocate', ['-l', String(Number(bavail) * Number(bsize)), ballast], ACT_MS);
    };
    // The node may have written since the room was looked at.
    await until('no room left', async () => (await fill()).exitCode === 0, WAIT_MS);
    const { heights } = await fleet.facts(name);
    const { id } = fleet.cluster();
    const target = await openTarget({ random: systemRandom }, id, fleet.driver.url(name));
    const statuses: number[] = [];
    // The file a store writes to at the moment may have some room yet.
    await until(
      'the disk is full',
      async () => {
        const made = makeOperation(id, makeWallet(systemRandom, 10), 'register', { version: heights.chain });
        const { status } = await target.post(made, target.seal(made));
        statuses.push(status);
        if (status === 201) fleet.acknowledged(made);
        // Pending ones may come true: they are in nobody's count until then.
        if (status === 202)
          await until(
            'it is confirmed',
            async () => (await target.post(made, target.seal(made))).status < 202,
            WAIT_MS,
          ).then(() => fleet.acknowledged(made));
        return status === 503;
      },
      WAIT_MS,
    );
    target.close();
    expect(new Set(statuses).has(500)).toBe(false);
    expect((await fetch(`${fleet.driver.url(name)}/healthz`)).status).toBe(200);
    await fleet.register(3, 'node-1', 'node-2', 'node-3', 'node-4');
    rmSync(ballast);
    await fleet.check();
    await fleet.register(1, name);
    await fleet.check();
  });
});

describe('five nodes that lose their memory', { timeout: SCENARIO_MS }, () => {
  const ids = () => Promise.all(five.map(async (name) => (await fleet.info(name))?.nodeId));

  it('all but one at once have everything from the one that stayed', async () => {
    const before = await ids();
    const killed = five.slice(1);
    await Promise.all(killed.map((name) => fleet.driver.kill(name)));
    await Promise.all(killed.map(fleet.driver.start));
    await fleet.check();
    expect((await ids())[0]).toBe(before[0]);
  });

  it('all at once have everything back once the holders of two shares have entered them', async () => {
    const before = (await ids())[0]!;
    await Promise.all(five.map((name) => fleet.driver.kill(name)));
    await Promise.all(five.map(fleet.driver.start));
    await fleet.waitReady(...five);
    expect((await ids())[0]).not.toBe(before);
    const cluster = join(fleet.driver.keysFolder, 'cluster.json');
    for (const [share, status] of [
      [1, 'waiting'],
      [3, 'opened'],
    ] as const) {
      const key = join(fleet.driver.keysFolder, `cluster.recovery-${share}.key`);
      const words = ['--node', fleet.driver.url('node-1'), '--share', key, '--cluster', cluster, `--store=${before}`];
      const { exitCode, out, err } = await runKith('recover', ...words, '--json');
      expect(exitCode, err).toBe(0);
      expect(JSON.parse(out)).toMatchObject({ status });
    }
    await fleet.check();
    const aside = join(fleet.driver.disk('node-1'), 'set-aside', '1');
    expect(readdirSync(aside).sort()).toEqual(['header', 'imported', 'sealed']);
    const recovery = async (name: string) => (await fetch(`${fleet.driver.url(name)}/v1/recovery`)).json();
    expect(await recovery('node-1')).toMatchObject({ state: 'none' });
    expect(await recovery('node-3')).toMatchObject({ state: 'total-restart' });
  });
});
