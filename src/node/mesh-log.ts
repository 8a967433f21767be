// What the mesh reports, as lines of the log: every refusal with its reason, bounded by code.

import type { MeshReport } from '../p2p/index.ts';
import type { BoundedLog } from './bounded-log.ts';
import { meshCode } from './telemetry/index.ts';

/** Ends that belong to the life of a healthy cluster: boots, stops, second connections, lost links. */
const ORDINARY: ReadonlySet<string> = new Set([
  'connection-closed',
  'stopped',
  'superseded',
  'duplicate-connection',
  'unreachable',
]);

/** Writes one line for an event, if it is one for people. */
export function logMeshReport(log: BoundedLog, event: MeshReport): void {
  switch (event.kind) {
    case 'handshake': {
      const { outcome, host, renewal } = event;
      if (outcome.kind === 'attested') {
        if (renewal) return;
        const { nodeId, operator, incarnation, phase } = outcome.peer;
        log.write('info', 'peer-attested', '', { peer: nodeId, host, operator, incarnation, phase });
      } else if (renewal) {
        const { by, code, message } = outcome;
        log.write('warn', 'not-renewed', `${by} ${meshCode(code)}`, { host, by, code, reason: message });
      }
      break;
    }
    case 'not-attested': {
      const { host, by, reason } = event;
      const fields = { host, by, code: reason.code, reason: reason.message };
      log.write('info', 'not-attested', `${by ?? ''} ${meshCode(reason.code)}`, fields);
      break;
    }
    case 'turned-away':
      writeReason(log, event.kind, { host: event.host }, event.reason);
      break;
    case 'cut':
      writeReason(log, 'peer-cut', { peer: event.nodeId, host: event.host }, event.reason);
      break;
    case 'stream-refused':
      writeReason(log, event.kind, { host: event.host, protocol: event.protocol }, event.reason);
      break;
    case 'handler-failed':
      log.write('error', event.kind, event.protocol, { protocol: event.protocol });
      break;
  }
}

function writeReason(
  log: BoundedLog,
  name: string,
  fields: Readonly<Record<string, string>>,
  { code, message }: { readonly code: string; readonly message: string },
): void {
  const level = ORDINARY.has(code) ? 'info' : 'warn';
  log.write(level, name, meshCode(code), { ...fields, code, reason: message });
}
