// Against an unmodified CometBFT node: what the simulated chain imitates, and where anchors could really go.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromUtf8, utf8 } from '../../../src/core/bytes.ts';
import { systemClock as clock, systemRandom } from '../../../src/core/system.ts';
import { createDevnet } from '../../../src/devnet/index.ts';
import {
  createCometClient,
  createCometSource,
  createHttpTransport,
  createIndexer,
  createMemoryStore,
  openNoteStore,
} from '../../../src/indexer/index.ts';
import { type CometNode, findCometBft, startCometBft } from '../../support/cometbft.ts';
import { flagHex, replayOf } from '../../support/replay.ts';

const found = findCometBft();
if ('missing' in found) console.warn(`the tests against a real CometBFT node are skipped: ${found.missing}`);

describe.skipIf('missing' in found)('an unmodified CometBFT node with its kvstore', () => {
  const { signal } = new AbortController();
  let node: CometNode;
  beforeAll(async () => {
    if ('program' in found) node = await startCometBft(found.program);
  });
  afterAll(() => node?.stop());

  it('takes text transactions, and they are found again by crawling', async () => {
    const prefix = 'kith/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/';
    const client = createCometClient({ transport: createHttpTransport(node.url), clock }, { textPrefix: prefix });
    const sent: string[] = [];
    for (let i = 0; i < 8; i++) sent.push(`${prefix}${i}.0=${'AbC_-0'.repeat(1 + 50 * i)}`);
    for (const text of sent) await client.send(text, { signal });
    await client.send('foreign/1=2', { signal });
    // Sent again: the node has it in its cache.
    await client.send(sent[0]!, { signal });
    await expect(client.send(`${prefix}not a pair`, { signal })).rejects.toMatchObject({ code: 'transaction-refused' });

    const notes = await openNoteStore(createMemoryStore());
    const source = createCometSource({ transport: createHttpTransport(node.url), clock }, { textPrefix: prefix });
    const indexer = createIndexer(
      { clock, random: systemRandom, notes, sources: [source] },
      { chainId: node.chainId, pollMs: 100 },
    );
    await indexer.start();
    const crawled: string[] = [];
    for await (const { texts } of indexer.blocks(1, { signal })) {
      crawled.push(...texts.map(({ text }) => text));
      if (crawled.length >= sent.length) break;
    }
    expect(crawled).toEqual(sent);
    expect(indexer.status()).toMatchObject({ error: undefined });
    await indexer.stop();
  });

  it('says of heights it has not, and of none at all, what the simulated chain says', async () => {
    const devnet = createDevnet({
      replay: replayOf([{ height: 1, block_index: 0, flags: [flagHex('a')] }]),
      version: '0.38',
    });
    for (const transport of [createHttpTransport(node.url), devnet.transport()]) {
      const source = createCometSource({ transport, clock });
      await expect(source.blocks(900_000, 900_001, { signal })).rejects.toMatchObject({ code: 'height-unavailable' });
      const eleven = Array.from({ length: 11 }, (_, id) => ({ jsonrpc: '2.0', id, method: 'health', params: {} }));
      const body = utf8(JSON.stringify(eleven));
      const headers = { 'content-type': 'application/json' };
      const response = await transport.request(
        { method: 'POST', target: '/', headers, body },
        { signal, bytesMax: 100_000 },
      );
      expect(fromUtf8(response.body)).toContain('batch request exceeds maximum');
    }
  });

  it.each([
    '/status',
    '/block?height=1',
    '/block_results?height=1',
    '/broadcast_tx_sync?tx="some/key=value"',
    '/block?height=900000',
    '/block?height=-1',
    '/tx?hash=0x0000000000000000000000000000000000000000000000000000000000000000',
    '/nothing-of-the-kind',
  ])('answers %s with every field the simulated chain answers with', async (target) => {
    const devnet = createDevnet({
      replay: replayOf([{ height: 1, block_index: 0, flags: [flagHex('a')] }]),
      version: '0.38',
    });
    const real = await createHttpTransport(node.url).request(
      { method: 'GET', target },
      { signal, bytesMax: 1_000_000 },
    );
    const simulated = await devnet.answer({ method: 'GET', target }, { signal });
    expect(simulated.status).toBe(real.status);
    if (real.status === 404) {
      expect(fromUtf8(simulated.body)).toBe(fromUtf8(real.body));
      return;
    }
    const [fields, known] = [simulated, real].map(({ body }) => fieldsOf(JSON.parse(fromUtf8(body))));
    expect([...known!]).toEqual(expect.arrayContaining([...fields!]));
  });
});

/** Paths and kinds of all fields; what is inside lists and null is left open. */
function fieldsOf(value: unknown, path = '', fields = new Set<string>()): Set<string> {
  if (value === null || Array.isArray(value)) return fields;
  if (typeof value !== 'object') return fields.add(`${path}: ${typeof value}`);
  for (const [key, inner] of Object.entries(value)) {
    fields.add(`${path}.${key}`);
    fieldsOf(inner, `${path}.${key}`, fields);
  }
  return fields;
}
