// Faults on request, drawn by seed: what single answers suffer, each with a rate.

import { closed, type Static, shape, Type, text, uint } from '../core/schema.ts';
import type { RpcItem, RpcReply } from './comet.ts';
import type { MaspReply, MaspTxJson } from './masp.ts';

export const FAULT_KINDS = ['errors', 'stalls', 'truncated', 'garbage', 'duplicated', 'reordered'] as const;

/**
 * `errors`: an internal error of the right shape. `stalls`: no answer at all. `truncated`: half of the body.
 * `garbage`: a body of noise. `duplicated`, `reordered`: heights twice, or in another order, or under another's name.
 */
export type FaultKind = (typeof FAULT_KINDS)[number];

/** How often each happens, from 0 (never) to 1 (always). */
export type FaultRates = Readonly<Partial<Record<FaultKind, number>>>;

const RATE = Type.Optional(Type.Number({ minimum: 0, maximum: 1 }));

const REQUEST = closed({
  rates: Type.Optional(
    closed({ errors: RATE, stalls: RATE, truncated: RATE, garbage: RATE, duplicated: RATE, reordered: RATE }),
  ),
  /** Hide this many blocks at the end until the next one. */
  backwards: Type.Optional(uint(10_000_000, 1)),
  /** Start again from the first height with other hashes. */
  reset: Type.Optional(Type.Boolean()),
  /** Go on as another chain. */
  chainId: Type.Optional(text(64, 1)),
});

/** Body of `POST /devnet/faults`. Rates replace all that were set; the others happen once. */
export const FAULT_REQUEST = shape(REQUEST);
export type FaultRequest = Static<typeof REQUEST>;

export class Faults {
  rates: FaultRates = {};
  readonly #chance: () => number;

  constructor(chance: () => number) {
    this.#chance = chance;
  }

  happens(kind: FaultKind): boolean {
    const rate = this.rates[kind] ?? 0;
    return rate > 0 && this.#chance() < rate;
  }

  /** Duplicates and swaps among the answers of one request; a lone one is given under another id. */
  mixRpc(reply: RpcReply): RpcReply {
    const items = [...reply.items];
    if (this.happens('reordered')) {
      const i = this.#below(items.length);
      const j = this.#below(items.length);
      const [a, b] = [items[i]!, items[j]!];
      items[i] = rename(b, a.id);
      items[j] = rename(a, b.id);
      items.reverse();
    }
    if (this.happens('duplicated')) items.splice(this.#below(items.length), 0, items[this.#below(items.length)]!);
    return { ...reply, items, batch: items.length > 1 };
  }

  mixMasp(reply: MaspReply): MaspReply {
    const body = reply.body as { readonly txs?: readonly MaspTxJson[] };
    if (!body.txs || body.txs.length === 0) return reply;
    const txs = [...body.txs];
    if (this.happens('reordered')) txs.reverse();
    if (this.happens('duplicated')) txs.splice(this.#below(txs.length), 0, txs[this.#below(txs.length)]!);
    return { ...reply, body: { txs } };
  }

  spoil(bytes: Uint8Array): Uint8Array {
    if (this.happens('truncated')) return bytes.slice(0, Math.floor(bytes.length / 2));
    if (this.happens('garbage')) return bytes.map(() => this.#below(256));
    return bytes;
  }

  #below(limit: number): number {
    return Math.floor(this.#chance() * limit);
  }
}

function rename(item: RpcItem, id: RpcItem['id']): RpcItem {
  return { ...item, id };
}
