// Every kind of fault there is.

import { ATTESTATION_FAULTS } from './attestation.ts';
import { CHAIN_FAULTS } from './chain.ts';
import { CLOCK_FAULTS } from './clock.ts';
import { CONFIGURATION_FAULTS } from './configuration.ts';
import { CRASH_FAULTS } from './crash.ts';
import { DISK_FAULTS } from './disk.ts';
import type { FaultKind } from './kind.ts';
import { MEMBERSHIP_FAULTS } from './membership.ts';
import { NETWORK_FAULTS } from './network.ts';

export const FAULT_KINDS: readonly FaultKind[] = [
  ...NETWORK_FAULTS,
  ...DISK_FAULTS,
  ...CLOCK_FAULTS,
  ...CRASH_FAULTS,
  ...CHAIN_FAULTS,
  ...MEMBERSHIP_FAULTS,
  ...ATTESTATION_FAULTS,
  ...CONFIGURATION_FAULTS,
];
