// The shares one recovery attempt was given: checked one by one, grouped by deal, combined once a deal is complete.

import { equalBytes, toBase64Url } from '../core/bytes.ts';
import type { NodeId } from '../core/ids.ts';
import type { Secret } from '../core/secret.ts';
import { checkDealtShare, commitToKey, type DealComplaint } from './deal.ts';
import type { JournalHead } from './journal-head.ts';
import type { DealtShare, Released } from './messages.ts';
import type { HeaderView, ReadHeader } from './ports.ts';
import type { KnownDeal } from './prepare-deal.ts';
import { combineShares, type Share } from './shares.ts';

export type ReleaseFault =
  | DealComplaint
  /** A deal of another node or store. */
  | 'other-store'
  /** An answer to another attempt. */
  | 'stale-answer';

interface Group {
  readonly view: HeaderView;
  readonly dealId: Uint8Array;
  readonly header: Uint8Array;
  /** Of the boot that dealt it. */
  readonly incarnation: number;
  readonly shares: Share[];
  broken: boolean;
}

export interface Combined {
  readonly key: Secret;
  readonly header: Uint8Array;
  readonly deal: KnownDeal;
  readonly keyEpochMax: number;
  readonly heads: readonly { readonly nodeId: NodeId; readonly head: JournalHead }[];
  readonly faulty: readonly { readonly nodeId: NodeId; readonly fault: ReleaseFault }[];
}

export interface Releases {
  /** Takes over the shares of a release. What is wrong with it, if something is: its good deals count all the same. */
  add(server: NodeId, released: Released): ReleaseFault | undefined;
  /** What was said of this server's release, if it gave one. */
  wordOf(server: NodeId): 'released' | ReleaseFault | undefined;
  /** The key of the newest complete deal, which matches its header's commitment. */
  combine(): Combined | undefined;
  /** How many shares the deal nearest to completion lacks; undefined without a deal. */
  missing(): number | undefined;
  /** Wipes and forgets everything: shares of different attempts are not combined. */
  clear(): void;
}

/** @param wanted the node and store that are asked for. */
export function createReleases({ readHeader }: { readHeader: ReadHeader }, wanted: HeaderView): Releases {
  const groups = new Map<string, Group>();
  const words = new Map<NodeId, 'released' | ReleaseFault>();
  const heads = new Map<NodeId, JournalHead>();

  function addDeal(server: NodeId, dealt: DealtShare): ReleaseFault | undefined {
    const checked = checkDealtShare(readHeader, dealt, server);
    const fault = checked.kind === 'bad' ? checked.complaint : otherStore(checked.view, wanted);
    if (checked.kind === 'bad' || fault) {
      dealt.share.wipe();
      return fault;
    }
    const { view, dealId } = checked;
    const name = toBase64Url(dealId);
    const group = groups.get(name) ?? {
      view,
      dealId,
      header: dealt.header,
      incarnation: dealt.incarnation,
      shares: [],
      broken: false,
    };
    groups.set(name, group);
    if (group.shares.some(({ index }) => index === dealt.index)) dealt.share.wipe();
    else group.shares.push({ index: dealt.index, value: dealt.share });
    return undefined;
  }

  const faulty = () =>
    [...words].flatMap(([nodeId, word]) => (word === 'released' ? [] : [{ nodeId, fault: word } as const]));

  return {
    add(server, released) {
      if (released.head) heads.set(server, released.head);
      const faults = released.deals.map((dealt) => addDeal(server, dealt)).filter((fault) => fault !== undefined);
      words.set(server, faults[0] ?? 'released');
      return faults[0];
    },
    wordOf: (server) => words.get(server),
    combine() {
      for (const group of [...groups.values()].sort(newestFirst)) {
        const { view, dealId, header, shares } = group;
        if (group.broken || shares.length < view.threshold) continue;
        const key = combineShares(shares, view.threshold);
        if (equalBytes(commitToKey(key), view.keyCommitment)) {
          const { keyEpoch, threshold, keyServers } = view;
          return {
            key,
            header,
            deal: { dealId, keyEpoch, threshold, keyServers },
            keyEpochMax: Math.max(wanted.keyEpoch, ...[...groups.values()].map((other) => other.view.keyEpoch)),
            heads: [...heads].map(([nodeId, head]) => ({ nodeId, head })),
            faulty: faulty(),
          };
        }
        // Its dealer signed commitments to shares of something else; no other choice of shares would help.
        key.wipe();
        group.broken = true;
      }
      return undefined;
    },
    missing() {
      const lacking = [...groups.values()]
        .filter(({ broken }) => !broken)
        .map(({ view, shares }) => Math.max(0, view.threshold - shares.length));
      return lacking.length > 0 ? Math.min(...lacking) : undefined;
    },
    clear() {
      for (const { shares } of groups.values()) for (const { value } of shares) value.wipe();
      groups.clear();
      words.clear();
      heads.clear();
    },
  };
}

const otherStore = (view: HeaderView, wanted: HeaderView): 'other-store' | undefined =>
  view.nodeId === wanted.nodeId && equalBytes(view.storeId, wanted.storeId) ? undefined : 'other-store';

const newestFirst = (a: Group, b: Group): number => b.view.keyEpoch - a.view.keyEpoch || b.incarnation - a.incarnation;
