// Bringing back a registration that nodes say they do not know: its certificate makes them fetch it from the members
// that gave receipts; if nobody has it any more, the wallet registers again, which is harmless at any time.

import type { Cluster } from '../attestation/browser.ts';
import { toBase64Url } from '../core/bytes.ts';
import { type Certificate, encodeCertificate } from '../core/certificate.ts';
import { deadline, sleep } from '../core/deadline.ts';
import { isKithError, KithError } from '../core/errors.ts';
import type { Clock, Random } from '../core/ports.ts';
import { type CallOptions, certificateShape, type NodeApi, recoveryShape } from './api.ts';
import { clientError, isNodeRefusal, noNode } from './errors.ts';
import type { KeptRegistration } from './kept.ts';
import { chainHeight, registrationStatus } from './node-info.ts';
import { lifetimeMax, type Registration, registerWallet } from './registration.ts';
import { type Wallet, walletRegistrationId } from './wallet.ts';

/** A member that has it answers within a second or two; one that is away may be back within this. */
const FETCH_MS = 15_000;
const LOOK_MS = 1_000;

export type Restored =
  /** A node knows it; those that did not were told where to get it. */
  | { readonly kind: 'known' }
  /** Nobody had it: it is registered again, with the birthday and expiry it had. */
  | { readonly kind: 'registered'; readonly registration: Registration }
  /** Stores wait for recovery shares of the operators: it may come back by itself, nothing was sent. */
  | { readonly kind: 'recovering' }
  /** It was revoked by this wallet, or its expiry has passed: it is meant to be gone. */
  | { readonly kind: 'ended' };

/**
 * Shows a certificate to a node. It holds no secret: the node need not be verified.
 * @throws KithError `bad-answer`, `node-unreachable`, or the node's refusal: `no-holder`, `wants-full`, `not-ready`.
 */
export async function showCertificate(
  { api }: { api: NodeApi },
  certificate: Certificate,
  options: CallOptions,
): Promise<'known' | 'wanted'> {
  const body = { certificate: toBase64Url(encodeCertificate(certificate)) };
  const path = `/v1/registrations/${certificate.regId}/certificate`;
  return (await api.post(path, body, certificateShape, options)).status;
}

/** What one node says of the registration; any failure but "unknown" says nothing. */
async function lookAt(
  api: NodeApi,
  kept: KeptRegistration,
  options: CallOptions,
): Promise<'known' | 'unknown' | KithError> {
  try {
    await registrationStatus({ api }, kept.certificate.regId, options);
    return 'known';
  } catch (error) {
    if (options.signal.aborted || !isKithError(error)) throw error;
    return isNodeRefusal(error, 'unknown-registration') ? 'unknown' : error;
  }
}

/**
 * @param kept of this wallet and cluster.
 * @param options.waitMs how long to wait for `confirmed` if it has to be registered again.
 * @throws KithError `bad-certificate` if it is of another wallet or cluster; if no node answers, or none takes the
 *   registration, why not.
 */
export async function restoreRegistration(
  deps: { apis: readonly NodeApi[]; clock: Clock; random: Random },
  cluster: Cluster,
  wallet: Wallet,
  kept: KeptRegistration,
  options: { readonly signal: AbortSignal; readonly waitMs?: number },
): Promise<Restored> {
  const { apis, clock } = deps;
  const { signal, waitMs = 0 } = options;
  const { certificate, type } = kept;
  if (certificate.clusterId !== cluster.id || certificate.regId !== walletRegistrationId(wallet)) {
    throw clientError('bad-certificate', 'the certificate is of another wallet or another cluster');
  }
  if (type === 'revoke') return { kind: 'ended' };
  const looks = await Promise.all(apis.map((api) => lookAt(api, kept, { signal })));
  const ignorant = apis.filter((_, i) => looks[i] === 'unknown');
  if (ignorant.length === 0 && !looks.includes('known'))
    throw noNode(looks.filter((look) => look instanceof KithError));

  const shown = await Promise.all(ignorant.map((api) => show(api, certificate, signal)));
  if (looks.includes('known')) return { kind: 'known' };
  const fetching = ignorant.filter((_, i) => shown[i] !== undefined);
  if (fetching.length > 0 && (await comesBack({ apis: fetching, clock }, kept, signal))) return { kind: 'known' };
  if (await isRecovering(apis, signal)) return { kind: 'recovering' };
  return registerAgain({ ...deps, apis: ignorant }, cluster, wallet, kept, { signal, waitMs });
}

/** A refusal is no end: it may still be registered again. */
async function show(api: NodeApi, certificate: Certificate, signal: AbortSignal) {
  try {
    return await showCertificate({ api }, certificate, { signal });
  } catch (error) {
    if (signal.aborted || !isKithError(error)) throw error;
    return undefined;
  }
}

async function comesBack(
  { apis, clock }: { apis: readonly NodeApi[]; clock: Clock },
  kept: KeptRegistration,
  signal: AbortSignal,
): Promise<boolean> {
  using limit = deadline(clock, FETCH_MS, signal);
  try {
    for (;;) {
      await sleep(clock, LOOK_MS, { signal: limit.signal });
      const looks = await Promise.all(apis.map((api) => lookAt(api, kept, { signal: limit.signal })));
      if (looks.includes('known')) return true;
    }
  } catch (error) {
    if (signal.aborted || !isKithError(error)) throw error;
    return false;
  }
}

async function isRecovering(apis: readonly NodeApi[], signal: AbortSignal): Promise<boolean> {
  const states = await Promise.all(
    apis.map(async (api) => {
      try {
        return (await api.get('/v1/recovery', recoveryShape, { signal })).state;
      } catch (error) {
        if (signal.aborted || !isKithError(error)) throw error;
        return 'none';
      }
    }),
  );
  return states.includes('total-restart');
}

async function registerAgain(
  { apis, clock, random }: { apis: readonly NodeApi[]; clock: Clock; random: Random },
  cluster: Cluster,
  wallet: Wallet,
  { expiryHeight, birthday }: KeptRegistration,
  { signal, waitMs }: { signal: AbortSignal; waitMs: number },
): Promise<Restored> {
  const failures: KithError[] = [];
  for (const api of apis) {
    try {
      const height = await chainHeight({ api }, { signal });
      if (expiryHeight <= height) return { kind: 'ended' };
      const expiresInBlocks = Math.min(lifetimeMax(cluster), expiryHeight - height);
      const how = { signal, waitMs, height, birthday, expiresInBlocks };
      return { kind: 'registered', registration: await registerWallet({ api, clock, random }, cluster, wallet, how) };
    } catch (error) {
      if (signal.aborted || !isKithError(error)) throw error;
      failures.push(error);
    }
  }
  throw noNode(failures);
}
