// What the parts of replication report, as lines of the log and as counts. What must not happen is in both.

import { messageOf } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import type { AnchorReason, AnchorReport, Divergence, HeightEvent, SyncReport } from '../../replication/index.ts';
import { type BoundedLog, createBoundedLog } from '../bounded-log.ts';
import type { Log } from '../log.ts';
import type { ReplicationCounter } from '../telemetry/index.ts';

/** Takes what the parts report. */
export type Reports = Pick<ReplicationCounter, 'sync' | 'divergence' | 'heights' | 'anchors'>;

/** Writes to the log and tells the counter. */
export function createReports(deps: {
  readonly clock: Clock;
  readonly log: Log;
  readonly counter: ReplicationCounter;
}): Reports {
  const { log, counter } = deps;
  const bounded = createBoundedLog(deps);
  return {
    sync(event) {
      counter.sync(event);
      logSync(log, bounded, event);
    },
    divergence(divergence) {
      counter.divergence(divergence);
      logDivergence(log, divergence);
    },
    heights(event) {
      counter.heights(event);
      logHeights(log, event);
    },
    anchors(event) {
      counter.anchors(event);
      logAnchors(log, event);
    },
  };
}

function logSync(log: Log, bounded: BoundedLog, event: SyncReport): void {
  switch (event.kind) {
    case 'peer-failed': {
      // A member that lies or is silent is asked again and again.
      const { nodeId = '', error } = event;
      bounded.write('info', 'sync-peer-failed', nodeId, { peer: nodeId, reason: messageOf(error) });
      break;
    }
    case 'snapshot':
      log.info('snapshot-taken', { peer: event.nodeId, outcome: event.outcome, operations: event.taken });
      break;
    case 'forked':
      log.error('log-forked', { writer: event.writer });
      break;
    case 'failed':
      log.error('sync-failed', { reason: messageOf(event.error) });
      break;
  }
}

/** Registrations are counted, not named: what differs is in the sealed stores. */
function logDivergence(log: Log, divergence: Divergence): void {
  const fields = divergence.kind === 'diverged' ? { peer: divergence.nodeId } : {};
  log.error('divergence', { kind: divergence.kind, registrations: divergence.regIds.length, ...fields });
}

function logHeights(log: Log, event: HeightEvent): void {
  switch (event.kind) {
    case 'equivocation':
      log.error('height-equivocation', { nodeId: event.nodeId, incarnation: event.incarnation });
      break;
    case 'chain-disagreement':
      if (event.height === undefined) log.info('chain-agreement');
      else log.error('chain-disagreement', { height: event.height });
      break;
    case 'failed':
      log.error('heights-failed', { reason: event.reason });
      break;
  }
}

function logAnchors(log: Log, event: AnchorReport): void {
  switch (event.kind) {
    case 'log-key-made':
      log.info('anchor-key-made', { epoch: event.epoch });
      break;
    case 'log-key-taken':
      log.info('anchor-key-taken', { epoch: event.epoch, peer: event.from });
      break;
    case 'accepted':
      // How many operations an anchor names is not for the log: it is not on the chain either.
      log.debug('anchor-accepted', { epoch: event.epoch, seq: event.seq, fromChain: event.fromChain });
      break;
    case 'wrong-root':
      log.error('anchor-wrong-root', { epoch: event.epoch, seq: event.seq });
      break;
    case 'abandoned':
    case 'chain-lacks':
      log.warn(`anchor-${event.kind}`, { epoch: event.epoch, seq: event.seq });
      break;
    case 'ignored':
      log.debug('anchor-texts-ignored', { height: event.height, texts: event.texts });
      break;
    case 'proposed':
      log.debug('anchor-proposed', { epoch: event.epoch, seq: event.seq });
      break;
    case 'no-quorum':
      log.info('anchor-no-quorum', { epoch: event.epoch, seq: event.seq, words: event.words.join(', ') });
      break;
    case 'send-failed':
      log.warn('anchor-send-failed', { epoch: event.epoch, seq: event.seq, reason: messageOf(event.error) });
      break;
    case 'found':
      log.info('anchored-found', { operations: event.operations, peer: event.from });
      break;
    case 'given-up':
      log.warn('anchored-given-up', { tags: event.tags, why: event.why });
      break;
    case 'failed':
      log.error('anchors-failed', { reason: messageOf(event.error) });
      break;
  }
}

export const ANCHOR_REASONS: Readonly<Record<AnchorReason, string>> = {
  'no-log-key': 'no member that has the log key was reached yet',
  'no-anchors': 'none was accepted for three epochs',
  'no-quorum': 'the last proposal of this node was not signed by a quorum',
  'send-failed': 'the chain did not take the last proposal of this node',
  'chain-stopped': 'the chain cannot be read',
  'chain-lags': 'the chain is read far behind its tip',
  'chain-lacks': 'members accepted what the chain endpoint of this node does not show',
  'unknown-roster': 'some name a roster that is not known here',
  gap: 'some are missing between those that are known',
};
