import { describe, expect, it } from 'vitest';
import { createDevnet } from '../../../src/devnet/index.ts';
import type { KeyValueOp } from '../../../src/node/store/index.ts';
import { seededUser, userOf } from '../../support/node-user.ts';
import { type ReplayLine, replayOf } from '../../support/replay.ts';
import { createTestDisk } from '../../support/test-disk.ts';
import { createTestNode } from '../../support/test-node.ts';

const FIRST = 1_000;
const HEIGHTS = 60;
const found = seededUser('found', 4);
const lonely = seededUser('lonely', 4);
const stranger = seededUser('stranger', 4);

/** Two flags in each third block, the first always for `owner`. */
const linesFor = (owner: typeof found): ReplayLine[] =>
  Array.from({ length: HEIGHTS / 3 }, (_, i) => ({
    height: FIRST + 3 * i,
    block_index: 0,
    flags: [owner.flag(`${i}`), stranger.flag(`${i}`)],
  }));

const settled = async (work: Promise<unknown> | undefined): Promise<boolean> => {
  let done = false;
  const mark = () => {
    done = true;
  };
  void work?.then(mark, mark);
  for (let i = 0; i < 20; i++) await Promise.resolve();
  return done;
};

/** Everything the host sees of a node that serves one registration while the chain grows. */
async function observe(owner: typeof found) {
  const batches: { readonly store: string; readonly ops: string[] }[] = [];
  const watch = (store: string) => ({
    onBatch: (ops: readonly KeyValueOp[]) => {
      batches.push({
        store,
        ops: ops.map((op) => `${op.kind} ${op.key.length} ${op.kind === 'put' ? op.value.length : 0}`),
      });
      return 'written' as const;
    },
  });
  const disk = createTestDisk({ sealed: watch('sealed'), chain: watch('chain') });
  const devnet = createDevnet({ replay: replayOf(linesFor(owner)), startAfter: 30 });
  const test = createTestNode({ devnet, disk });
  await test.ready();
  const user = userOf(test, found);
  await user.register({ birthday: 0 });
  await test.clock.advance(5_000);
  const answers: {
    readonly etag: string;
    readonly bytes: number;
    readonly waitedMs: number;
    readonly since: number;
  }[] = [];
  for (let since = devnet.tip - 1; since < FIRST + HEIGHTS - 3; since++) {
    const began = test.clock.monotonic();
    const asked = user.ask(since, 30_000);
    while (!(await settled(asked))) {
      devnet.advance(1);
      await test.clock.advance(1_000);
    }
    const { etag, ciphertext } = (await asked)!;
    answers.push({ etag, bytes: ciphertext.length, waitedMs: test.clock.monotonic() - began, since });
  }
  const whole = (await user.ask(0))!;
  const entries = (await user.read(0))!.entries.length;
  return { batches, answers, whole: { etag: whole.etag, bytes: whole.ciphertext.length }, entries };
}

describe('look-ups', () => {
  it('show the same writes, sizes, entity tags and waits whether anything matches or not', async () => {
    const [matched, unmatched] = [await observe(found), await observe(lonely)];
    // The two differ in what they are about ...
    expect(matched.entries).toBeGreaterThanOrEqual(HEIGHTS / 3);
    expect(unmatched.entries).toBeLessThan(HEIGHTS / 6);
    // ... and in nothing the host sees.
    expect(unmatched.answers).toEqual(matched.answers);
    expect(unmatched.whole).toEqual(matched.whole);
    expect(unmatched.batches).toEqual(matched.batches);
  });

  it('write at most two batches for an empty block, whatever the number of keys', async () => {
    for (const users of [0, 1, 12]) {
      const batches: string[] = [];
      const onBatch = (store: string) => ({
        onBatch() {
          batches.push(store);
          return 'written' as const;
        },
      });
      const disk = createTestDisk({ sealed: onBatch('sealed'), chain: onBatch('chain') });
      const devnet = createDevnet({ replay: replayOf(linesFor(found).slice(0, 4)) });
      const test = createTestNode({ devnet, disk });
      await test.ready();
      for (let i = 0; i < users; i++) await userOf(test, seededUser(`user ${i}`)).register({ birthday: devnet.tip });
      await test.clock.advance(5_000);
      for (let block = 0; block < 5; block++) {
        batches.length = 0;
        devnet.advance(1);
        await test.until(() => test.node.service.node().heights.detected === devnet.tip);
        await test.clock.advance(3_000);
        expect(batches).toEqual(['chain', 'sealed']);
      }
    }
  });

  it('wait for a new height, and no longer than asked', async () => {
    const devnet = createDevnet({ replay: replayOf(linesFor(found)), startAfter: 30 });
    const test = createTestNode({ devnet });
    await test.ready();
    const user = userOf(test, found);
    await user.register({ birthday: devnet.tip });
    await test.clock.advance(5_000);
    const { tip } = devnet;
    // There is something above: no wait.
    expect(await settled(user.ask(tip - 1, 10_000))).toBe(true);
    const inTime = user.ask(tip, 10_000);
    const tooLong = user.ask(tip + 5, 10_000);
    expect(await settled(inTime)).toBe(false);
    devnet.advance(1);
    await test.clock.advance(2_000);
    expect(await settled(inTime)).toBe(true);
    expect(await settled(tooLong)).toBe(false);
    await test.clock.advance(9_000);
    expect(await settled(tooLong)).toBe(true);
    expect(await tooLong).toBeDefined();
  });

  it('that wait end with what there is when the registration ends, the caller leaves, or the node stops', async () => {
    const devnet = createDevnet({ replay: replayOf(linesFor(found)), startAfter: 30 });
    const test = createTestNode({ devnet });
    await test.ready();
    const [user, other] = [userOf(test, found), userOf(test, lonely)];
    await user.register();
    await other.register();
    await test.clock.advance(5_000);
    const revoked = user.ask(devnet.tip, 50_000);
    const kept = other.ask(devnet.tip, 50_000);
    const left = new AbortController();
    const gone = test.node.service.indexSet(other.id, { since: devnet.tip, waitMs: 50_000 }, { signal: left.signal });
    const refused = gone.then(
      () => 'answered',
      (error: { code: string }) => error.code,
    );
    left.abort();
    expect(await refused).toBe('aborted');
    await user.revoke();
    devnet.advance(1);
    await test.clock.advance(2_000);
    expect(await revoked).toBeUndefined();
    expect(await kept).toBeDefined();
    const waiting = other.ask(devnet.tip, 50_000);
    await test.clock.settle(test.node.stop());
    expect(await waiting).toBeDefined();
  });

  it('give the same bytes until something is synced, as their entity tag says', async () => {
    const devnet = createDevnet({ replay: replayOf(linesFor(found)), startAfter: 30 });
    const test = createTestNode({ devnet });
    await test.ready();
    const user = userOf(test, found);
    await user.register();
    await test.clock.advance(5_000);
    const [first, again] = [(await user.ask(0))!, (await user.ask(0))!];
    expect(again).toEqual(first);
    devnet.advance(1);
    await test.clock.advance(2_000);
    const later = (await user.ask(0))!;
    expect(later.etag).not.toBe(first.etag);
    expect(later.nonce).not.toBe(first.nonce);
    await user.revoke();
    expect(await user.ask(0)).toBeUndefined();
    await user.register({ version: devnet.tip + 1 });
    expect((await user.ask(0))!.nonce).not.toBe(later.nonce);
  });

  it('are refused while the node is not ready, and for whom nobody knows', async () => {
    const test = createTestNode({ devnet: createDevnet({ replay: replayOf(linesFor(found)) }) });
    const user = userOf(test, found);
    await expect(user.ask()).rejects.toMatchObject({ code: 'not-ready' });
    await test.ready();
    expect(await user.ask()).toBeUndefined();
  });
});
