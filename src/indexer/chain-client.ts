// What anchors need of a chain: to send a text as a transaction. Those sent are found again by the indexer, which
// hands on the text transactions under a prefix with each block.

import { sha256 } from '#crypto';
import { toBase64Url, toHex, utf8 } from '../core/bytes.ts';
import { isKithError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import { parseAnswer } from './ask.ts';
import { callRpc } from './comet-rpc.ts';
import { createCometSource } from './comet-source.ts';
import { indexerError } from './errors.ts';
import { TEXT_BYTES_MAX } from './limits.ts';
import type { SourceBlock, SourceStatus } from './ports.ts';
import { COMET_BROADCAST } from './wire/cometbft.ts';
import type { Transport } from './wire/transport.ts';

/** Asks the chain about blocks and sends to it. What it answers is as trustworthy as the node behind it. */
export interface ChainClient {
  readonly name: string;
  status(options: { signal: AbortSignal }): Promise<SourceStatus>;
  /** Blocks with the text transactions under the prefix; at most `rangeMax` of the source. */
  blocks(from: number, to: number, options: { signal: AbortSignal }): Promise<SourceBlock[]>;
  /**
   * Hands a text to the mempool; sending it again is harmless.
   * @returns the transaction's hash, upper-case hex.
   * @throws KithError `transaction-refused` when the chain's application rejects it, and those of a source.
   */
  send(text: string, options: { signal: AbortSignal }): Promise<string>;
}

export function createCometClient(
  deps: { transport: Transport; clock: Clock },
  options: { textPrefix: string },
): ChainClient {
  const source = createCometSource(deps, options);
  const { name } = source;
  return {
    name,
    status: source.status,
    blocks: source.blocks,
    async send(text, { signal }) {
      const bytes = utf8(text);
      if (bytes.length === 0 || bytes.length > TEXT_BYTES_MAX) {
        throw indexerError('bad-options', `expected a text of 1 to ${TEXT_BYTES_MAX} bytes, got ${bytes.length}`);
      }
      const hash = toHex(sha256(bytes)).toUpperCase();
      const params = { tx: toBase64(bytes) };
      try {
        const [result] = await callRpc(deps, [{ method: 'broadcast_tx_sync', params }], signal);
        return accepted(result, hash, name);
      } catch (error) {
        // The node has seen these very bytes: they are on their way, or in a block.
        if (isKithError(error, 'upstream-refused') && error.message.includes('tx already exists in cache')) return hash;
        throw error;
      }
    },
  };
}

function accepted(result: unknown, hash: string, name: string): string {
  const answer = parseAnswer(COMET_BROADCAST, result, `${name} broadcast_tx_sync`);
  if (answer.code !== 0) {
    throw indexerError('transaction-refused', `${name}: the chain refused the transaction with code ${answer.code}`);
  }
  if (answer.hash.toUpperCase() !== hash) throw indexerError('bad-answer', `${name}: hash of another transaction`);
  return hash;
}

/** With padding, as Go's JSON wants it (RFC 4648, section 4). */
function toBase64(bytes: Uint8Array): string {
  const text = toBase64Url(bytes).replaceAll('-', '+').replaceAll('_', '/');
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}
