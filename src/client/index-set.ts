// Reading an index set from one node or several: answers are opened with the data key, checked whole, and added to
// what is known already. An answer adds or changes nothing; none takes anything back.

import { fromBase64Url } from '../core/bytes.ts';
import { isKithError, KithError } from '../core/errors.ts';
import type { ClusterId, RegId } from '../core/ids.ts';
import {
  addAnswer,
  ENTRIES_PER_ANSWER_MAX,
  emptyView,
  type IndexSetView,
  indexSetKey,
  mergeViews,
  type OpenedIndexSet,
  openIndexSet,
  viewSyncedTo,
} from '../fmd/browser.ts';
import { type CallOptions, indexSetShape, type NodeApi, REQUEST_TIMEOUT_MS } from './api.ts';
import { clientError, noNode } from './errors.ts';
import { type Wallet, walletRegistrationId } from './wallet.ts';

/** Whose index set: all that is needed to ask for it and to open the answers. No wallet, no signing key. */
export interface IndexSetOwner {
  readonly clusterId: ClusterId;
  readonly id: RegId;
  /** 32 bytes. */
  readonly dataKey: Uint8Array;
}

export interface ReadOptions extends CallOptions {
  /** How long the node may wait for a height above those known; 0 to 55 seconds, 0 unless given. */
  readonly waitSeconds?: number;
}

/** What a node waits at most before it answers. */
export const WAIT_SECONDS_MAX = 55;

/** Sixteen million entries; whoever has more reads again. */
const ANSWERS_PER_READ_MAX = 64;
/** An answer ends early at a whole height; no block fills half of it. */
const CUT_ENTRIES_MIN = ENTRIES_PER_ANSWER_MAX / 2;

export const ownerOf = (wallet: Wallet, clusterId: ClusterId): IndexSetOwner => ({
  clusterId,
  id: walletRegistrationId(wallet),
  dataKey: wallet.dataKey,
});

/** Asks once. `since` is exclusive. @throws KithError as `readIndexSet`. */
export async function lookUp(
  { api }: { api: NodeApi },
  { clusterId, id, dataKey }: IndexSetOwner,
  since: number,
  { waitSeconds = 0, ...call }: ReadOptions,
): Promise<OpenedIndexSet> {
  if (!Number.isInteger(waitSeconds) || waitSeconds < 0 || waitSeconds > WAIT_SECONDS_MAX) {
    throw new KithError('bad-parameter', `a node waits 0 to ${WAIT_SECONDS_MAX} whole seconds, not ${waitSeconds}`);
  }
  const timeoutMs = call.timeoutMs ?? REQUEST_TIMEOUT_MS + waitSeconds * 1000;
  const wait = waitSeconds > 0 ? `&wait=${waitSeconds}` : '';
  const path = `/v1/index-sets/${id}?since=${since}${wait}`;
  const { nonce, ciphertext } = await api.get(path, indexSetShape, { ...call, timeoutMs });
  const key = indexSetKey(dataKey);
  try {
    const sealed = { nonce: fromBase64Url(nonce), ciphertext: fromBase64Url(ciphertext) };
    return openIndexSet(key, { clusterId, regId: id, since }, sealed);
  } catch (cause) {
    if (!isKithError(cause)) throw cause;
    const made = isKithError(cause, 'index-set-open');
    const why = made ? `was not made for this wallet, cluster and height: ${cause.message}` : cause.message;
    throw clientError(made ? 'forged-answer' : 'bad-answer', `the index set of ${api.url}: ${why}`, cause);
  } finally {
    key.fill(0);
  }
}

/**
 * The view with what a node has above it: one answer, and those that follow if it did not hold all.
 * @param view what is known; without it everything from the registration's birthday on is read.
 * @throws KithError `forged-answer`, `bad-answer`, `node-unreachable`, or the node's refusal under its code:
 * `unknown-registration`, `not-ready`, `rate-limited`.
 */
export async function readIndexSet(
  deps: { api: NodeApi },
  of: IndexSetOwner,
  view: IndexSetView | undefined,
  options: ReadOptions,
): Promise<IndexSetView> {
  let known = view ?? emptyView();
  let waitSeconds = options.waitSeconds ?? 0;
  for (let answers = 0; answers < ANSWERS_PER_READ_MAX; answers++) {
    const since = viewSyncedTo(known);
    const answer = await lookUp(deps, of, since, { ...options, waitSeconds });
    known = addAnswer(known, answer);
    if (answer.entries.length < CUT_ENTRIES_MIN || viewSyncedTo(known) <= since) break;
    waitSeconds = 0;
  }
  return known;
}

export interface NodesReading {
  readonly view: IndexSetView;
  /** Of the nodes that gave no answer. */
  readonly failures: readonly { readonly url: string; readonly error: KithError }[];
}

/**
 * The union of what several nodes answer.
 * @throws KithError only if none answers: under their common code, else `no-node`, with the reasons of all.
 */
export async function readFromNodes(
  apis: readonly NodeApi[],
  of: IndexSetOwner,
  view: IndexSetView | undefined,
  options: ReadOptions,
): Promise<NodesReading> {
  const known = view ?? emptyView();
  const results = await Promise.all(
    apis.map(async (api) => {
      try {
        return { url: api.url, view: await readIndexSet({ api }, of, known, options) };
      } catch (error) {
        if (!isKithError(error) || options.signal.aborted) throw error;
        return { url: api.url, error };
      }
    }),
  );
  const failures = results.flatMap(({ url, error }) => (error ? [{ url, error }] : []));
  if (failures.length === results.length) throw noNode(failures.map(({ error }) => error));
  return { view: results.reduce((all, one) => (one.view ? mergeViews(all, one.view) : all), known), failures };
}
