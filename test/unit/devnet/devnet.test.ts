// The simulated chain's answers, its quirks and its faults.

import { describe, expect, it } from 'vitest';
import { fromUtf8, utf8 } from '../../../src/core/bytes.ts';
import { createDevnet, type Devnet, parseReplay } from '../../../src/devnet/index.ts';
import { flagHex, madeUpLines, recordedChain, replayOf } from '../../support/replay.ts';

const { signal } = new AbortController();
const LINES = madeUpLines(100, 41);

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

async function get(devnet: Devnet, target: string): Promise<Answer> {
  return read(await devnet.answer({ method: 'GET', target }, { signal }));
}

async function post(devnet: Devnet, target: string, body: unknown): Promise<Answer> {
  return read(await devnet.answer({ method: 'POST', target, body: utf8(JSON.stringify(body)) }, { signal }));
}

function read({ status, body }: { status: number; body: Uint8Array }): Answer {
  const text = fromUtf8(body);
  const json = (/^[{[]/.test(text) ? JSON.parse(text) : {}) as Record<string, unknown>;
  return { status, text, json };
}

describe('a replay file', () => {
  it('is read as it is', () => {
    const replay = recordedChain();
    expect([replay.first, replay.last]).toEqual([1_031_830, 1_034_829]);
    expect([...replay.transactions.values()].flat().length).toBe(1_607);
    expect(replay.transactions.get(1_033_330)?.length).toBe(120);
  });

  it.each([
    ['', 'the replay file has no transaction'],
    ['{"height":1}', 'replay line 1: the whole lacks the field block_index'],
    ['nonsense', 'replay line 1: not JSON'],
    [
      `{"height":1,"block_index":0,"flags":["${'00'.repeat(110)}"]}`,
      'replay line 1: field flags.0 must be 222 hex digits',
    ],
    [
      '{"height":2,"block_index":0,"flags":null}\n{"height":1,"block_index":0,"flags":null}',
      'replay line 2: (height 1, block_index 0) must come after',
    ],
    [
      '{"height":2,"block_index":0,"flags":null}\n{"height":2,"block_index":0,"flags":null}',
      'replay line 2: (height 2, block_index 0) must come after',
    ],
    ['{"height":2,"block_index":0,"flags":null}\n\n', 'replay line 2: not JSON'],
    [
      '{"height":1,"block_index":50000,"flags":null}',
      'block_index 50000 is above 49999, the largest of a simulated block',
    ],
    ['{"height":1,"block_index":0,"flags":null}\n{"height":99000000,"block_index":0,"flags":null}', 'spans more than'],
  ])('is refused with the line that is wrong (%#)', (text, message) => {
    expect(() => parseReplay(text)).toThrow(message);
  });
});

describe('the simulated chain', () => {
  it('has the whole replay at once, or as much as it is told, then goes on with empty blocks', async () => {
    const whole = createDevnet({ replay: replayOf(LINES) });
    expect([whole.first, whole.tip]).toEqual([100, 140]);
    const part = createDevnet({ replay: replayOf(LINES), startAfter: 10 });
    expect(part.tip).toBe(109);
    expect(createDevnet({ replay: replayOf(LINES), startAfter: 1_000_000 }).tip).toBe(140);
    expect(createDevnet({ replay: replayOf(LINES), startAfter: 0 }).tip).toBe(99);
    part.advance(40);
    expect(part.tip).toBe(149);
    const { json } = await get(part, '/block_results?height=145');
    expect(json['result']).toMatchObject({ height: '145', txs_results: null, end_block_events: null });
  });

  it('reports its first height as its earliest', async () => {
    const { json } = await get(createDevnet({ replay: replayOf(LINES) }), '/status');
    expect(json['result']).toMatchObject({
      node_info: { network: 'kith-devnet' },
      sync_info: { earliest_block_height: '100', latest_block_height: '140', catching_up: false },
    });
  });

  it('takes a transaction by URI and by JSON-RPC, into the next block, once', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES), startAfter: 5 });
    const first = await get(devnet, '/broadcast_tx_sync?tx="kith/a=b"');
    expect(first.json['result']).toMatchObject({ code: 0 });
    const tx = Buffer.from('kith/a=b').toString('base64');
    const again = await post(devnet, '/', { jsonrpc: '2.0', id: 7, method: 'broadcast_tx_sync', params: { tx } });
    expect(again.json).toMatchObject({ id: 7, error: { code: -32603, data: 'tx already exists in cache' } });
    devnet.advance(2);
    const { json } = await get(devnet, '/block?height=105');
    const { txs } = (json['result'] as { block: { data: { txs: string[] } } }).block.data;
    expect(txs.filter((one) => one === tx).length).toBe(1);
    const after = await get(devnet, '/block?height=106');
    expect(after.text).not.toContain(tx);
  });

  it('answers wrong questions as a node does', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES) });
    expect(await get(devnet, '/block?height=141')).toMatchObject({
      status: 500,
      json: { error: { data: 'height 141 must be less than or equal to the current blockchain height 140' } },
    });
    expect((await get(devnet, '/block?height=99')).json).toMatchObject({
      error: { data: 'height 99 is not available, lowest height is 100' },
    });
    expect((await get(devnet, '/block?height=x')).json).toMatchObject({ error: { code: -32602 } });
    expect(await get(devnet, '/unknown')).toMatchObject({ status: 404, text: '404 page not found\n' });
    expect((await post(devnet, '/', { id: 1, method: 'unknown' })).json).toMatchObject({ error: { code: -32601 } });
    expect((await post(devnet, '/', { id: 1 })).json).toMatchObject({ error: { code: -32600 } });
    expect((await post(devnet, '/', 'text')).json).toMatchObject({ error: { code: -32600 } });
    expect((await post(devnet, '/', [])).json).toMatchObject({ error: { code: -32600 } });
    expect(await get(devnet, '//')).toMatchObject({ status: 400 });
    const bytes = await devnet.answer({ method: 'POST', target: '/', body: Uint8Array.of(0xff) }, { signal });
    expect(fromUtf8(bytes.body)).toContain('-32600');
    expect((await get(devnet, '/broadcast_tx_sync?tx=$')).json).toMatchObject({ error: { code: -32602 } });
  });

  it("has the masp-indexer's quirks: its height, its limits, its bodies of errors", async () => {
    const devnet = createDevnet({
      replay: replayOf([
        { height: 100, block_index: 1, flags: [flagHex('a')] },
        { height: 108, block_index: 0, flags: null },
      ]),
    });
    devnet.advance(20);
    expect((await get(devnet, '/api/v1/height')).json).toEqual({ block_height: 108 });
    const { json } = await get(devnet, '/api/v1/tx?height=90&height_offset=18');
    const { txs } = json as unknown as {
      txs: { block_height: number; block_index: number; batch: { bytes: number[] }[] }[];
    };
    expect(txs.map((tx) => [tx.block_height, tx.block_index, tx.batch.length])).toEqual([
      [100, 1, 1],
      [108, 0, 1],
    ]);
    expect(await get(devnet, '/api/v1/tx?height=100&height_offset=9')).toMatchObject({
      status: 500,
      json: { code: 500 },
    });
    expect(await get(devnet, '/api/v1/tx?height=70&height_offset=31')).toMatchObject({ status: 408 });
    expect(await get(devnet, '/api/v1/tx?height=0&height_offset=1')).toMatchObject({ status: 400, json: {} });
    expect(await get(devnet, '/api/v1/block-index')).toMatchObject({ status: 404, json: { code: 404 } });
    expect(await get(devnet, '/api/v1/nothing')).toMatchObject({
      status: 404,
      json: { error: { message: 'The requested resource does not exist on this server!' } },
    });
    expect((await get(devnet, '/health')).json).toEqual({ commit: 'devnet', version: 'devnet' });
  });
});

describe('faults', () => {
  it('are set and shown over their own path, and a wrong request changes nothing', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES) });
    expect(await post(devnet, '/devnet/faults', { rates: { errors: 1 } })).toMatchObject({ status: 200 });
    expect((await get(devnet, '/devnet/faults')).json).toEqual({ rates: { errors: 1 } });
    expect((await get(devnet, '/status')).status).toBe(500);
    for (const wrong of [
      { rates: { errors: 2 } },
      { rates: { unknown: 1 } },
      { backwards: -1 },
      'text',
      { chainId: '' },
    ]) {
      expect((await post(devnet, '/devnet/faults', wrong)).status).toBe(400);
    }
    expect((await get(devnet, '/devnet/faults')).json).toEqual({ rates: { errors: 1 } });
    await post(devnet, '/devnet/faults', { rates: {} });
    expect((await get(devnet, '/status')).status).toBe(200);
  });

  it('fall on the same answers for the same seed', async () => {
    const outcomes = async (seed: number) => {
      const devnet = createDevnet({ replay: replayOf(LINES), seed });
      devnet.fault({ rates: { errors: 0.3, garbage: 0.3, truncated: 0.2 } });
      const all: string[] = [];
      for (let i = 0; i < 50; i++) {
        const { status, body } = await devnet.answer({ method: 'GET', target: '/status' }, { signal });
        all.push(`${status} ${Buffer.from(body).toString('hex')}`);
      }
      return all;
    };
    expect(await outcomes(1)).toEqual(await outcomes(1));
    expect(await outcomes(1)).not.toEqual(await outcomes(2));
  });

  it('of the chain as a whole: backwards until the next block, reset, another chain', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES), startAfter: 30 });
    const hashAt = async (height: number) => (await get(devnet, `/block?height=${height}`)).text;
    const before = await hashAt(105);
    devnet.fault({ backwards: 10 });
    expect(devnet.tip).toBe(119);
    expect((await get(devnet, '/block?height=120')).status).toBe(500);
    devnet.advance();
    expect(devnet.tip).toBe(130);
    expect(await hashAt(105)).toBe(before);
    devnet.fault({ reset: true });
    expect(devnet.tip).toBe(99);
    expect((await get(devnet, '/status')).json).toMatchObject({ result: { sync_info: { latest_block_height: '0' } } });
    devnet.advance(10);
    expect(await hashAt(105)).not.toBe(before);
    devnet.fault({ chainId: 'other' });
    expect((await get(devnet, '/status')).json).toMatchObject({ result: { node_info: { network: 'other' } } });
  });
});
