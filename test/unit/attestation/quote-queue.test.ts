import { describe, expect, it } from 'vitest';
import { createQuoter, type QuoteSource } from '../../../src/attestation/providers/quote-source.ts';
import { parseQuote } from '../../../src/attestation/quote.ts';
import {
  type ClientClaim,
  type PeerClaim,
  type ReportClaim,
  type ReportData,
  reportDataOf,
} from '../../../src/attestation/report-data.ts';
import { simulatedQuote } from '../../../src/attestation/simulated/quote.ts';
import { utf8 } from '../../../src/core/bytes.ts';
import { clusterIdFromBytes, nodeIdFromBytes } from '../../../src/core/ids.ts';
import { measurements, NOW, platform } from '../../support/attestation.ts';
import { createManualClock } from '../../support/manual-clock.ts';

const bytes = (value: number) => new Uint8Array(32).fill(value);
const common = {
  clusterId: clusterIdFromBytes(bytes(1)),
  configurationHash: bytes(2),
  nodeId: nodeIdFromBytes(bytes(3)),
  hpkeKey: bytes(4),
};
const client = (n: number): ClientClaim => ({
  purpose: 'client',
  ...common,
  rosterHash: bytes(5),
  noncesRoot: bytes(n),
});
const peer = (n: number): PeerClaim => ({
  purpose: 'peer',
  ...common,
  ownNonce: bytes(n),
  peerNonce: bytes(6),
  ownBootKey: bytes(7),
  peerBootKey: bytes(8),
  role: 'responder',
  incarnation: 1,
  phase: 'ready',
});
const quoteFor = (reportData: Uint8Array) => simulatedQuote(platform, { reportData, measurements });
/** Lets promise jobs run. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
const failsWith = (code: string) => expect.objectContaining({ code });

/** A source whose quotes are made when the test says so. */
function heldSource() {
  const asked: { reportData: ReportData; finish: (quote?: Uint8Array) => void; fail: (error: Error) => void }[] = [];
  const source: QuoteSource = {
    kind: 'simulated',
    quote: (reportData) =>
      new Promise((resolve, reject) => {
        asked.push({ reportData, finish: (quote) => resolve(quote ?? quoteFor(reportData)), fail: reject });
      }),
  };
  return { source, asked };
}

describe('the queue for quotes', () => {
  const started = NOW * 1000;

  it('makes one quote at a time, nodes before clients, each in the order of asking', async () => {
    const { source, asked } = heldSource();
    const quoter = createQuoter({ source, clock: createManualClock(started) });
    const claims: ReportClaim[] = [client(1), client(2), peer(3), peer(4)];
    const order: number[] = [];
    const quotes = claims.map((claim, i) => quoter.quote(claim).then(() => order.push(i)));
    for (let i = 0; i < claims.length; i++) {
      await settle();
      expect(asked.length).toBe(i + 1);
      asked[i]!.finish();
    }
    await Promise.all(quotes);
    // The first was under way before the nodes came.
    expect(order).toEqual([0, 2, 3, 1]);
  });

  it('returns a quote for the claim, and refuses one with other report data', async () => {
    const { source, asked } = heldSource();
    const quoter = createQuoter({ source, clock: createManualClock(started) });
    const good = quoter.quote(peer(1));
    await settle();
    asked[0]!.finish();
    expect(parseQuote(await good).report.reportData).toEqual(reportDataOf(peer(1)));
    const replayed = quoter.quote(peer(2));
    await settle();
    asked[1]!.finish(quoteFor(reportDataOf(peer(1))));
    await expect(replayed).rejects.toThrow(failsWith('quote-mismatch'));
    const garbage = quoter.quote(peer(3));
    await settle();
    asked[2]!.finish(utf8('no quote'));
    await expect(garbage).rejects.toThrow(failsWith('quote-source'));
  });

  it('gives up after its timeout, but leaves the source alone until it has settled', async () => {
    const { source, asked } = heldSource();
    const clock = createManualClock(started);
    const quoter = createQuoter({ source, clock }, { timeoutMs: 1000 });
    const first = quoter.quote(peer(1));
    const second = quoter.quote(peer(2));
    const refusals = Promise.allSettled([first, second]);
    await clock.advance(1000);
    expect((await refusals).map((result) => result.status === 'rejected' && result.reason.code)).toEqual([
      'timeout',
      'timeout',
    ]);
    const third = quoter.quote(peer(3));
    await settle();
    expect(asked.length).toBe(1);
    asked[0]!.finish();
    await settle();
    // The second had given up: the source goes on with the third.
    expect(asked.length).toBe(2);
    expect(asked[1]!.reportData).toEqual(reportDataOf(peer(3)));
    asked[1]!.finish();
    await third;
    expect(clock.pending).toBe(0);
  });

  it('goes on after a failure of the source', async () => {
    const { source, asked } = heldSource();
    const quoter = createQuoter({ source, clock: createManualClock(started) });
    const first = quoter.quote(peer(1));
    const second = quoter.quote(peer(2));
    const refused = expect(first).rejects.toThrow('broken');
    await settle();
    asked[0]!.fail(new Error('broken'));
    await refused;
    await settle();
    asked[1]!.finish();
    await second;
  });

  it('bounds what waits, obeys an abort, and refuses all when stopped', async () => {
    const { source, asked } = heldSource();
    const quoter = createQuoter({ source, clock: createManualClock(started) });
    const working = quoter.quote(client(0));
    const waiting = [1, 2, 3].map((n) => quoter.quote(client(n)));
    const abort = new AbortController();
    const aborted = quoter.quote(client(4), { signal: abort.signal });
    await settle();
    await expect(quoter.quote(client(5))).rejects.toThrow(failsWith('quotes-busy'));
    abort.abort();
    await expect(aborted).rejects.toThrow(failsWith('aborted'));
    const stopped = Promise.allSettled(waiting);
    quoter.stop();
    expect((await stopped).map((result) => result.status === 'rejected' && result.reason.code)).toEqual(
      new Array(3).fill('stopped'),
    );
    await expect(quoter.quote(peer(6))).rejects.toThrow(failsWith('stopped'));
    asked[0]!.finish();
    await working;
    expect(asked.length).toBe(1);
  });
});
