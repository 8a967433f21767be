import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { utf8 } from '../../../src/core/bytes.ts';
import { confirmationBy } from '../../../src/core/certificate.ts';
import { regIdFromBytes } from '../../../src/core/ids.ts';
import { encodeReceipt, type Receipt, splitReceipt } from '../../../src/core/receipt.ts';
import { CONFIRM_MS, createConfirmations, type OperationRef } from '../../../src/replication/index.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { rejectionOf } from '../../support/outcome.ts';
import {
  batchReceiptOf,
  entriesOf,
  operationNamed,
  receiptCluster,
  type Signer,
  signerNamed,
} from '../../support/receipts.ts';

const members = ['me', 'b', 'c', 'd', 'e'].map((name) => signerNamed(name));
const [me, b, c, d] = members as [Signer, Signer, Signer, Signer];
const refOf = (name: string): OperationRef => ({
  opId: operationNamed(name),
  regId: regIdFromBytes(sha256(utf8(`registration ${name}`))),
});
const ref = refOf('x');
const { signal } = new AbortController();

function bench(signers: readonly Signer[] = [me, b, c], options: { platformsMin?: number; trackedMax?: number } = {}) {
  const clock = createManualClock();
  const state = { roster: entriesOf(signers) };
  const asked: OperationRef[][] = [];
  const confirmations = createConfirmations(
    { clock, roster: () => state.roster, ask: (refs) => void asked.push([...refs]) },
    { nodeId: me.nodeId, platformsMin: 1, ...options },
  );
  const give = (signer: Signer, ...refs: OperationRef[]) =>
    confirmations.noteReceipts(
      signer.nodeId,
      refs,
      batchReceiptOf(
        signer,
        refs.map(({ opId }) => opId),
      ),
    );
  const own = (of: OperationRef): Receipt => splitReceipt(batchReceiptOf(me, [of.opId]), [of.opId])[0]!;
  const wait = (of = ref, how: { ms?: number; again?: boolean; signal?: AbortSignal } = {}) =>
    confirmations.wait(of, own(of), { signal: new AbortController().signal, ...how });
  /** Whether what was answered convinces somebody who checks it. */
  const convinces = (receipts: readonly Receipt[], of = ref) =>
    confirmationBy(receipts.map(encodeReceipt), { clusterId: receiptCluster, opId: of.opId }, state.roster, 1);
  return { clock, state, asked, confirmations, give, own, wait, convinces };
}

describe('waiting for the quorum', () => {
  it('ends with the receipt that fills it, this node first', async () => {
    const { wait, give, convinces, clock } = bench();
    const waiting = wait();
    give(c, refOf('y'), ref);
    const { kind, receipts } = await waiting;
    expect(kind).toBe('confirmed');
    expect(convinces(receipts)).toMatchObject({ filled: true, nodeIds: [me.nodeId, c.nodeId] });
    expect(clock.pending).toBe(0);
  });

  it('takes what came before anybody waited, each time the operation is sent', async () => {
    const { wait, give, convinces } = bench();
    give(b, ref);
    give(c, ref);
    for (let time = 0; time < 2; time++) {
      const { kind, receipts } = await wait();
      expect([kind, convinces(receipts).nodeIds]).toEqual(['confirmed', [me.nodeId, b.nodeId, c.nodeId]]);
    }
  });

  it('ends pending with the receipts so far when the time is over', async () => {
    const { wait, give, clock, convinces } = bench(members);
    const waiting = wait();
    give(b, ref);
    const { kind, receipts } = await clock.settle(waiting);
    expect([kind, clock.monotonic()]).toEqual(['pending', CONFIRM_MS]);
    expect(convinces(receipts)).toMatchObject({ filled: false, needed: 3, nodeIds: [me.nodeId, b.nodeId] });
    give(c, ref);
    expect((await wait(ref, { ms: 0 })).kind).toBe('confirmed');
  });

  it('is over at once where the node is alone, if one is enough', async () => {
    expect((await bench([me]).wait()).kind).toBe('confirmed');
    const { wait, clock } = bench([me], { platformsMin: 2 });
    expect((await clock.settle(wait())).kind).toBe('pending');
  });

  it('needs as many as the cluster asks for', async () => {
    const { wait, give, clock } = bench([me, b, c], { platformsMin: 3 });
    const waiting = wait();
    give(b, ref);
    await clock.advance(100);
    give(c, ref);
    expect([(await waiting).kind, clock.monotonic()]).toEqual(['confirmed', 100]);
  });

  it('counts this node only if it is a holder and may give receipts', async () => {
    const stranger = bench([b, c, d]);
    const outside = stranger.wait();
    stranger.give(b, ref);
    const { kind, receipts } = await stranger.clock.settle(outside);
    expect([kind, stranger.convinces(receipts).nodeIds]).toEqual(['pending', [b.nodeId]]);
    const rolledBack = bench();
    const without = rolledBack.confirmations.wait(ref, undefined, { signal });
    rolledBack.give(b, ref);
    await rolledBack.clock.advance(10);
    rolledBack.give(c, ref);
    expect(await without).toMatchObject({ kind: 'confirmed', receipts: [{}, {}] });
  });

  it('goes by the roster of the moment', async () => {
    const { wait, give, confirmations, state, clock } = bench(members);
    const waiting = wait();
    give(b, ref);
    state.roster = entriesOf([me, b, c]);
    confirmations.rosterChanged();
    expect([(await waiting).kind, clock.monotonic()]).toEqual(['confirmed', 0]);
    state.roster = entriesOf(members);
    expect((await wait(ref, { ms: 0 })).kind).toBe('pending');
  });

  it('is not fooled by two members on one platform, nor by one operator of three', async () => {
    const twin = signerNamed('twin', 'b');
    const twins = bench([me, b, twin, c, d]);
    const waiting = twins.wait();
    for (const one of [b, twin]) twins.give(one, ref);
    const { kind, receipts } = await twins.clock.settle(waiting);
    expect([kind, receipts.length]).toEqual(['pending', 2]);
    const mine = ['m1', 'm2', 'm3'].map((name) => signerNamed(name, name, me.operator));
    const alone = bench([me, ...mine, b, c]);
    const confirming = alone.wait();
    for (const one of mine) alone.give(one, ref);
    await alone.clock.advance(1_000);
    alone.give(c, ref);
    expect([(await confirming).kind, alone.clock.monotonic()]).toEqual(['confirmed', 1_000]);
  });

  it('ends with the user, and with the node', async () => {
    const { wait, confirmations, clock } = bench();
    const user = new AbortController();
    const gone = rejectionOf(wait(ref, { signal: user.signal }));
    user.abort();
    expect((await gone)?.code).toBe('aborted');
    const left = wait(refOf('y'));
    confirmations.end();
    expect((await left).kind).toBe('pending');
    expect((await wait(refOf('z'))).kind).toBe('pending');
    expect(clock.pending).toBe(0);
  });
});

describe('what is kept of operations', () => {
  it('is bounded: the oldest are answered pending and forgotten', async () => {
    const { wait, give, confirmations, clock } = bench(members, { trackedMax: 3 });
    const waits = ['1', '2', '3', '4'].map((name) => wait(refOf(name)));
    expect((await waits[0]!).kind).toBe('pending');
    expect([clock.monotonic(), confirmations.tracked]).toEqual([0, 3]);
    for (let i = 0; i < 50; i++) give(b, refOf(`flood ${i}`));
    expect((await Promise.all(waits)).map(({ kind }) => kind)).toEqual(['pending', 'pending', 'pending', 'pending']);
    expect([confirmations.tracked, clock.pending]).toEqual([3, 0]);
  });

  it('is asked for again where the operation was held before, many in one question', async () => {
    const { wait, give, asked, clock } = bench();
    const fresh = wait(refOf('fresh'));
    const again = Array.from({ length: 200 }, (_, i) => wait(refOf(`${i}`), { again: true }));
    await clock.advance(50);
    expect(asked.map((refs) => refs.length)).toEqual([128, 72]);
    give(b, ...asked.flat(), refOf('fresh'));
    const outcomes = await Promise.all([...again, fresh]);
    expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['confirmed']));
    await wait(refOf('7'), { again: true });
    await clock.advance(50);
    expect(asked.length).toBe(2);
  });

  it('is asked for after a second where nobody has answered: a member that pulled it was not pushed to', async () => {
    const { wait, give, asked, clock } = bench();
    const waiting = wait(refOf('pulled'));
    await clock.advance(900);
    expect(asked).toEqual([]);
    await clock.advance(200);
    expect(asked).toEqual([[refOf('pulled')]]);
    give(b, refOf('pulled'));
    expect((await waiting).kind).toBe('confirmed');
    expect(clock.pending).toBe(0);
  });
});
