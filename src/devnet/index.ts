// The simulated chain's door: real wire formats out of a replay file, with faults on request. Simulated: nothing here
// says anything about what is on Namada's chain.

export type { CometVersion } from './comet.ts';
export { CHAIN_ID_DEFAULT, createDevnet, type Devnet, type DevnetOptions } from './devnet.ts';
export { FAULT_KINDS, type FaultKind, type FaultRates, type FaultRequest } from './faults.ts';
export { REPLAY_BYTES_MAX } from './limits.ts';
export { parseReplay, type Replay, type ReplayTransaction } from './replay.ts';
export { type DevnetServer, type DevnetServerOptions, serveDevnet } from './server.ts';
