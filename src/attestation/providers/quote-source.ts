// The port through which quotes come, and the queue in front of it: one quote at a time, nodes before clients, each
// with an end, and none believed to be what was asked for until it was looked at.

import { equalBytes } from '../../core/bytes.ts';
import { abortError, deadline } from '../../core/deadline.ts';
import { isKithError, KithError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import { parseQuote } from '../quote.ts';
import { type ReportClaim, type ReportData, reportDataOf } from '../report-data.ts';

export type QuoteErrorCode =
  | 'quotes-busy'
  | 'quote-source'
  | 'quote-empty'
  | 'quote-conflict'
  | 'quote-provider'
  | 'quote-mismatch'
  | 'stopped';

/** Where quotes are made. Called once at a time. */
export interface QuoteSource {
  readonly kind: 'configfs' | 'simulated';
  /** @throws KithError with a QuoteErrorCode. */
  quote(reportData: ReportData, options: { signal: AbortSignal }): Promise<Uint8Array>;
}

export interface Quoter {
  readonly kind: QuoteSource['kind'];
  /**
   * A quote for this claim. Claims of recovery and between peers are served before those for clients.
   * @throws KithError `quotes-busy` when too many wait, `timeout`, or what the source says.
   */
  quote(claim: ReportClaim, options?: { signal?: AbortSignal }): Promise<Uint8Array>;
  /** Refuses what waits and what comes. Idempotent. */
  stop(): void;
}

export interface QuoterOptions {
  /** From being asked to the quote. A busy quoting service of a cloud was seen to take seconds. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 20_000;
/** Handshakes in flight at once: more than the members of a cluster, and each is given up after its timeout. */
const NODES_WAITING_MAX = 256;
/** Client quotes are batched: one in the making and one behind it is all there ever is, the rest is margin. */
const CLIENTS_WAITING_MAX = 4;

interface Waiting {
  readonly reportData: ReportData;
  readonly signal: AbortSignal;
  settle(result: Promise<Uint8Array>): void;
}

/** @param deps.source is left alone until its last quote has settled, even when nobody waits for that any more. */
export function createQuoter(deps: { source: QuoteSource; clock: Clock }, options: QuoterOptions = {}): Quoter {
  const { source, clock } = deps;
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const nodes: Waiting[] = [];
  const clients: Waiting[] = [];
  let busy = false;
  let stopped = false;

  async function serve(): Promise<void> {
    if (busy) return;
    busy = true;
    for (let next = nodes.shift() ?? clients.shift(); next; next = nodes.shift() ?? clients.shift()) {
      if (next.signal.aborted) continue;
      const made = makeQuote(source, next);
      next.settle(made);
      await made.catch(() => undefined);
    }
    busy = false;
  }

  return {
    kind: source.kind,
    quote(claim, { signal } = {}) {
      const reportData = reportDataOf(claim);
      const line = claim.purpose === 'client' ? clients : nodes;
      const max = claim.purpose === 'client' ? CLIENTS_WAITING_MAX : NODES_WAITING_MAX;
      if (stopped) return Promise.reject(stoppedError());
      if (line.length >= max) {
        const message = `${line.length} requests for quotes wait already; try again`;
        return Promise.reject(new KithError<QuoteErrorCode>('quotes-busy', message));
      }
      const limit = deadline(clock, timeoutMs, signal);
      return new Promise<Uint8Array>((resolve, reject) => {
        const waiting: Waiting = { reportData, signal: limit.signal, settle: (made) => made.then(resolve, reject) };
        limit.signal.addEventListener('abort', () => {
          const at = line.indexOf(waiting);
          if (at >= 0) line.splice(at, 1);
          reject(abortError(limit.signal));
        });
        if (limit.signal.aborted) {
          reject(abortError(limit.signal));
          return;
        }
        line.push(waiting);
        void serve();
      }).finally(() => limit.cancel());
    },
    stop() {
      stopped = true;
      for (const waiting of [...nodes.splice(0), ...clients.splice(0)]) waiting.settle(Promise.reject(stoppedError()));
    },
  };
}

const stoppedError = () => new KithError<QuoteErrorCode>('stopped', 'no quotes any more: the node stops');

/** A quote that carries the report data asked for: the host may answer with any it has seen. */
async function makeQuote(source: QuoteSource, { reportData, signal }: Waiting): Promise<Uint8Array> {
  const quote = await source.quote(reportData, { signal });
  let returned: Uint8Array;
  try {
    returned = parseQuote(quote).report.reportData;
  } catch (cause) {
    if (!isKithError(cause)) throw cause;
    throw new KithError<QuoteErrorCode>('quote-source', `what the source returned is no quote: ${cause.message}`, {
      cause,
    });
  }
  if (!equalBytes(returned, reportData)) {
    throw new KithError<QuoteErrorCode>('quote-mismatch', 'the source returned a quote with other report data');
  }
  return quote;
}
