// What the indexer reports, as lines of the log.

import { unreachable } from '../core/errors.ts';
import type { IndexerEvent } from '../indexer/index.ts';
import type { Log } from './log.ts';

export function logIndexerEvent(log: Log): (event: IndexerEvent) => void {
  return (event) => {
    switch (event.kind) {
      case 'undecodable-flags':
        return log.warn('undecodable-flags', { height: event.height, blockIndex: event.blockIndex });
      case 'upstream-failed':
        return log.warn('upstream-failed', { upstream: event.upstream, reason: event.error.message });
      case 'upstream-recovered':
        return log.info('upstream-recovered', { upstream: event.upstream });
      case 'heights-missing':
        return log.error('heights-missing', { from: event.from, to: event.to });
      case 'upstream-dropped':
        return log.error('upstream-dropped', { upstream: event.upstream, reason: event.error.message });
      case 'write-failed':
        return log.warn('chain-waits', { reason: event.error.message });
      case 'write-recovered':
        return log.info('chain-resumed');
      case 'stopped':
        return log.error('indexer-stopped', { reason: event.error.message });
      default:
        return unreachable(event);
    }
  };
}
