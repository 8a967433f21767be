// Ports of loopback that nobody listens on, for processes that must know one another's before they start.

export { findFreePorts as freePorts } from '../../src/cli/dev-ports.ts';
