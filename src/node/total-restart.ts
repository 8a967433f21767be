// Total restart: nobody runs any more who holds the sealing key of a store on this disk, and k holders of recovery keys
// give its data key back (docs/RECOVERY.md). Clients enter shares for any store that waits; shares are in memory only
// and gone with the wait. A header proves nothing about who made its data key: a store opened with what `waitForKey`
// gives is to be read, its operations checked as those of any peer, and never written to.

import { toBase64Url, toHex } from '../core/bytes.ts';
import { encodeCbor } from '../core/cbor.ts';
import { abortError, throwIfAborted } from '../core/deadline.ts';
import { KithError } from '../core/errors.ts';
import type { HpkeKeyPair } from '../core/hpke.ts';
import type { ClusterId, NodeId } from '../core/ids.ts';
import type { Random } from '../core/ports.ts';
import { fromSealedBox, openRequest, type SealedBox } from '../core/sealed-request.ts';
import type { Secret } from '../core/secret.ts';
import {
  createRecoveryCollector,
  decodeRecoveryShare,
  type RecoveryCollector,
  type RecoveryShare,
  type ShareEntered,
  storeIdHashOf,
} from '../keyserver/index.ts';
import type { Log } from './log.ts';
import type { NodeService, RecoveryAnswer, RecoveryState, WaitingStore } from './service.ts';
import type { StoreHeader } from './store/index.ts';

export interface TotalRestartDeps {
  readonly random: Random;
  readonly log: Log;
  readonly clusterId: ClusterId;
  /** The id that this node's quotes name now: a name of this boot while it has none of its own. */
  readonly nodeId: () => NodeId;
  /** The key that they name. */
  readonly hpkeKeyPair: HpkeKeyPair;
}

export interface TotalRestart extends Pick<NodeService, 'recovery' | 'enterRecoveryShare'> {
  /**
   * Asks for shares of this store's data key until there are enough of them. One wait for each store.
   * @returns the key, owned by the caller; undefined if the store was wrapped to no recovery keys.
   * @throws KithError `bad-recovery-wrap`, or the signal's reason; no share is kept then.
   */
  waitForKey(header: StoreHeader, options: { signal: AbortSignal }): Promise<Secret | undefined>;
  /** What to tell operators; undefined if no store waits. */
  note(): string | undefined;
}

interface Wait {
  readonly header: StoreHeader;
  readonly storeIdHash: Uint8Array;
  readonly wrapped: Uint8Array;
  readonly collector: RecoveryCollector;
  readonly give: (dataKey: Secret) => void;
}

type RefusalReason = Extract<ShareEntered, { kind: 'refused' }>['reason'];

const DETAILS: Readonly<Record<Exclude<RefusalReason, 'duplicate'>, string>> = {
  'wrong-store': 'The share is of another store than those that wait for their keys on this node.',
  'other-wrap': 'The share is of an earlier or later wrapping of the key of this store: fetch it again.',
  'bad-share': 'The share is not the one that the node of this store committed to.',
  'bad-wrap': 'The shares are as committed and do not give the key: whoever wrapped it did not wrap this key.',
  closed: 'No store waits for recovery shares here.',
};

const notRecovering = (): KithError => new KithError('not-recovering', 'No store waits for recovery shares here.');

function describe({ header, storeIdHash, wrapped, collector }: Wait): WaitingStore {
  const { entered, needed } = collector;
  return {
    nodeId: header.nodeId,
    storeIdHash: toBase64Url(storeIdHash),
    blob: toBase64Url(wrapped),
    threshold: needed,
    entered,
    needed,
  };
}

export function createTotalRestart(deps: TotalRestartDeps): TotalRestart {
  const { log, clusterId } = deps;
  /** By hash of the store id, in the order in which they began to wait. */
  const waits = new Map<string, Wait>();

  function recovery(): RecoveryState {
    const [first, ...others] = [...waits.values()].map(describe);
    if (!first) return { state: 'none' };
    return { state: 'total-restart', ...first, ...(others.length > 0 ? { others } : {}) };
  }

  /** An entered share, handed to the wait for its store. @throws KithError as the service method. */
  function enter(share: RecoveryShare): Omit<RecoveryAnswer, 'sealed'> {
    const wait = waits.get(toHex(share.storeIdHash)) ?? [...waits.values()][0]!;
    const { collector, header } = wait;
    const outcome = collector.enter(share);
    // Entering a share twice is what whoever lost the answer does.
    if (outcome.kind === 'refused' && outcome.reason !== 'duplicate') {
      const { reason } = outcome;
      log.warn('recovery-share-refused', { nodeId: header.nodeId, reason, share: share.index });
      throw new KithError(reason === 'closed' ? 'not-recovering' : reason, DETAILS[reason]);
    }
    const { entered, needed } = collector;
    const dataKey = outcome.kind === 'taken' ? outcome.dataKey : undefined;
    if (outcome.kind === 'taken') log.info('recovery-share', { nodeId: header.nodeId, entered, needed });
    if (dataKey) wait.give(dataKey);
    return { entered, needed, status: dataKey ? 'opened' : 'waiting' };
  }

  async function enterRecoveryShare(box: SealedBox): Promise<RecoveryAnswer> {
    if (waits.size === 0) throw notRecovering();
    const context = { clusterId, nodeId: deps.nodeId(), kind: 'recover' } as const;
    const { plaintext, sealAnswer } = openRequest(deps, deps.hpkeKeyPair, context, fromSealedBox(box));
    try {
      const answer = enter(decodeRecoveryShare(plaintext));
      const sealed = sealAnswer(encodeCbor({ ...answer }));
      return {
        ...answer,
        sealed: { nonce: toBase64Url(sealed.nonce), ciphertext: toBase64Url(sealed.ciphertext) },
      };
    } finally {
      plaintext.fill(0);
    }
  }

  function beginWait(header: StoreHeader, name: string, { signal }: { signal: AbortSignal }): Promise<Secret> {
    const wrapped = header.recoveryWrappedDataKey!;
    const storeIdHash = storeIdHashOf(header.storeId);
    // A header of another cluster is launch's to refuse; the shares would not open for this one either.
    const context = { clusterId: header.clusterId, nodeId: header.nodeId, storeIdHash };
    const collector = createRecoveryCollector(wrapped, context);
    log.warn('total-restart', { nodeId: header.nodeId, needed: collector.needed });
    return new Promise<Secret>((resolve, reject) => {
      const end = () => {
        signal.removeEventListener('abort', onAbort);
        waits.delete(name);
        collector.wipe();
      };
      const onAbort = () => {
        end();
        reject(abortError(signal));
      };
      const give = (dataKey: Secret) => {
        end();
        resolve(dataKey);
      };
      waits.set(name, { header, storeIdHash, wrapped, collector, give });
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  return {
    recovery,
    enterRecoveryShare,
    async waitForKey(header, options) {
      throwIfAborted(options.signal);
      if (!header.recoveryWrappedDataKey) return undefined;
      const name = toHex(storeIdHashOf(header.storeId));
      if (waits.has(name)) throw new KithError('internal', 'shares of this store are waited for already');
      return beginWait(header, name, options);
    },
    note() {
      const [first] = waits.values();
      if (!first) return undefined;
      const { entered, needed } = first.collector;
      const more = waits.size > 1 ? `; ${waits.size - 1} more wait` : '';
      const shares = `${entered} of ${needed} recovery shares entered`;
      return `total-restart: the store of node ${first.header.nodeId} waits for its key, ${shares}${more}`;
    },
  };
}
