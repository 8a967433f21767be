// Reads the anchors of the chain, block after block from the cursor on. What a chain can show costs little: a text is
// looked at only as far as it is an anchor, and only the first that is wrong of its signatures is verified.

import type { ClusterId } from '../../core/ids.ts';
import { type Anchor, epochOf, positionOf, readAnchorText } from './anchor.ts';
import type { AnchorLedger, Verdict } from './ledger-port.ts';
import { ASIDE_MAX, ASIDE_PER_BLOCK, EPOCH_BLOCKS, INCLUSION_EPOCHS, SEQ_LIMIT, UNSEEN_EPOCHS } from './limits.ts';
import type { AnchorChainBlock, AnchorReport } from './ports.ts';

export interface AnchorCrawler {
  /** Reads a block; the cursor follows. */
  read(block: AnchorChainBlock): Promise<void>;
  /** Looks again at anchors whose roster was not known. */
  retryAside(): Promise<void>;
  /** A member gave an anchor. */
  heard(anchor: Anchor, verdict: Verdict): void;
  /** Anchors wait for a roster. */
  readonly aside: number;
  /** Members accepted anchors that the chain, as far as it was read, should have shown and did not. */
  readonly lacking: number;
}

export function createAnchorCrawler(deps: {
  readonly clusterId: ClusterId;
  readonly ledger: AnchorLedger;
  report?(event: AnchorReport): void;
}): AnchorCrawler {
  const { ledger } = deps;
  let aside: { readonly anchor: Anchor; readonly height: number }[] = [];
  /** Positions of anchors that members gave and no block has shown yet. */
  const unseen = new Set<number>();
  const lacking = new Set<number>();

  function seen(anchor: Anchor): void {
    unseen.delete(positionOf(anchor));
    lacking.delete(positionOf(anchor));
  }

  /** An anchor can be in a block until the end of the epoch after its own. */
  function notice(height: number): void {
    for (const position of unseen) {
      const place = ledger.line.at(position);
      const epoch = Math.floor(position / SEQ_LIMIT);
      if (place && height < (epoch + INCLUSION_EPOCHS) * EPOCH_BLOCKS) continue;
      unseen.delete(position);
      if (!place) continue;
      lacking.add(position);
      deps.report?.({ kind: 'chain-lacks', epoch, seq: position % SEQ_LIMIT });
    }
    // It is said for a while, then the line has gone on.
    for (const position of lacking)
      if (Math.floor(position / SEQ_LIMIT) + UNSEEN_EPOCHS < epochOf(height)) lacking.delete(position);
  }

  return {
    get aside() {
      return aside.length;
    },
    get lacking() {
      return lacking.size;
    },
    async read({ height, texts }) {
      let ignored = 0;
      let kept = 0;
      for (const { text } of texts) {
        const anchor = readAnchorText(deps.clusterId, text);
        const verdict = anchor ? await ledger.consider(anchor, height) : 'malformed';
        if (anchor && (verdict === 'accepted' || verdict === 'known')) seen(anchor);
        else ignored += 1;
        if (anchor && verdict === 'unknown-roster' && kept < ASIDE_PER_BLOCK && aside.length < ASIDE_MAX) {
          kept += 1;
          aside.push({ anchor, height });
        }
      }
      if (ignored > 0) deps.report?.({ kind: 'ignored', height, texts: ignored });
      notice(height);
      await ledger.moveTo(height);
    },
    async retryAside() {
      const waiting = aside;
      aside = [];
      for (const { anchor, height } of waiting) {
        const verdict = await ledger.consider(anchor, height);
        const current = anchor.epoch + 2 * INCLUSION_EPOCHS >= epochOf(ledger.cursor);
        if (verdict === 'unknown-roster' && current) aside.push({ anchor, height });
        else if (verdict === 'accepted' || verdict === 'known') seen(anchor);
      }
    },
    heard(anchor, verdict) {
      if (verdict === 'accepted' && unseen.size < ASIDE_MAX) unseen.add(positionOf(anchor));
    },
  };
}
