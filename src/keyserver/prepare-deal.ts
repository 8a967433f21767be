// Makes one deal: a fresh sealing key, its signed header, its shares and what goes to each key server.

import type { NodeId } from '../core/ids.ts';
import type { Random } from '../core/ports.ts';
import { Secret } from '../core/secret.ts';
import { commitToKey, commitToShare, dealIdOf, dealMessage } from './deal.ts';
import type { JournalHead } from './journal-head.ts';
import type { DepositRequest } from './messages.ts';

import { SEALING_KEY_BYTES, splitKey } from './shares.ts';

/** A deal as its owner knows it. */
export interface KnownDeal {
  readonly dealId: Uint8Array;
  readonly keyEpoch: number;
  readonly threshold: number;
  readonly keyServers: readonly NodeId[];
}

/** Where a key server listens, for the header. */
export interface KeyServerAddress {
  readonly nodeId: NodeId;
  readonly addresses: readonly string[];
}

/** The owner's store, as far as custody is concerned. */
export interface OwnStore {
  /** The header for this sealing key: the data key wrapped with it, signed by the node key. Writes nothing. */
  signHeader(fields: {
    readonly sealingKey: Secret;
    readonly keyEpoch: number;
    readonly threshold: number;
    readonly keyServers: readonly KeyServerAddress[];
  }): Uint8Array;
  /** Ed25519 signature of the node key. */
  sign(message: Uint8Array): Uint8Array;
  /** Replaces the header beside the store; resolves once that survives a crash. */
  writeHeader(header: Uint8Array, options: { signal: AbortSignal }): Promise<void>;
  /** How far the journal went. */
  head(): JournalHead | undefined;
}

export interface PreparedDeal extends KnownDeal, Disposable {
  readonly header: Uint8Array;
  /** In the order of the key servers. */
  readonly deposits: readonly DepositRequest[];
}

/** The sealing key is gone when this returns; the shares when the result is disposed of. */
export function prepareDeal(
  deps: { readonly random: Random; readonly store: OwnStore },
  request: {
    readonly owner: NodeId;
    readonly storeId: Uint8Array;
    readonly incarnation: number;
    readonly bootKey: Uint8Array;
    readonly keyEpoch: number;
    readonly threshold: number;
    readonly keyServers: readonly KeyServerAddress[];
    readonly base: Uint8Array | undefined;
  },
): PreparedDeal {
  const { owner, storeId, keyEpoch, threshold, keyServers, base } = request;
  using sealingKey = Secret.own(deps.random.bytes(SEALING_KEY_BYTES));
  const header = deps.store.signHeader({ sealingKey, keyEpoch, threshold, keyServers });
  const keyCommitment = commitToKey(sealingKey);
  const shares = splitKey(deps, sealingKey, { threshold, shares: keyServers.length });
  const commitments = shares.map((share) => commitToShare({ nodeId: owner, storeId, keyEpoch, keyCommitment }, share));
  const dealId = dealIdOf(header, commitments);
  const signature = deps.store.sign(dealMessage(dealId, request));
  const head = deps.store.head();
  return {
    dealId,
    keyEpoch,
    threshold,
    keyServers: keyServers.map(({ nodeId }) => nodeId),
    header,
    deposits: shares.map(({ index, value }) => ({
      kind: 'deposit',
      header,
      index,
      share: value,
      commitments,
      signature,
      base,
      head,
    })),
    [Symbol.dispose]() {
      for (const { value } of shares) value.wipe();
    },
  };
}
