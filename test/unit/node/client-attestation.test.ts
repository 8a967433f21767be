import { describe, expect, it } from 'vitest';
import { equalBytes } from '../../../src/core/bytes.ts';
import { merkleVerify } from '../../../src/core/merkle.ts';
import { createClientAttestation } from '../../../src/node/client-attestation.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const random = seededRandom('client attestation');
const { signal } = new AbortController();

/** Quotes that are finished by the test, and consist of the root they were asked for. */
function slowQuotes() {
  const waiting: { root: Uint8Array; finish: () => void; fail: (error: Error) => void }[] = [];
  const quote = (root: Uint8Array) =>
    new Promise<Uint8Array>((resolve, reject) => {
      waiting.push({ root, finish: () => resolve(root), fail: reject });
    });
  return { waiting, quote };
}

describe('evidence for clients', () => {
  it('covers each nonce with one quote for all that waited', async () => {
    const clock = createManualClock();
    const { waiting, quote } = slowQuotes();
    const attestation = createClientAttestation({ clock, quote });
    const nonces = Array.from({ length: 5 }, () => random.bytes(32));
    const first = attestation.attest(nonces[0]!, { signal });
    await clock.advance(0);
    const rest = nonces.slice(1).map((nonce) => attestation.attest(nonce, { signal }));
    await clock.advance(1_000);
    expect(waiting.length).toBe(1);
    waiting[0]!.finish();
    expect((await first).path.count).toBe(1);
    await clock.advance(0);
    expect(waiting.length).toBe(2);
    waiting[1]!.finish();
    for (const [i, evidence] of (await Promise.all(rest)).entries()) {
      const { root, index, count, path } = evidence.path;
      expect(equalBytes(evidence.quote, root)).toBe(true);
      expect(merkleVerify(root, nonces[i + 1]!, index, count, path)).toBe(true);
    }
  });

  it('asks for no more than four quotes a second', async () => {
    const clock = createManualClock();
    let quotes = 0;
    const attestation = createClientAttestation({
      clock,
      quote: async (root) => {
        quotes++;
        return root;
      },
    });
    for (let i = 0; i < 20; i++) {
      const evidence = attestation.attest(random.bytes(32), { signal });
      await clock.advance(100);
      await clock.settle(evidence);
    }
    expect(quotes).toBeLessThanOrEqual(1 + (20 * 250) / 250);
    expect(clock.monotonic()).toBeGreaterThanOrEqual(19 * 250);
  });

  it('turns away whoever comes when the batch is full, and serves those in it', async () => {
    const clock = createManualClock();
    const { waiting, quote } = slowQuotes();
    const attestation = createClientAttestation({ clock, quote });
    const all = Array.from({ length: 257 }, () => attestation.attest(random.bytes(32), { signal }));
    await expect(all[256]).rejects.toMatchObject({ code: 'quotes-busy' });
    await clock.advance(0);
    waiting[0]!.finish();
    expect((await all[255]!).path).toMatchObject({ index: 255, count: 256 });
  });

  it('fails those of a batch whose quote failed, and goes on with the next', async () => {
    const clock = createManualClock();
    const { waiting, quote } = slowQuotes();
    const attestation = createClientAttestation({ clock, quote });
    const failing = attestation.attest(random.bytes(32), { signal });
    await clock.advance(0);
    waiting[0]!.fail(new Error('no quotes today'));
    await expect(failing).rejects.toThrow('no quotes today');
    const fine = attestation.attest(random.bytes(32), { signal });
    await clock.advance(250);
    waiting[1]!.finish();
    expect((await fine).path.count).toBe(1);
  });

  it('lets a client go that gives up, without harm to the others', async () => {
    const clock = createManualClock();
    const { waiting, quote } = slowQuotes();
    const attestation = createClientAttestation({ clock, quote });
    const controller = new AbortController();
    const leaving = attestation.attest(random.bytes(32), { signal: controller.signal });
    const staying = attestation.attest(random.bytes(32), { signal });
    controller.abort();
    await expect(leaving).rejects.toMatchObject({ code: 'aborted' });
    await clock.advance(0);
    waiting[0]!.finish();
    expect((await staying).path.count).toBe(2);
  });
});
