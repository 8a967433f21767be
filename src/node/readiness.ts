// Whether a node serves, and what an operator should know of it: phase and reasons, made out of the parts' states.

import type { Running } from './running.ts';
import type { Phase, Readiness } from './service.ts';

/** How far detection may be behind the tip when a node becomes ready. */
const READY_LAG_BLOCKS = 2;
/** For members that used this node as key server to do so again; some may have chosen others. */
const REDEPOSIT_WAIT_MS = 10_000;

/** What keeps a node with these parts from becoming ready; empty if nothing does. */
export function missingForReady({ indexer, detector, tip }: Running): string[] {
  const status = indexer.status();
  const stopped = stoppedFor({ indexer, detector });
  if (stopped) return [stopped];
  const { detected } = detector;
  if (status.tip === undefined || detected === undefined) return [chainReason(status.phase)];
  const behind = tip() - detected;
  if (behind <= READY_LAG_BLOCKS) return [];
  return [`detected height ${detected} of ${tip()}`, ...delays({ indexer, detector })];
}

/** Why detection does not go on before a restart. While it waits for something it does not see that blocks have ended. */
function stoppedFor({ indexer, detector }: Pick<Running, 'indexer' | 'detector'>): string | undefined {
  const failure = detector.failure ?? indexer.status().error;
  return failure && `detection stopped (${failure.code}): ${failure.message}`;
}

/**
 * What custody and members keep it from becoming ready for.
 * @param notEntrusted members that have no share here yet. @param waitedMs since it began to catch up.
 */
export function missingAmongPeers(notEntrusted: number, waitedMs: number): string[] {
  if (notEntrusted === 0 || waitedMs > REDEPOSIT_WAIT_MS) return [];
  return [`${notEntrusted} members have not entrusted their shares again`];
}

const chainReason = (phase: string): string =>
  phase === 'unreachable' ? 'no chain endpoint answers' : 'waiting for a first answer of a chain endpoint';

/** What is wrong although work goes on, or may go on again. */
function delays({ indexer, detector }: Pick<Running, 'indexer' | 'detector'>): string[] {
  const { phase, missing, stale, delay } = indexer.status();
  return [
    ...(phase === 'unreachable' ? ['no chain endpoint answers'] : []),
    ...(missing ? [`no chain endpoint has the heights ${missing.from} to ${missing.to} any more`] : []),
    ...(stale ? ['no new block for two minutes'] : []),
    ...(delay ? [`the index of the chain waits (${delay.code}): ${delay.message}`] : []),
    ...(detector.delay ? [`detection waits (${detector.delay.code}): ${detector.delay.message}`] : []),
  ];
}

/** @param notes what to say in every phase. */
export function readinessOf(
  phase: Phase,
  reasons: readonly string[],
  running: Running | undefined,
  notes: readonly string[],
): Readiness {
  if (phase !== 'ready' || !running) return { ready: false, phase, reasons: [...reasons, ...notes] };
  // Look-ups go on without detection and say how far they are; whoever routes requests should prefer another node.
  const stopped = stoppedFor(running);
  return { ready: !stopped, phase, reasons: [...(stopped ? [stopped] : []), ...delays(running), ...notes] };
}
