import { describe, expect, it } from 'vitest';
import { createWalletClient } from '../../../src/client/index.ts';
import { KithError } from '../../../src/core/errors.ts';
import { cluster, createFakeNode } from '../../support/fake-node.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { rejectionOf } from '../../support/outcome.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { wallet } from '../../support/wallet-client.ts';

const { signal } = new AbortController();

/** A client of one node that refuses with `code` until it is told to serve. */
function benchOf(code: string) {
  const clock = createManualClock(1_760_000_000_000);
  const state = { refuses: true };
  const node = createFakeNode({
    clock,
    refuse: () => (state.refuses ? new KithError(code, 'wait') : undefined),
  });
  const client = createWalletClient(
    { transport: node.transport, clock, random: seededRandom('client') },
    { cluster, nodes: ['http://node.example'] },
  );
  return { clock, state, node, client };
}

describe('an operation', () => {
  it('is tried again while the node starts, within the time the caller gives it', async () => {
    const { clock, state, client } = benchOf('not-ready');
    const registering = client.register(wallet, { signal, waitMs: 30_000 });
    await clock.advance(20_000);
    state.refuses = false;
    expect(await clock.settle(registering)).toMatchObject({ status: 'confirmed' });
  });

  it('ends with the last reason when the time is over, at once without time, and at once if nothing can change', async () => {
    const starting = benchOf('not-ready');
    const began = starting.clock.monotonic();
    const late = rejectionOf(starting.client.register(wallet, { signal, waitMs: 30_000 }));
    expect((await starting.clock.settle(late))?.code).toBe('not-ready');
    expect(starting.clock.monotonic() - began).toBeLessThanOrEqual(30_000);
    expect(starting.clock.monotonic() - began).toBeGreaterThan(15_000);
    const impatient = rejectionOf(starting.client.register(wallet, { signal }));
    expect((await starting.clock.settle(impatient))?.code).toBe('not-ready');
    const refused = benchOf('superseded');
    const asked = rejectionOf(refused.client.register(wallet, { signal, waitMs: 30_000 }));
    expect((await refused.clock.settle(asked))?.code).toBe('superseded');
    expect(refused.node.posted.length).toBeLessThanOrEqual(1);
  });
});
