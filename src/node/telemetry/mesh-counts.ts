// What the mesh let in, refused and cut, by code. Codes of peers are words of theirs: those of this version are counted
// by name.

import { POLICY_CODES, VERIFICATION_CODES } from '../../attestation/index.ts';
import type { HandshakeCode, MeshErrorCode, MeshReport } from '../../p2p/index.ts';
import { type Counted, createTally, knownWord } from './tally.ts';

type OtherCode = Exclude<HandshakeCode | MeshErrorCode, keyof typeof POLICY_CODES | keyof typeof VERIFICATION_CODES>;

/** Of handshakes, connections and streams, and those of `admit`. */
const OTHER_CODES: Readonly<Record<OtherCode | 'fenced' | 'contested' | 'internal', true>> = {
  version: true,
  'other-cluster': true,
  'configuration-fork': true,
  'configuration-behind': true,
  'configuration-refused': true,
  reflected: true,
  'nonce-expired': true,
  'collateral-unavailable': true,
  'no-quote': true,
  'identity-changed': true,
  'malformed-message': true,
  timeout: true,
  'report-data': true,
  unreachable: true,
  'bad-address': true,
  'cannot-listen': true,
  'dialled-self': true,
  'connection-closed': true,
  'stream-aborted': true,
  truncated: true,
  'after-end': true,
  'frame-too-large': true,
  'frame-replayed': true,
  'frame-missing': true,
  'frame-forged': true,
  'protocol-violation': true,
  'not-attested': true,
  'unknown-protocol': true,
  'attestation-expired': true,
  'attestation-refused': true,
  'too-many': true,
  'peer-silent': true,
  'peer-stalled': true,
  'duplicate-connection': true,
  superseded: true,
  excluded: true,
  stopped: true,
  'requests-busy': true,
  'request-too-large': true,
  'not-connected': true,
  'peer-refused': true,
  'over-budget': true,
  'bad-limits': true,
  fenced: true,
  contested: true,
  internal: true,
};

const CODES = { ...VERIFICATION_CODES, ...POLICY_CODES, ...OTHER_CODES };

/** The code as a metric or a bound on log lines may have it. */
export const meshCode = (code: string): string => knownWord(CODES, code);

/** Since the process began. */
export interface MeshCounts {
  readonly accepted: { readonly first: number; readonly renewal: number };
  readonly refused: readonly Counted<{ by: string; code: string }>[];
  /** Connections that ended before a handshake did, and those that were not let in. */
  readonly strangersCut: readonly Counted<{ code: string }>[];
  readonly cut: readonly Counted<{ code: string }>[];
  readonly streamsRefused: readonly Counted<{ code: string }>[];
  readonly handlersFailed: number;
}

export interface MeshCounter {
  report(event: MeshReport): void;
  read(): MeshCounts;
}

/** Counters that begin at zero. */
export function createMeshCounter(): MeshCounter {
  const accepted = { first: 0, renewal: 0 };
  const refused = createTally<{ by: string; code: string }>();
  const strangersCut = createTally<{ code: string }>();
  const cut = createTally<{ code: string }>();
  const streamsRefused = createTally<{ code: string }>();
  let handlersFailed = 0;
  return {
    report(event) {
      switch (event.kind) {
        case 'handshake':
          if (event.outcome.kind === 'attested') accepted[event.renewal ? 'renewal' : 'first']++;
          else refused.add({ by: event.outcome.by, code: meshCode(event.outcome.code) });
          break;
        case 'not-attested':
          if (!event.by) strangersCut.add({ code: meshCode(event.reason.code) });
          break;
        case 'turned-away':
          strangersCut.add({ code: meshCode(event.reason.code) });
          break;
        case 'cut':
          cut.add({ code: meshCode(event.reason.code) });
          break;
        case 'stream-refused':
          streamsRefused.add({ code: meshCode(event.reason.code) });
          break;
        case 'handler-failed':
          handlersFailed++;
          break;
      }
    },
    read: () => ({
      accepted: { ...accepted },
      refused: refused.read(),
      strangersCut: strangersCut.read(),
      cut: cut.read(),
      streamsRefused: streamsRefused.read(),
      handlersFailed,
    }),
  };
}
