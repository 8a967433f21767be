// The SDK for wallets, in browsers and in Node: verify a node, then register, renew, revoke with it, and read the index
// set from any node.

export {
  addAnswer,
  type Entry,
  emptyView,
  type IndexSetView,
  mergeViews,
  viewSyncedTo,
  viewUpTo,
} from '../fmd/browser.ts';
export { type CallOptions, createNodeApi, type NodeApi } from './api.ts';
export { type ClientErrorCode, isNodeRefusal, type NodeRefusal, passesWithTime } from './errors.ts';
export { createFetchTransport } from './fetch.ts';
export { followIndexSet, type WaitOptions, waitForHeight } from './follow.ts';
export {
  type IndexSetOwner,
  type NodesReading,
  ownerOf,
  type ReadOptions,
  readFromNodes,
  readIndexSet,
  WAIT_SECONDS_MAX,
} from './index-set.ts';
export { formatKept, KEPT_FILE_BYTES_MAX, type KeptRegistration, parseKept } from './kept.ts';
export {
  type MemberInfo,
  type NodeInfo,
  type NodeStatus,
  nodeStatus,
  type RegistrationStatus,
  registrationStatus,
} from './node-info.ts';
export { type OperationResult, type SendOptions, sendOperation, type WalletOperation } from './operations.ts';
export {
  readRecovery,
  type ShareResult,
  sendRecoveryShare,
  type WaitingStore,
} from './recovery.ts';
export {
  type OperationOptions,
  type RegisterOptions,
  type Registration,
  type RenewOptions,
  registerWallet,
  renewWallet,
  revokeWallet,
} from './registration.ts';
export { type Restored, restoreRegistration, showCertificate } from './restore.ts';
export type { RestoreOptions } from './restoring.ts';
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
export { createWalletClient, type WalletClient } from './wallet-client.ts';
