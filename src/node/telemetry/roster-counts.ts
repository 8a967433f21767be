// What must not happen to a roster, counted: the log says with whom.

import type { RosterReport } from '../../replication/index.ts';

const NO_ALARMS = {
  /** Another founding of the same cluster was met. */
  'other-genesis': 0,
  /** A member does not take what this node holds, or the other way round. */
  apart: 0,
  /** Another node has the place of this one. */
  replaced: 0,
  /** The roster could not be written, or the like. */
  failed: 0,
} as const;

type Alarm = keyof typeof NO_ALARMS;

export type RosterAlarms = Readonly<Record<Alarm, number>>;

export interface RosterCounter {
  report(event: RosterReport): void;
  read(): RosterAlarms;
}

/** Counters that begin at zero: all are there from the beginning, so that a first alarm is seen. */
export function createRosterCounter(): RosterCounter {
  const alarms: Record<Alarm, number> = { ...NO_ALARMS };
  return {
    report({ kind }) {
      if (isAlarm(kind)) alarms[kind] += 1;
    },
    read: () => ({ ...alarms }),
  };
}

const isAlarm = (kind: RosterReport['kind']): kind is Extract<RosterReport['kind'], Alarm> =>
  Object.hasOwn(NO_ALARMS, kind);
