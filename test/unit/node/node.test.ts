import { describe, expect, it } from 'vitest';
import { createDevnet } from '../../../src/devnet/index.ts';
import { rejectionOf } from '../../support/outcome.ts';
import { madeUpLines, replayOf } from '../../support/replay.ts';
import { createTestNode } from '../../support/test-node.ts';

const devnet = () => createDevnet({ replay: replayOf(madeUpLines(1_000, 200)) });

describe('a node', () => {
  it('goes through its phases to ready, and says so', async () => {
    const { node, ready, lines } = createTestNode({ devnet: devnet() });
    await ready();
    expect(lines.filter(({ event }) => event === 'phase').map(({ fields }) => fields['phase'])).toEqual([
      'attesting',
      'recovering',
      'catching-up',
      'ready',
    ]);
    expect(node.service.node().heights).toMatchObject({ chain: 1_198, indexed: 1_198, detected: 1_198, first: 1_000 });
  });

  it('takes no recovery shares while its store is open', async () => {
    const { node, ready } = createTestNode({ devnet: devnet() });
    await ready();
    expect(node.service.recovery()).toEqual({ state: 'none' });
    const box = { suite: 's', enc: 'e', ciphertext: 'c' };
    const entering = node.service.enterRecoveryShare(box, { signal: new AbortController().signal });
    expect((await rejectionOf(entering))?.code).toBe('not-recovering');
  });
});
