// A wallet's registration with a cluster: the node is verified before anything is sealed to it, the operation is
// signed at the height the node names, and "confirmed" is what verified receipts in sealed answers come to.

import type { Cluster } from '../attestation/browser.ts';
import { deadline, sleep } from '../core/deadline.ts';
import { isKithError, KithError } from '../core/errors.ts';
import type { Clock, Random } from '../core/ports.ts';
import { HEIGHT_MAX, LIFETIME_BLOCKS } from '../core/registration/limits.ts';
import type { NodeApi } from './api.ts';
import { judgeReceipts } from './confirmation.ts';
import { isNodeRefusal } from './errors.ts';
import { lookUp, ownerOf } from './index-set.ts';
import type { KeptRegistration } from './kept.ts';
import { chainHeight, registrationStatus } from './node-info.ts';
import { type OperationResult, sendOperation, type WalletOperation } from './operations.ts';
import { type VerifiedNode, verifyNode } from './verify-node.ts';
import type { Wallet } from './wallet.ts';

export interface RegistrationDeps {
  readonly api: NodeApi;
  readonly clock: Clock;
  readonly random: Random;
}

export interface OperationOptions {
  readonly signal: AbortSignal;
  /** How long to wait for `confirmed` after an answer that says `pending`; 0 unless given. */
  readonly waitMs?: number | undefined;
  /** Platforms that must have confirmed before it is believed, if that is more than others ask for. */
  readonly platformsMin?: number | undefined;
  /** Height of the chain, for callers who know it from a better source than the node. */
  readonly height?: number | undefined;
}

export interface RegisterOptions extends OperationOptions {
  /** First height wanted; the wallet's own unless given. */
  readonly birthday?: number | undefined;
  /** Blocks from now to the last height of effect; as long as the cluster allows unless given. */
  readonly expiresInBlocks?: number | undefined;
}

export interface RenewOptions extends RegisterOptions {
  /** Sends a renew without the keys: it opens nothing, and reaches at most one lifetime past the last register. */
  readonly withoutKeys?: boolean | undefined;
}

export interface Registration extends OperationResult {
  /** To whom the operation was sealed. */
  readonly node: VerifiedNode;
  /** The height it was signed at. */
  readonly version: number;
  /** What to keep, once it is confirmed. */
  readonly kept: KeptRegistration | undefined;
}

/** Between two looks at a pending operation; doubled up to the second. */
const POLL_MIN_MS = 500;
const POLL_MAX_MS = 5_000;

/**
 * Registers, or registers again, which is harmless at any time.
 * @throws KithError `node-not-believed` (nothing was sent), `bad-parameter`, `birthday-beyond-tip`, `forged-answer`,
 * `bad-answer`, `node-unreachable`, or the node's refusal under its code.
 */
export async function registerWallet(
  deps: RegistrationDeps,
  cluster: Cluster,
  wallet: Wallet,
  options: RegisterOptions,
): Promise<Registration> {
  const blocks = lifetimeOf(cluster, options.expiresInBlocks);
  const birthday = options.birthday ?? wallet.birthday;
  return operate(deps, cluster, wallet, options, (version) => {
    if (birthday > version) {
      const text = `the birthday ${birthday} is above the height of the chain, ${version}: nothing can match before it`;
      throw new KithError('birthday-beyond-tip', text);
    }
    return { type: 'register', birthday, expiryHeight: version + blocks };
  });
}

/**
 * Moves the expiry. A wallet holds its keys, so it registers again under the same id: that has no bound but the
 * lifetime, and helps a cluster that lost the keys. The birthday stays the registered one unless another is given.
 * @throws KithError as `registerWallet`.
 */
export async function renewWallet(
  deps: RegistrationDeps,
  cluster: Cluster,
  wallet: Wallet,
  options: RenewOptions,
): Promise<Registration> {
  const { withoutKeys, expiresInBlocks, ...rest } = options;
  if (!withoutKeys) {
    lifetimeOf(cluster, expiresInBlocks);
    const birthday = options.birthday ?? (await registeredBirthday(deps, cluster, wallet, options));
    return registerWallet(deps, cluster, wallet, { ...rest, expiresInBlocks, birthday });
  }
  if (expiresInBlocks === undefined) {
    const text = 'a renewal without keys ends at most one lifetime after the register: say in how many blocks';
    throw new KithError('bad-parameter', text);
  }
  const blocks = lifetimeOf(cluster, expiresInBlocks);
  return operate(deps, cluster, wallet, rest, (version) => ({ type: 'renew', expiryHeight: version + blocks }));
}

/** Ends the registration; the cluster wipes the keys. @throws KithError as `registerWallet`. */
export async function revokeWallet(
  deps: RegistrationDeps,
  cluster: Cluster,
  wallet: Wallet,
  options: OperationOptions,
): Promise<Registration> {
  return operate(deps, cluster, wallet, options, () => ({ type: 'revoke' }));
}

/** The longest lifetime, in blocks, a registration may have in this cluster. */
export const lifetimeMax = (cluster: Cluster): number =>
  Math.min(LIFETIME_BLOCKS, cluster.configuration.limits.lifetimeBlocksMax);

function lifetimeOf(cluster: Cluster, wanted: number | undefined): number {
  const max = lifetimeMax(cluster);
  if (wanted === undefined) return max;
  if (!Number.isSafeInteger(wanted) || wanted < 1 || wanted > max) {
    throw new KithError('bad-parameter', `a registration of this cluster expires in 1 to ${max} blocks, not ${wanted}`);
  }
  return wanted;
}

/** The birthday in force, from a sealed answer; undefined where nothing is registered. */
async function registeredBirthday(
  { api }: RegistrationDeps,
  cluster: Cluster,
  wallet: Wallet,
  { signal }: OperationOptions,
): Promise<number | undefined> {
  try {
    // Only the birthday is wanted: above the tip there are no entries.
    const answer = await lookUp({ api }, ownerOf(wallet, cluster.id), await chainHeight({ api }, { signal }), {
      signal,
    });
    return answer.birthday;
  } catch (error) {
    if (isNodeRefusal(error, 'unknown-registration', 'expired', 'revoked')) return undefined;
    throw error;
  }
}

async function operate(
  deps: RegistrationDeps,
  cluster: Cluster,
  wallet: Wallet,
  options: OperationOptions,
  operationAt: (version: number) => WalletOperation,
): Promise<Registration> {
  const { signal, waitMs = 0, height, platformsMin } = options;
  const node = await verifyNode(deps, cluster, { signal });
  const version = height ?? (await chainHeight(deps, { signal }));
  if (!Number.isSafeInteger(version) || version < 1 || version > HEIGHT_MAX - LIFETIME_BLOCKS) {
    throw new KithError('bad-parameter', `no chain has the height ${version}`);
  }
  const operation = { ...operationAt(version), version };
  let known: readonly Uint8Array[] = [];
  const send = async (within: AbortSignal): Promise<Registration> => {
    const how = { signal: within, platformsMin };
    const result = await sendOperation(deps, { node, cluster }, wallet, operation, how);
    // Each answer may bring others: what counts is what they come to together.
    const judged = judgeReceipts(
      [...known, ...result.receipts],
      result.opId,
      { cluster, roster: node.roster },
      platformsMin,
    );
    known = judged.receipts;
    const made = { ...result, ...judged, node, version };
    return { ...made, kept: keptOf(cluster, made, operation) };
  };
  const result = await send(signal);
  return result.status === 'confirmed' || waitMs <= 0 ? result : confirmedWithin(deps, waitMs, result, send, signal);
}

function keptOf(
  { id: clusterId }: Cluster,
  { id: regId, opId, status, expiryHeight, receipts }: OperationResult,
  operation: WalletOperation,
): KeptRegistration | undefined {
  if (status !== 'confirmed') return undefined;
  const birthday = operation.type === 'register' ? operation.birthday : undefined;
  return { certificate: { clusterId, regId, opId, receipts }, type: operation.type, expiryHeight, birthday };
}

/**
 * Looks at the state until it says more than `pending`, then sends the same operation again, which is harmless: the
 * state is anybody's word, the sealed answer is the node's. Failures on the way leave what is known: pending.
 */
async function confirmedWithin(
  deps: RegistrationDeps,
  waitMs: number,
  first: Registration,
  send: (within: AbortSignal) => Promise<Registration>,
  signal: AbortSignal,
): Promise<Registration> {
  using limit = deadline(deps.clock, waitMs, signal);
  let latest = first;
  for (let delayMs = POLL_MIN_MS; ; delayMs = Math.min(POLL_MAX_MS, 2 * delayMs)) {
    try {
      await sleep(deps.clock, delayMs, { signal: limit.signal });
      const { status } = await registrationStatus(deps, first.id, { signal: limit.signal });
      if (status !== 'pending') latest = await send(limit.signal);
      if (latest.status === 'confirmed') return latest;
    } catch (error) {
      if (signal.aborted || !isKithError(error)) throw error;
      if (limit.signal.aborted) return latest;
    }
  }
}
