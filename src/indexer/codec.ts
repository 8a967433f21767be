// The narrow door for those who speak the chain's formats without indexing it: the simulated chain.

export { BLOCK_TRANSACTIONS_MAX, FLAG_BYTES, FLAGS_PER_TRANSACTION_MAX, TEXT_BYTES_MAX } from './limits.ts';
export { encodeNamadaTransaction, type WritableSection } from './namada/encode.ts';
export {
  ATTRIBUTE_CIPHERTEXT,
  ATTRIBUTE_INDEXED_TX,
  ATTRIBUTE_SECTION,
  EVENT_FLAG,
  EVENT_TRANSFER,
} from './namada/events.ts';
export { encodeFlags, isFlagFrame } from './namada/flags.ts';
export { encodeIbcData } from './namada/ibc.ts';
export { encodeMaspTransaction } from './namada/masp.ts';
export { type CodeSection, type DataSection, sectionHash } from './namada/transaction.ts';
export {
  type CometEvent,
  RPC_INTERNAL_ERROR,
  RPC_INVALID_PARAMS,
  RPC_INVALID_REQUEST,
  RPC_METHOD_NOT_FOUND,
} from './wire/cometbft.ts';
export type { Transport, WireRequest, WireResponse } from './wire/transport.ts';
