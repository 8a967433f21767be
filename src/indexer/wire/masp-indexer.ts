// namada-masp-indexer's JSON: what is read of each answer. It knows neither chain id, block hashes nor flags.

import { list, shape, Type, text, uint } from '../../core/schema.ts';
import { BLOCK_TRANSACTIONS_MAX, SECTIONS_MAX, TRANSACTION_BYTES_MAX } from '../limits.ts';

export const MASP_HEIGHT = shape(Type.Object({ block_height: uint() }));

export const MASP_TXS = shape(
  Type.Object({
    txs: list(
      Type.Object({
        block_height: uint(),
        block_index: uint(BLOCK_TRANSACTIONS_MAX),
        batch: list(
          Type.Object({
            masp_tx_index: uint(SECTIONS_MAX),
            is_masp_fee_payment: Type.Optional(Type.Boolean()),
            bytes: list(uint(255), TRANSACTION_BYTES_MAX),
          }),
          SECTIONS_MAX,
        ),
      }),
      BLOCK_TRANSACTIONS_MAX,
    ),
  }),
);

const MESSAGE = text(65_536);

/** Its three shapes of an error: of the API, of a time-out, of an unknown path. A bad query is answered in plain text. */
const MASP_ERROR = shape(
  Type.Union([
    Type.Object({ message: MESSAGE }),
    Type.Object({ error: MESSAGE }),
    Type.Object({ error: Type.Object({ message: MESSAGE }) }),
  ]),
);

/** What an upstream says may go into an error up to here. */
const REASON_CHARS_MAX = 160;

/** The reason in an error's body, whichever shape it has; `body` is JSON already parsed, or the text itself. */
export function maspErrorReason(body: unknown): string {
  let reason = typeof body === 'string' ? body : 'no reason given';
  if (MASP_ERROR.matches(body)) {
    if ('message' in body) reason = body.message;
    else reason = typeof body.error === 'string' ? body.error : body.error.message;
  }
  return JSON.stringify(reason.slice(0, REASON_CHARS_MAX));
}
