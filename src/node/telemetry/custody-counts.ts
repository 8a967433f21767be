// What is asked of this node's custody and what it asks of others', by kind of request and outcome.

import { type CustodyRequest, REFUSAL_REASONS } from '../../keyserver/index.ts';
import { type Counted, createTally, knownWord } from './tally.ts';

/** One custody request that was answered, or came to nothing. */
export interface CustodyEvent {
  /** `answered`: as key server. `asked`: as owner. */
  readonly side: 'answered' | 'asked';
  /** `unread`: it could not be read. */
  readonly kind: CustodyRequest['kind'] | 'nonce' | 'unread';
  /** `ok`, or the reason of a refusal or failure. */
  readonly outcome: string;
}

/** Besides the reasons of a key server: those of the link. */
const LINK_OUTCOMES = {
  ok: true,
  silent: true,
  'quote-refused': true,
  'too-many-nonces': true,
  'bad-message': true,
  'no-identity': true,
  malformed: true,
  internal: true,
} as const;
const OUTCOMES = { ...REFUSAL_REASONS, ...LINK_OUTCOMES };

/** The outcome as a metric or a bound on log lines may have it. */
export const custodyOutcome = (outcome: string): string => knownWord(OUTCOMES, outcome);

export type CustodyCounts = readonly Counted<{ side: string; kind: string; outcome: string }>[];

export interface CustodyCounter {
  report(event: CustodyEvent): void;
  read(): CustodyCounts;
}

/** Counters that begin at zero. */
export function createCustodyCounter(): CustodyCounter {
  const requests = createTally<{ side: string; kind: string; outcome: string }>();
  return {
    report: ({ side, kind, outcome }) => requests.add({ side, kind, outcome: custodyOutcome(outcome) }),
    read: requests.read,
  };
}
