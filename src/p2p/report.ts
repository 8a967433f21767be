// What a mesh tells of its doings: every refusal with its reason, for logs and metrics.

import type { NodeId } from '../core/ids.ts';
import type { Refusal } from './errors.ts';
import type { HandshakeOutcome } from './handshake/ports.ts';

export type MeshReport =
  /** A handshake succeeded, or failed where the connection goes on or ends by what follows. */
  | { readonly kind: 'handshake'; readonly host: string; readonly renewal: boolean; readonly outcome: HandshakeOutcome }
  /** A connection ended before it was attested; `by`: who refused whom, if either did. */
  | {
      readonly kind: 'not-attested';
      readonly host: string;
      readonly by: 'us' | 'peer' | undefined;
      readonly reason: Refusal;
    }
  /** A stranger was not let in at all. */
  | { readonly kind: 'turned-away'; readonly host: string; readonly reason: Refusal }
  /** A connection of an attested peer ended. */
  | { readonly kind: 'cut'; readonly host: string; readonly nodeId: NodeId; readonly reason: Refusal }
  /** A stream was not taken. */
  | { readonly kind: 'stream-refused'; readonly host: string; readonly protocol: string; readonly reason: Refusal }
  | { readonly kind: 'handler-failed'; readonly protocol: string; readonly error: unknown };
