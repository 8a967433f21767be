// Total restart: nobody runs any more who holds the sealing key of the store on this disk, and k holders of recovery
// keys give its data key back (docs/RECOVERY.md). Launch waits here for the key; clients enter shares meanwhile. Shares
// are in memory only and gone with the wait. A header proves nothing about who made its data key: a store opened with
// what `waitForKey` gives is to be read, its operations checked as those of any peer, and never written to.

import { toBase64Url } from '../core/bytes.ts';
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
  type ShareEntered,
  storeIdHashOf,
} from '../keyserver/index.ts';
import type { Log } from './log.ts';
import type { NodeService, RecoveryAnswer, RecoveryState } from './service.ts';
import type { StoreHeader } from './store/index.ts';

export interface TotalRestartDeps {
  readonly random: Random;
  readonly log: Log;
  readonly clusterId: ClusterId;
  /** The id and the key that this node's quotes name now, while its store is closed. */
  readonly nodeId: NodeId;
  readonly hpkeKeyPair: HpkeKeyPair;
}

export interface TotalRestart extends Pick<NodeService, 'recovery' | 'enterRecoveryShare'> {
  /**
   * Asks for shares of this store's data key until there are enough of them. One wait at a time.
   * @returns the key, owned by the caller; undefined if the store was wrapped to no recovery keys.
   * @throws KithError `bad-recovery-wrap`, or the signal's reason; no share is kept then.
   */
  waitForKey(header: StoreHeader, options: { signal: AbortSignal }): Promise<Secret | undefined>;
}

/** What a share is answered with where no store waits for one. */
export const notRecovering = (): KithError =>
  new KithError('not-recovering', 'No store waits for recovery shares here.');

interface Wait {
  readonly header: StoreHeader;
  readonly storeIdHash: Uint8Array;
  readonly wrapped: Uint8Array;
  readonly collector: RecoveryCollector;
  readonly give: (dataKey: Secret) => void;
}

type RefusalReason = Extract<ShareEntered, { kind: 'refused' }>['reason'];

const DETAILS: Readonly<Record<Exclude<RefusalReason, 'duplicate'>, string>> = {
  'wrong-store': 'The share is of another store than the one on the disk of this node.',
  'other-wrap': 'The share is of an earlier or later wrapping of the key of this store: fetch it again.',
  'bad-share': 'The share is not the one that the node of this store committed to.',
  'bad-wrap': 'The shares are as committed and do not give the key: whoever wrapped it did not wrap this key.',
  closed: 'No store waits for recovery shares here.',
};

export function createTotalRestart(deps: TotalRestartDeps): TotalRestart {
  const { log, clusterId, nodeId } = deps;
  let waiting: Wait | undefined;

  function recovery(): RecoveryState {
    if (!waiting) return { state: 'none' };
    const { header, storeIdHash, wrapped, collector } = waiting;
    const { entered, needed } = collector;
    return {
      state: 'total-restart',
      nodeId: header.nodeId,
      storeIdHash: toBase64Url(storeIdHash),
      blob: toBase64Url(wrapped),
      threshold: needed,
      entered,
      needed,
    };
  }

  /** The share in these bytes, entered. @throws KithError as the service method. */
  function enter(wait: Wait, plaintext: Uint8Array): Omit<RecoveryAnswer, 'sealed'> {
    const share = decodeRecoveryShare(plaintext);
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
    const wait = waiting;
    if (!wait) throw notRecovering();
    const context = { clusterId, nodeId, kind: 'recover' } as const;
    const { plaintext, sealAnswer } = openRequest(deps, deps.hpkeKeyPair, context, fromSealedBox(box));
    try {
      const answer = enter(wait, plaintext);
      const sealed = sealAnswer(encodeCbor({ ...answer }));
      return {
        ...answer,
        sealed: { nonce: toBase64Url(sealed.nonce), ciphertext: toBase64Url(sealed.ciphertext) },
      };
    } finally {
      plaintext.fill(0);
    }
  }

  function waitForKey(header: StoreHeader, { signal }: { signal: AbortSignal }): Promise<Secret> {
    const wrapped = header.recoveryWrappedDataKey!;
    const storeIdHash = storeIdHashOf(header.storeId);
    // A header of another cluster is launch's to refuse; the shares would not open for this one either.
    const context = { clusterId: header.clusterId, nodeId: header.nodeId, storeIdHash };
    const collector = createRecoveryCollector(wrapped, context);
    return new Promise<Secret>((resolve, reject) => {
      const end = () => {
        signal.removeEventListener('abort', onAbort);
        waiting = undefined;
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
      waiting = { header, storeIdHash, wrapped, collector, give };
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  return {
    recovery,
    enterRecoveryShare,
    async waitForKey(header, options) {
      throwIfAborted(options.signal);
      if (!header.recoveryWrappedDataKey) return undefined;
      if (waiting) throw new KithError('internal', 'a total restart is under way already');
      const dataKey = waitForKey(header, options);
      log.warn('total-restart', { nodeId: header.nodeId, needed: waiting!.collector.needed });
      return dataKey;
    },
  };
}
