// Answers to the requests of attested peers, members or not.

import { fromHex, toHex } from '../../core/bytes.ts';
import { isKithError, unreachable } from '../../core/errors.ts';
import type { RosterEntry } from '../../core/roster.ts';
import { pageOf, takeEncoded } from './compare.ts';
import type { Founding } from './founding.ts';
import type { Ledger } from './ledger.ts';
import { IDS_PER_PAGE } from './limits.ts';
import type { RosterAnswer, RosterRequest, RosterStatus } from './messages.ts';
import type { Signer } from './signer.ts';
import { decodeBody, encodeStatement, type StatementBody } from './statements.ts';

export interface ResponderDeps {
  readonly ledger: Ledger;
  readonly founding: Founding;
  readonly signer: Signer;
  status(): RosterStatus;
  /** A peer said where it stands. */
  heard(peer: RosterEntry, status: RosterStatus): void;
}

export async function answerRequest(
  deps: ResponderDeps,
  peer: RosterEntry,
  request: RosterRequest,
): Promise<RosterAnswer> {
  const { ledger } = deps;
  switch (request.kind) {
    case 'status':
      deps.heard(peer, request);
      return deps.status();
    case 'list': {
      const until = request.from + IDS_PER_PAGE;
      const ids = [...ledger.set.keys()].slice(request.from, until).map(fromHex);
      return { kind: 'ids', ids, more: ledger.set.size > until };
    }
    case 'fetch': {
      const known = request.ids.map((id) => ledger.set.get(toHex(id))).filter((held) => held !== undefined);
      return { kind: 'statements', statements: pageOf(known.map(({ statement }) => encodeStatement(statement))) };
    }
    case 'offer': {
      const reason = await takeEncoded(ledger, request.statements);
      return reason === undefined ? { kind: 'taken' } : { kind: 'taken', reason };
    }
    case 'sign': {
      const body = bodyOf(request.body);
      return body ? deps.signer.sign(peer, body) : { kind: 'refused', reason: 'malformed' };
    }
    case 'found':
      return deps.founding.answer(peer, request);
    default:
      return unreachable(request);
  }
}

function bodyOf(encoded: Uint8Array): StatementBody | undefined {
  try {
    return decodeBody(encoded);
  } catch (error) {
    if (isKithError(error)) return undefined;
    throw error;
  }
}
