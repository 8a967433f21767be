// Recorded chains: one transaction a line, {"height", "block_index", "flags"}, in chain order. `flags` lists the
// 111-byte Borsh form in hex; null is a transaction without flags. Used offline and as replay file of the devnet.

import { fromHex } from '../core/bytes.ts';
import { KithError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { closed, hexText, list, shape, Type, uint } from '../core/schema.ts';
import { FLAG_BORSH_BYTES } from './flag.ts';

/** A block of Namada holds far fewer shielded outputs than this. */
const FLAGS_PER_TRANSACTION_MAX = 4096;

/** Longest line: the flags of one transaction and room for the rest. */
export const RECORDED_LINE_BYTES_MAX = FLAGS_PER_TRANSACTION_MAX * (2 * FLAG_BORSH_BYTES + 4) + 1024;

const HEIGHT_MAX = 2 ** 48;

const lineShape = shape(
  closed({
    height: uint(HEIGHT_MAX, 1),
    block_index: uint(0xffffffff),
    flags: Type.Union([list(hexText(FLAG_BORSH_BYTES), FLAGS_PER_TRANSACTION_MAX), Type.Null()]),
  }),
);

export interface RecordedTransaction {
  readonly height: number;
  readonly blockIndex: number;
  /** Borsh form, 111 bytes each; undefined for a transaction without flags. */
  readonly flags: readonly Uint8Array[] | undefined;
}

/** Reads lines one after another and checks that each transaction comes once and in order. */
export interface RecordedChainReader {
  /** @throws KithError `bad-json`, `bad-shape` or `bad-order`, naming file, line and field. */
  line(text: string): RecordedTransaction;
}

/** @param source name of the file, for errors. */
export function createRecordedChainReader(source: string): RecordedChainReader {
  let lineNumber = 0;
  let last = { height: 0, blockIndex: -1 };
  return {
    line(text) {
      lineNumber++;
      const where = `${source} line ${lineNumber}`;
      const { height, block_index: blockIndex, flags } = lineShape.parse(parseJson(text, where), where);
      if (height < last.height || (height === last.height && blockIndex <= last.blockIndex)) {
        throw new KithError(
          'bad-order',
          `${where}: (height ${height}, block_index ${blockIndex}) must come after ` +
            `(${last.height}, ${last.blockIndex}) of the line before, each transaction once`,
        );
      }
      last = { height, blockIndex };
      return { height, blockIndex, flags: flags === null ? undefined : flags.map(fromHex) };
    },
  };
}
