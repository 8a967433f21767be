// The phase before anything else: a node that others would not believe opens nothing and serves nobody.

import type { Cluster } from '../attestation/index.ts';
import { sleep } from '../core/deadline.ts';
import { isKithError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import type { ChainSource } from '../indexer/index.ts';
import type { OwnCondition } from './condition.ts';
import type { Evidence } from './evidence.ts';
import { askHeight, isBounded } from './first-height.ts';
import type { Log } from './log.ts';

export interface AttestingDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly condition: OwnCondition;
  readonly evidence: Evidence;
  readonly cluster: Cluster;
  readonly sources: readonly Pick<ChainSource, 'status'>[];
}

/** Between two looks at a quote that is not believed: collateral may come, a clock may be set. */
const INSPECT_AGAIN_MS = 5_000;

/** Resolves once the own quote is judged as others would judge it, and believed. */
export async function attestSelf(deps: AttestingDeps, signal: AbortSignal): Promise<void> {
  const { clock, log, condition, evidence, cluster } = deps;
  const bounded = () => cluster.configuration.policy.measurements.some(isBounded);
  condition.enter('attesting', ['verifying the own quote']);
  for (;;) {
    try {
      if (bounded()) condition.firstHeight = await askHeight(deps, { signal });
      condition.attested = await evidence.inspect({ signal });
      break;
    } catch (error) {
      if (signal.aborted || !isKithError(error)) throw error;
      const { code, message } = error;
      if (condition.reasons[0] !== message) log.error('not-attested', { code, reason: message });
      condition.enter('attesting', [message]);
    }
    await sleep(clock, INSPECT_AGAIN_MS, { signal });
  }
  const { operator, quote } = condition.attested;
  log.info('attested', { operator, tcbStatus: quote.tcbStatus });
}
