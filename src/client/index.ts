// The SDK for wallets, in browsers and in Node: verify a node, then register, renew, revoke with it.

export { type CallOptions, createNodeApi, type NodeApi } from './api.ts';
export type { ClientErrorCode } from './errors.ts';
export { createFetchTransport } from './fetch.ts';
export { type OperationResult, sendOperation, type WalletOperation } from './operations.ts';
export type { ClientRequest, ClientResponse, ClientTransport } from './transport.ts';
export { type VerifiedNode, verifyNode } from './verify-node.ts';
export {
  createWallet,
  formatWallet,
  parseWallet,
  WALLET_FILE_BYTES_MAX,
  type Wallet,
  walletKeys,
  walletPayload,
  walletRegistrationId,
} from './wallet.ts';
