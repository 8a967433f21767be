// Both sources against both versions of the wire format, in process and over HTTP, and what they must not be fooled by.

import { describe, expect, it } from 'vitest';
import { fromUtf8, utf8 } from '../../../src/core/bytes.ts';
import { createDevnet, serveDevnet } from '../../../src/devnet/index.ts';
import {
  createCometClient,
  createCometSource,
  createHttpTransport,
  createMaspSource,
  type Transport,
} from '../../../src/indexer/index.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { flagHex, linesOf, recordedChain, recordedLines, replayOf } from '../../support/replay.ts';
import { clock, describeSourceContract, watched } from './source-contract.ts';

describeSourceContract('CometBFT 0.37', (devnet) => ({
  source: createCometSource({ transport: devnet.transport(), clock }),
}));
describeSourceContract(
  'CometBFT 0.38',
  (devnet) => ({ source: createCometSource({ transport: devnet.transport(), clock }) }),
  {
    version: '0.38',
  },
);
describeSourceContract('masp-indexer', (devnet) => ({
  source: createMaspSource({ transport: devnet.transport(), clock }),
}));
describeSourceContract('CometBFT over HTTP', async (devnet) => {
  const server = await serveDevnet(devnet, { host: '127.0.0.1', port: 0 });
  return { source: createCometSource({ transport: createHttpTransport(server.url), clock }), close: server.stop };
});
describeSourceContract('masp-indexer over HTTP', async (devnet) => {
  const server = await serveDevnet(devnet, { host: '127.0.0.1', port: 0 });
  return { source: createMaspSource({ transport: createHttpTransport(server.url), clock }), close: server.stop };
});

const { signal } = new AbortController();

describe('the recorded chain', () => {
  const devnet = createDevnet({ replay: recordedChain() });

  it('comes through CometBFT with the very heights, indexes and flags of the file', async () => {
    const source = createCometSource({ transport: devnet.transport(), clock });
    const lines = [];
    for (let from = devnet.first; from <= devnet.tip; from += 5) {
      lines.push(...linesOf(await source.blocks(from, Math.min(devnet.tip, from + 4), { signal })));
    }
    expect(lines).toEqual(recordedLines());
  });

  it('comes through the masp-indexer with the same transactions without flags', async () => {
    const source = createMaspSource({ transport: devnet.transport(), clock });
    const lines = [];
    for (let from = devnet.first; from <= devnet.tip; from += 30) {
      lines.push(...linesOf(await source.blocks(from, Math.min(devnet.tip, from + 29), { signal })));
    }
    expect(lines).toEqual(recordedLines().map((line) => ({ ...line, flags: null })));
  });
});

describe('a CometBFT source', () => {
  const replay = replayOf([{ height: 10, block_index: 1, flags: [flagHex('a'), flagHex('b')] }]);

  /** The answers of a devnet with `change` applied to the result of one method. */
  function altered(method: string, change: (result: Record<string, unknown>) => void): Transport {
    const devnet = createDevnet({ replay });
    devnet.advance();
    return {
      name: 'altered',
      async request(request, options) {
        const calls = JSON.parse(fromUtf8(request.body!)) as { method: string }[];
        const response = await devnet.answer(request, options);
        const answers = JSON.parse(fromUtf8(response.body)) as { id: number; result: Record<string, unknown> }[];
        for (const answer of answers) if (calls[answer.id]?.method === method) change(answer.result);
        return { status: response.status, body: utf8(JSON.stringify(answers)) };
      },
    };
  }

  const blocksOf = (transport: Transport) => createCometSource({ transport, clock }).blocks(10, 10, { signal });
  type Json = Record<string, unknown>;
  const eventsOf = (result: Json) =>
    result['end_block_events'] as { type: string; attributes: { key: string; value: string }[] }[];
  const attribute = (event: ReturnType<typeof eventsOf>[number], key: string) =>
    event.attributes.find((one) => one.key === key)!;

  it('refuses a block whose transactions are not those of its header', async () => {
    const transport = altered('block', (result) => {
      const { data } = result['block'] as { data: { txs: string[] } };
      data.txs.pop();
    });
    await expect(blocksOf(transport)).rejects.toMatchObject({ code: 'bad-answer' });
  });

  it('takes the empty data hash of older nodes for a block without transactions, and only for that', async () => {
    const transport = altered('block', (result) => {
      Object.assign((result['block'] as { header: object }).header, { data_hash: '' });
    });
    await expect(blocksOf(transport)).rejects.toMatchObject({ code: 'bad-answer' });
    const [empty] = await createCometSource({ transport, clock }).blocks(11, 11, { signal });
    expect(empty!.transactions).toEqual([]);
  });

  it('refuses a block of another height than was asked for', async () => {
    const transport = altered('block_results', (result) => {
      Object.assign(result, { height: '9' });
    });
    await expect(blocksOf(transport)).rejects.toMatchObject({ code: 'bad-answer' });
  });

  it('drops no event it cannot assign: the block fails instead', async () => {
    for (const value of ['', '{}', '{"block_height":10,"block_index":2}', '{"block_height":9,"block_index":1}']) {
      const transport = altered('block_results', (result) => {
        attribute(eventsOf(result)[0]!, 'indexed-tx').value = value;
      });
      await expect(blocksOf(transport)).rejects.toMatchObject({ code: 'bad-answer' });
    }
  });

  it('gives one entry for a transaction, however many events name it', async () => {
    const transport = altered('block_results', (result) => {
      const events = eventsOf(result);
      events.push(...events, ...events);
    });
    const [block] = await blocksOf(transport);
    expect(linesOf([block!])).toEqual([{ height: 10, block_index: 1, flags: [flagHex('a'), flagHex('b')] }]);
  });

  it.each([
    ['names a section the transaction lacks', `{"FmdSection":"${'AB'.repeat(32)}"}`],
    ['names a section that is no flag list', `{"IbcData":"${'AB'.repeat(32)}"}`],
    ['is not readable', 'not JSON'],
  ])("hands on a transaction as everybody's when its flag event %s", async (_, value) => {
    const transport = altered('block_results', (result) => {
      const event = eventsOf(result).find(({ type }) => type === 'masp/flag')!;
      attribute(event, 'ciphertext').value = value;
    });
    const [block] = await blocksOf(transport);
    expect(block!.transactions).toEqual([{ blockIndex: 1, flags: undefined }]);
    expect(block!.undecodable).toEqual([1]);
  });

  it('never counts flags of a section that no event names', async () => {
    const transport = altered('block_results', (result) => {
      const events = eventsOf(result);
      events.splice(0, events.length, ...events.filter(({ type }) => type !== 'masp/flag'));
    });
    const [block] = await blocksOf(transport);
    expect(block!.transactions).toEqual([{ blockIndex: 1, flags: undefined }]);
    expect(block!.undecodable).toEqual([]);
  });

  it("hands on a transaction as everybody's when one of its inner ones has no flags", async () => {
    const transport = altered('block_results', (result) => {
      const events = eventsOf(result);
      const copy = structuredClone(events.find(({ type }) => type === 'masp/transfer')!);
      attribute(copy, 'indexed-tx').value = '{"block_height":10,"block_index":1,"batch_index":1}';
      events.push(copy);
    });
    const [block] = await blocksOf(transport);
    expect(block!.transactions).toEqual([{ blockIndex: 1, flags: undefined }]);
    expect(block!.undecodable).toEqual([1]);
  });

  it("asks the detector whether a flag decodes, and hands on a transaction as everybody's if not", async () => {
    const transport = createDevnet({ replay }).transport();
    let asked = 0;
    const decodable = () => asked++ !== 1;
    const [block] = await createCometSource({ transport, clock, decodable }).blocks(10, 10, { signal });
    expect(block!.transactions).toEqual([{ blockIndex: 1, flags: undefined }]);
    expect(block!.undecodable).toEqual([1]);
  });

  it('gives up a silent upstream after its deadline', async () => {
    const manual = createManualClock();
    const devnet = createDevnet({ replay });
    devnet.fault({ rates: { stalls: 1 } });
    const work = createCometSource({ transport: devnet.transport(), clock: manual }).status({ signal });
    await expect(manual.settle(work)).rejects.toMatchObject({ code: 'upstream-unreachable' });
    expect(manual.monotonic()).toBe(10_000);
    expect(manual.pending).toBe(0);
  });

  it('gives up an upstream whose transport does not even listen', async () => {
    const manual = createManualClock();
    const transport: Transport = { name: 'deaf', request: () => new Promise(() => undefined) };
    const work = createCometSource({ transport, clock: manual }).status({ signal });
    await expect(manual.settle(work)).rejects.toMatchObject({ code: 'upstream-unreachable' });
    const controller = new AbortController();
    const other = createCometSource({ transport, clock: manual }).status({ signal: controller.signal });
    controller.abort();
    await expect(other).rejects.toMatchObject({ code: 'aborted' });
  });

  it('refuses an answer above the limit from a transport that did not', async () => {
    const transport: Transport = { name: 'big', request: async () => ({ status: 200, body: new Uint8Array(17e6) }) };
    const work = createCometSource({ transport, clock }).blocks(1, 5, { signal });
    await expect(work).rejects.toMatchObject({ code: 'answer-too-large' });
  });
});

describe('a masp-indexer source', () => {
  it('asks for at most 30 heights, clamps to the tip, and goes round caches after an error', async () => {
    const devnet = createDevnet({ replay: recordedChain() });
    const { transport, targets, headers } = watched(devnet.transport());
    const source = createMaspSource({ transport, clock });
    expect(source.rangeMax).toBe(30);
    await source.blocks(1031830, 1031859, { signal });
    expect(targets).toEqual(['/api/v1/height', '/api/v1/tx?height=1031830&height_offset=29']);
    devnet.fault({ rates: { errors: 1 } });
    await expect(source.blocks(1031860, 1031889, { signal })).rejects.toMatchObject({ code: 'upstream-refused' });
    devnet.fault({ rates: {} });
    await source.blocks(1031860, 1031889, { signal });
    await source.blocks(1031890, 1031919, { signal });
    expect(headers).toEqual([undefined, undefined, undefined, 'no-cache', undefined]);
    await expect(source.blocks(devnet.tip, devnet.tip + 1, { signal })).rejects.toMatchObject({
      code: 'height-unavailable',
    });
    expect(targets.at(-1)).toBe('/api/v1/height');
  });

  it.each([
    ['{"message":"down","code":500}', 'down'],
    ['{"error":"took too long"}', 'took too long'],
    ['{"error":{"message":"no such path"}}', 'no such path'],
    ['plain text', 'plain text'],
  ])('reads the reason out of the error %s', async (body, reason) => {
    const transport: Transport = { name: 'u', request: async () => ({ status: 500, body: utf8(body) }) };
    await expect(createMaspSource({ transport, clock }).status({ signal })).rejects.toThrow(`status 500, "${reason}"`);
  });
});

describe('a chain client', () => {
  it('sends a text, finds it again by its prefix, and may send it twice', async () => {
    const devnet = createDevnet({ replay: recordedChain(), startAfter: 3 });
    const client = createCometClient({ transport: devnet.transport(), clock }, { textPrefix: 'kith/c/' });
    const hash = await client.send('kith/c/1.0=AAAA', { signal });
    expect(await client.send('kith/c/1.0=AAAA', { signal })).toBe(hash);
    await client.send('kith/other/1.0=AAAA', { signal });
    devnet.advance();
    const [block] = await client.blocks(devnet.tip, devnet.tip, { signal });
    expect(block!.texts.map(({ text }) => text)).toEqual(['kith/c/1.0=AAAA']);
    const tx = await devnet.answer({ method: 'GET', target: `/tx?hash=0x${hash}` }, { signal });
    expect(JSON.parse(fromUtf8(tx.body))).toMatchObject({
      result: { hash, height: String(devnet.tip), index: block!.texts[0]!.blockIndex },
    });
  });

  it('says when the chain refuses a transaction', async () => {
    const transport: Transport = {
      name: 'u',
      request: async () => ({
        status: 200,
        body: utf8(JSON.stringify({ id: 0, result: { code: 2, log: '', hash: 'AB'.repeat(32) } })),
      }),
    };
    const client = createCometClient({ transport, clock }, { textPrefix: 'k' });
    await expect(client.send('kith', { signal })).rejects.toMatchObject({ code: 'transaction-refused' });
  });
});
