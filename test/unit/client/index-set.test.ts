import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { xchacha20Poly1305Seal } from '#crypto';
import { emptyView, readFromNodes, readIndexSet, viewSyncedTo } from '../../../src/client/index.ts';
import { concatBytes, toBase64Url, u64be } from '../../../src/core/bytes.ts';
import { encodeCbor } from '../../../src/core/cbor.ts';
import { KithError } from '../../../src/core/errors.ts';
import { idBytes } from '../../../src/core/ids.ts';
import { pad } from '../../../src/core/padding.ts';
import { indexSetKey, paddedIndexSetBytes } from '../../../src/fmd/index-sets/blob.ts';
import { encodeEntries } from '../../../src/fmd/index-sets/entries.ts';
import { ENTRIES_PER_ANSWER_MAX } from '../../../src/fmd/index-sets/limits.ts';
import type { Deviations } from '../../support/fake-node.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { rejectionOf } from '../../support/outcome.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { createBench, owner, registeredAt, wallet } from '../../support/wallet-client.ts';

const { signal } = new AbortController();
const random = seededRandom('index set reading');

async function nodeWith(deviations: Deviations = {}, birthday = 10) {
  const bench = createBench().node(deviations);
  await registeredAt(bench.node, birthday);
  return bench;
}
const onIndexSets = (change: (answer: Record<string, unknown>) => unknown): Deviations => ({
  tamper: (path, answer) => (path.startsWith('/v1/index-sets') ? change(answer) : answer),
});
const summary = (view: { entries: readonly unknown[]; from: number }) => ({ entries: view.entries, from: view.from });

/** An answer as somebody with the data key would make it, well or badly. */
function sealed(content: object, since = 0): Record<string, unknown> {
  const plaintext = encodeCbor(content as Parameters<typeof encodeCbor>[0]);
  const aad = concatBytes(idBytes(owner.clusterId), idBytes(owner.id), u64be(since));
  const nonce = random.bytes(24);
  const padded = pad(plaintext, paddedIndexSetBytes(plaintext.length));
  const ciphertext = xchacha20Poly1305Seal(indexSetKey(wallet.dataKey), nonce, padded, aad);
  return { id: owner.id, since, nonce: toBase64Url(nonce), ciphertext: toBase64Url(ciphertext) };
}

describe('reading an index set', () => {
  it('starts at the registered birthday, goes on where it ended, and has each entry once', async () => {
    const { node, api } = await nodeWith();
    node.scan(1, 50, [
      [9, 0],
      [12, 1],
      [50, 0],
    ]);
    const first = await readIndexSet({ api }, owner, undefined, { signal });
    const entries = [
      [12, 1],
      [50, 0],
    ];
    expect([viewSyncedTo(first), summary(first)]).toEqual([50, { entries, from: 10 }]);
    node.scan(51, 60, [[60, 2]]);
    const second = await readIndexSet({ api }, owner, first, { signal });
    expect([viewSyncedTo(second), second.entries]).toEqual([60, [...entries, [60, 2]]]);
    expect(node.asked.filter((path) => path.startsWith('/v1/index-sets'))).toEqual([
      `/v1/index-sets/${owner.id}?since=0`,
      `/v1/index-sets/${owner.id}?since=50`,
    ]);
  });

  it('changes nothing when a node answers with fewer heights than are known, or with none', async () => {
    const [ahead, behind] = [await nodeWith(), await nodeWith()];
    ahead.node.scan(1, 80, [[33, 3]]);
    behind.node.scan(1, 20);
    const known = await readIndexSet(ahead, owner, undefined, { signal });
    expect(await readIndexSet(behind, owner, known, { signal })).toEqual(known);
    expect(await readIndexSet(await nodeWith(), owner, known, { signal })).toEqual(known);
  });

  it('says from where on a node that began later has looked', async () => {
    const { node, api } = await nodeWith({ first: 40 });
    node.scan(40, 45, [[41, 0]]);
    const view = await readIndexSet({ api }, owner, undefined, { signal });
    expect([viewSyncedTo(view), summary(view)]).toEqual([45, { entries: [[41, 0]], from: 40 }]);
  });

  it('never passes over a hole', async () => {
    const { node, api } = await nodeWith();
    node.scan(10, 20);
    node.scan(30, 40, [[35, 1]]);
    const view = await readIndexSet({ api }, owner, undefined, { signal });
    expect([viewSyncedTo(view), view.entries]).toEqual([20, [[35, 1]]]);
    node.scan(21, 29, [[22, 2]]);
    expect(viewSyncedTo(await readIndexSet({ api }, owner, view, { signal }))).toBe(40);
  });

  it('asks again where an answer ended early', async () => {
    const { node, api } = await nodeWith();
    const perBlock = 50_000;
    const heights = Math.ceil(ENTRIES_PER_ANSWER_MAX / perBlock);
    const entries = Array.from(
      { length: heights * perBlock },
      (_, i) => [10 + Math.floor(i / perBlock), i % perBlock] as const,
    );
    node.scan(10, 9 + heights, entries);
    const view = await readIndexSet({ api }, owner, undefined, { signal, waitSeconds: 5 });
    expect([viewSyncedTo(view), view.entries.length]).toEqual([9 + heights, entries.length]);
    expect(node.asked.filter((path) => path.startsWith('/v1/index-sets'))).toEqual([
      `/v1/index-sets/${owner.id}?since=0&wait=5`,
      `/v1/index-sets/${owner.id}?since=14`,
    ]);
  });

  it('asks a node that repeats a full answer no more than once', async () => {
    const entries = Array.from({ length: ENTRIES_PER_ANSWER_MAX }, (_, i) => [10, i] as const);
    const { node, api } = await nodeWith({
      tamper: (path, answer) => {
        if (!path.startsWith('/v1/index-sets')) return answer;
        const since = Number(/since=(\d+)$/.exec(path)![1]);
        const content = { birthday: 10, covered: [], entries: encodeEntries(entries, since), first: 0, syncedTo: 9 };
        return sealed(content, since);
      },
    });
    expect(viewSyncedTo(await readIndexSet({ api }, owner, emptyView(10), { signal }))).toBe(9);
    expect(node.asked.filter((path) => path.startsWith('/v1/index-sets')).length).toBe(1);
  });

  it('refuses waits no node grants', async () => {
    const { api } = await nodeWith();
    for (const waitSeconds of [-1, 56, 1.5, Number.NaN]) {
      const error = await rejectionOf(readIndexSet({ api }, owner, undefined, { signal, waitSeconds }));
      expect(error?.code).toBe('bad-parameter');
    }
  });
});

describe('an answer', () => {
  const forged: [string, (answer: Record<string, unknown>) => unknown][] = [
    ['another ciphertext', (answer) => ({ ...answer, ciphertext: 'A'.repeat(5483) })],
    ['another nonce', (answer) => ({ ...answer, nonce: 'A'.repeat(32) })],
    ['no ciphertext to speak of', (answer) => ({ ...answer, ciphertext: '' })],
    ['what was answered to another look-up', () => sealed({}, 7)],
  ];
  it.each(forged)('with %s is forged', async (_name, change) => {
    const { api } = await nodeWith(onIndexSets(change));
    const error = await rejectionOf(readIndexSet({ api }, owner, undefined, { signal }));
    expect([error?.code, error?.message]).toEqual(['forged-answer', expect.stringContaining(api.url)]);
  });

  it('for another wallet or cluster is forged', async () => {
    const { api } = await nodeWith();
    const strangers = [
      { ...owner, dataKey: new Uint8Array(32) },
      { ...owner, clusterId: owner.id as unknown as typeof owner.clusterId },
    ];
    for (const of of strangers) {
      const error = await rejectionOf(readIndexSet({ api }, of, undefined, { signal }));
      expect(error?.code).toBe('forged-answer');
    }
  });

  const good = { birthday: 10, covered: [[10, 20]], entries: encodeEntries([[12, 0]], 0), first: 0, syncedTo: 20 };
  const bad: [string, (answer: Record<string, unknown>) => unknown][] = [
    ['that is no JSON', () => '<html>'],
    ['that is a list', () => [1]],
    ['without a nonce', ({ nonce: _, ...rest }) => rest],
    ['without a ciphertext', ({ ciphertext: _, ...rest }) => rest],
    ['with a short nonce', (answer) => ({ ...answer, nonce: 'AAAA' })],
    ['with a nonce that is no base64url', (answer) => ({ ...answer, nonce: '!'.repeat(32) })],
    ['with a ciphertext of numbers', (answer) => ({ ...answer, ciphertext: [1, 2] })],
    ['with a since that is no height', (answer) => ({ ...answer, since: -1 })],
    ['with a gigantic since', (answer) => ({ ...answer, since: 1e300 })],
    ['with a long id', (answer) => ({ ...answer, id: 'A'.repeat(5000) })],
    ['made wrongly: synced past what is covered', () => sealed({ ...good, syncedTo: 21 })],
    ['made wrongly: entries below the birthday', () => sealed({ ...good, entries: encodeEntries([[9, 0]], 0) })],
    ['made wrongly: an unknown field', () => sealed({ ...good, more: 1 })],
    ['made wrongly: entries that are no numbers', () => sealed({ ...good, entries: Uint8Array.of(0x80) })],
  ];
  it.each(bad)('%s is bad', async (_name, change) => {
    const { api } = await nodeWith(onIndexSets(change));
    expect((await rejectionOf(readIndexSet({ api }, owner, undefined, { signal })))?.code).toBe('bad-answer');
  });

  it('like these, but well made, is taken', async () => {
    const { api } = await nodeWith(onIndexSets(() => sealed(good)));
    expect((await readIndexSet({ api }, owner, undefined, { signal })).entries).toEqual([[12, 0]]);
  });

  it('with anything changed in it never changes what is known', async () => {
    let edit: (text: string) => string = (text) => text;
    const { node, api } = await nodeWith({
      tamper: (path, answer) => (path.startsWith('/v1/index-sets') ? edit(JSON.stringify(answer)) : answer),
    });
    node.scan(1, 30, [[20, 1]]);
    const honest = await readIndexSet({ api }, owner, undefined, { signal });
    await fc.assert(
      fc.asyncProperty(fc.nat(5_000), fc.string({ maxLength: 3 }), fc.nat(4), async (at, insert, drop) => {
        edit = (text) => text.slice(0, at) + insert + text.slice(at + drop);
        try {
          expect(await readIndexSet({ api }, owner, undefined, { signal })).toEqual(honest);
        } catch (error) {
          if (!(error instanceof KithError)) throw error;
          expect(['forged-answer', 'bad-answer']).toContain(error.code);
        }
      }),
      { numRuns: fuzzRuns(200) },
    );
  });
});

describe('reading from several nodes', () => {
  it('is the union of what answers, in any order', async () => {
    const [a, b, c] = [
      await nodeWith(),
      await nodeWith(),
      await nodeWith({
        refuse: (path) => (path.startsWith('/v1/index') ? new KithError('not-ready', 'catching up') : undefined),
      }),
    ];
    a.node.scan(10, 20, [[15, 0]]);
    b.node.scan(21, 40, [[30, 0]]);
    const apis = [a.api, b.api, c.api];
    const one = await readFromNodes(apis, owner, undefined, { signal });
    expect([viewSyncedTo(one.view), one.view.entries]).toEqual([
      40,
      [
        [15, 0],
        [30, 0],
      ],
    ]);
    expect(one.failures.map(({ url, error }) => [url, error.code])).toEqual([[c.api.url, 'not-ready']]);
    const other = await readFromNodes([...apis].reverse(), owner, emptyView(), { signal });
    expect(other.view).toEqual(one.view);
  });

  it('is not disturbed by a node that forges, and fails only if none answers, with all reasons', async () => {
    const honest = await nodeWith();
    honest.node.scan(1, 30);
    const forger = await nodeWith(onIndexSets((answer) => ({ ...answer, ciphertext: 'A'.repeat(5483) })));
    const silent = createBench().node();
    const { view } = await readFromNodes([forger.api, honest.api, silent.api], owner, undefined, { signal });
    expect(viewSyncedTo(view)).toBe(30);
    const none = await rejectionOf(readFromNodes([forger.api, silent.api], owner, undefined, { signal }));
    expect(none?.code).toBe('no-node');
    expect(none?.message).toMatch(/was not made for this wallet.*; .*no registration with this id/);
    const alike = await rejectionOf(readFromNodes([silent.api, silent.api], owner, undefined, { signal }));
    expect(alike?.code).toBe('unknown-registration');
  });
});
