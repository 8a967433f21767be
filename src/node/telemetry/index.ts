// What operators see of a node: logs and metrics. Neither tells who is registered or what matched.

export { createPinoLog, type LogLevel, type PinoLogOptions } from './pino-log.ts';
export { createPseudonyms, type Pseudonyms } from './pseudonyms.ts';
