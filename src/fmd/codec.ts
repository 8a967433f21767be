// The narrow door for the devnet: recorded chains and the size of a flag, nothing that detects.

export { FLAG_BORSH_BYTES } from './flag.ts';
export { createRecordedChainReader, RECORDED_LINE_BYTES_MAX, type RecordedTransaction } from './recorded-chain.ts';
