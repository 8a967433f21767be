// The log of a running node: one JSON object a line on stderr. Every line of a simulated cluster says so. A line is
// written before the call returns, so that the last words of a process that dies are there.

import { type DestinationStream, destination as openDestination, pino, stdTimeFunctions } from 'pino';
import type { Log, LogFields } from '../log.ts';
import { safeFields, safeName } from './log-fields.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface PinoLogOptions {
  /** The least that is written. */
  readonly level: LogLevel;
  readonly simulated: boolean;
  /** Takes whole lines; left out: stderr. */
  readonly destination?: { write(line: string): void } | undefined;
}

/** The log of a node; it never throws. */
export function createPinoLog({ level, simulated, destination }: PinoLogOptions): Log {
  const logger = pino(
    {
      level,
      // Process id and host name say nothing in a container, and the host name is the operator's business.
      base: simulated ? { simulated: true } : null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination ?? openStderr(),
  );
  const writeAt =
    (at: LogLevel) =>
    (event: string, fields: LogFields = {}): void => {
      if (logger.isLevelEnabled(at)) logger[at]({ event: safeName(event), ...safeFields(fields) });
    };
  return { debug: writeAt('debug'), info: writeAt('info'), warn: writeAt('warn'), error: writeAt('error') };
}

function openStderr(): DestinationStream {
  const stderr = openDestination({ dest: 2, sync: true });
  // A log that cannot be written has nobody to tell: a full disk behind it must not end the node.
  stderr.on('error', () => undefined);
  return stderr;
}
