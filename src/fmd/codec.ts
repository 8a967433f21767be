// The narrow door for the devnet: recorded chains and the size of a flag, nothing that detects.

export { FLAG_BORSH_BYTES } from './flag.ts';
export { createRecordedChainReader, type RecordedChainReader, type RecordedTransaction } from './recorded-chain.ts';
