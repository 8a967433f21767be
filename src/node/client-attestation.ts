// Evidence for clients: one quote answers all nonces that arrived while the one before was made, at most one quote
// every 250 ms, so that a crowd of clients cannot keep the quoting service from the nodes.

import { batchNonces, type NoncePath } from '../attestation/index.ts';
import { abortable, sleep } from '../core/deadline.ts';
import { KithError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';

/** From the start of one quote to the start of the next. */
const QUOTE_INTERVAL_MS = 250;
/** Nonces one quote may answer: the path of each is eight hashes then. */
const NONCES_MAX = 256;

export interface ClientEvidence {
  readonly quote: Uint8Array;
  readonly path: NoncePath;
}

export interface ClientAttestation {
  /**
   * A quote that covers the nonce (32 bytes).
   * @throws KithError `quotes-busy` when 256 clients wait already; what the quoter says; the signal's reason.
   */
  attest(nonce: Uint8Array, options: { signal: AbortSignal }): Promise<ClientEvidence>;
}

interface Batch {
  readonly nonces: Uint8Array[];
  readonly made: Promise<readonly ClientEvidence[]>;
}

/** @param deps.quote makes a quote whose report data name this root of nonces. */
export function createClientAttestation(deps: {
  clock: Clock;
  quote: (noncesRoot: Uint8Array) => Promise<Uint8Array>;
}): ClientAttestation {
  const { clock, quote } = deps;
  let open: Batch | undefined;
  let previous: Promise<unknown> = Promise.resolve();
  let lastStarted = Number.NEGATIVE_INFINITY;

  async function make(nonces: readonly Uint8Array[], before: Promise<unknown>): Promise<readonly ClientEvidence[]> {
    await before;
    const wait = lastStarted + QUOTE_INTERVAL_MS - clock.monotonic();
    if (wait > 0) await sleep(clock, wait);
    // Whoever comes from here on is in the next batch.
    open = undefined;
    lastStarted = clock.monotonic();
    const { root, paths } = batchNonces(nonces);
    const made = await quote(root);
    return paths.map((path) => ({ quote: made, path }));
  }

  function openBatch(): Batch {
    const nonces: Uint8Array[] = [];
    const made = make(nonces, previous);
    previous = made.catch(() => undefined);
    return { nonces, made };
  }

  return {
    async attest(nonce, { signal }) {
      open ??= openBatch();
      const { nonces, made } = open;
      if (nonces.length >= NONCES_MAX) {
        throw new KithError('quotes-busy', `${NONCES_MAX} clients wait for a quote already; try again in a second`);
      }
      const position = nonces.push(nonce.slice()) - 1;
      const evidence = await abortable(made, signal);
      return evidence[position]!;
    },
  };
}
