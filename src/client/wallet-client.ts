// The SDK in one object: a cluster the user trusts, the nodes it may be reached at, and what a wallet does there.

import type { Cluster } from '../attestation/browser.ts';
import { sleep } from '../core/deadline.ts';
import { isKithError, KithError } from '../core/errors.ts';
import type { Clock, Random } from '../core/ports.ts';
import type { IndexSetView } from '../fmd/browser.ts';
import { createNodeApi, type NodeApi } from './api.ts';
import { noNode, passesWithTime } from './errors.ts';
import { followIndexSet, retryDelayMs, type WaitOptions } from './follow.ts';
import { type NodesReading, ownerOf, type ReadOptions, readFromNodes } from './index-set.ts';
import type { KeptRegistration } from './kept.ts';
import { type RegistrationStatus, registrationStatus } from './node-info.ts';
import {
  type OperationOptions,
  type RegisterOptions,
  type Registration,
  type RegistrationDeps,
  type RenewOptions,
  registerWallet,
  renewWallet,
  revokeWallet,
} from './registration.ts';
import { type Restored, restoreRegistration } from './restore.ts';
import { followRestoring, type RestoreOptions, waitForHeightRestoring } from './restoring.ts';
import type { ClientTransport } from './transport.ts';
import { type VerifiedNode, verifyNode } from './verify-node.ts';
import { type Wallet, walletRegistrationId } from './wallet.ts';

/** More than the members that hold registrations; asking all at once must stay cheap. */
const NODES_MAX = 16;

/**
 * Operations go to the first node that answers and is believed, in the order given: repeating one at another node is
 * harmless. While none can take it (starting, busy, away) it is tried again within `waitMs`. Reading asks all at once.
 */
export interface WalletClient {
  readonly cluster: Cluster;
  readonly apis: readonly NodeApi[];
  verify(options: { signal: AbortSignal }): Promise<VerifiedNode>;
  register(wallet: Wallet, options: RegisterOptions): Promise<Registration>;
  renew(wallet: Wallet, options: RenewOptions): Promise<Registration>;
  revoke(wallet: Wallet, options: OperationOptions): Promise<Registration>;
  /** Brings back a registration that nodes do not know: by its certificate, else by registering again. */
  restore(
    wallet: Wallet,
    kept: KeptRegistration,
    options: { readonly signal: AbortSignal; readonly waitMs?: number },
  ): Promise<Restored>;
  /** Anybody's word: nothing authenticates it. */
  status(wallet: Wallet, options: { signal: AbortSignal }): Promise<RegistrationStatus>;
  read(wallet: Wallet, view: IndexSetView | undefined, options: ReadOptions): Promise<NodesReading>;
  /** With a certificate, a registration that nodes do not know is brought back on the way. */
  waitForHeight(
    wallet: Wallet,
    view: IndexSetView | undefined,
    options: WaitOptions & RestoreOptions,
  ): Promise<IndexSetView>;
  /** The same. */
  follow(
    wallet: Wallet,
    view: IndexSetView | undefined,
    options: RestoreOptions & { readonly signal: AbortSignal },
  ): AsyncGenerator<IndexSetView, never>;
}

/** @param options.nodes URLs, at least one. @throws KithError `bad-url`, `bad-parameter`. */
export function createWalletClient(
  deps: { transport: ClientTransport; clock: Clock; random: Random },
  options: { cluster: Cluster; nodes: readonly string[] },
): WalletClient {
  const { clock, random } = deps;
  const { cluster } = options;
  const apis = options.nodes.map((url) => createNodeApi(deps, url));
  if (apis.length < 1 || apis.length > NODES_MAX || new Set(apis.map(({ url }) => url)).size !== apis.length) {
    throw new KithError('bad-parameter', `a client needs 1 to ${NODES_MAX} different nodes`);
  }

  async function withFirst<T>(signal: AbortSignal, work: (on: RegistrationDeps) => Promise<T>): Promise<T> {
    const failures: KithError[] = [];
    for (const api of apis) {
      try {
        return await work({ api, clock, random });
      } catch (error) {
        if (signal.aborted || !isKithError(error)) throw error;
        failures.push(error);
        if (!isOfThisNode(error)) break;
      }
    }
    throw noNode(failures);
  }

  /** An operation, tried again while no node can take it yet and there is time; what is left waits for `confirmed`. */
  async function operate(
    how: OperationOptions,
    work: (
      on: RegistrationDeps,
      how: { readonly signal: AbortSignal; readonly waitMs: number },
    ) => Promise<Registration>,
  ): Promise<Registration> {
    const { signal, waitMs = 0 } = how;
    const end = clock.monotonic() + waitMs;
    for (let failures = 1; ; failures++) {
      const left = Math.max(0, end - clock.monotonic());
      try {
        return await withFirst(signal, (on) => work(on, { signal, waitMs: left }));
      } catch (error) {
        const delayMs = retryDelayMs(error, failures);
        const passes = passesWithTime(error) || isKithError(error, 'not-ready');
        if (signal.aborted || !passes || delayMs > end - clock.monotonic()) throw error;
        await sleep(clock, delayMs, { signal });
      }
    }
  }

  return {
    cluster,
    apis,
    verify: ({ signal }) => withFirst(signal, (on) => verifyNode(on, cluster, { signal })),
    register: (wallet, how) => operate(how, (on, now) => registerWallet(on, cluster, wallet, { ...how, ...now })),
    renew: (wallet, how) => operate(how, (on, now) => renewWallet(on, cluster, wallet, { ...how, ...now })),
    revoke: (wallet, how) => operate(how, (on, now) => revokeWallet(on, cluster, wallet, { ...how, ...now })),
    restore: (wallet, kept, how) => restoreRegistration({ apis, clock, random }, cluster, wallet, kept, how),
    status: (wallet, { signal }) =>
      withFirst(signal, ({ api }) => registrationStatus({ api }, walletRegistrationId(wallet), { signal })),
    read: (wallet, view, how) => readFromNodes(apis, ownerOf(wallet, cluster.id), view, how),
    waitForHeight: (wallet, view, how) => waitForHeightRestoring({ apis, clock, random }, cluster, wallet, view, how),
    follow: (wallet, view, how) =>
      how.kept
        ? followRestoring({ apis, clock, random }, cluster, wallet, view, how)
        : followIndexSet({ apis, clock }, ownerOf(wallet, cluster.id), view, how),
  };
}

/** Whether another node may do better; a refusal of the operation itself would be the same everywhere. */
const isOfThisNode = (error: KithError): boolean =>
  passesWithTime(error) || isKithError(error, 'node-not-believed', 'bad-answer', 'forged-answer', 'not-ready');
