import { describe, expect, it } from 'vitest';
import { walletRegistrationId } from '../../../src/client/index.ts';
import { bundleForBrowser, chromium } from '../../support/chromium.ts';
import { walletInChromium } from '../../support/client-in-chromium.ts';
import { cluster, createFakeNode, listenFakeNode } from '../../support/fake-node.ts';
import { saySkipped } from '../../support/fixtures.ts';
import { wallet } from '../../support/wallet-client.ts';

if (!chromium) saySkipped('the SDK in a browser', 'no Chromium is installed');

describe('the SDK in a browser', () => {
  it('bundles without Node built-ins, and without what detects or makes quotes', async () => {
    const bundle = await bundleForBrowser("export * from './src/client/index.ts';");
    expect(bundle).not.toMatch(/require\(|node:|\/sys\/kernel\/config|WebAssembly/);
  });

  it.skipIf(!chromium)('verifies, registers and reads from a page of another origin', async () => {
    const node = createFakeNode();
    await using listening = await listenFakeNode(node);
    node.scan(1, 40, [
      [9, 0],
      [12, 3],
      [40, 1],
    ]);
    expect(await walletInChromium([listening.url], cluster, wallet, 40)).toEqual({
      simulated: true,
      id: walletRegistrationId(wallet),
      status: 'confirmed',
      syncedTo: 40,
      entries: [
        [12, 3],
        [40, 1],
      ],
      stranger: 'unknown-registration',
      revoked: 'revoked',
    });
  });
});
