// What becomes of users' operations on this node: taken and synced, confirmed by the other members, and told about.
// The parts are put together here for the composition root.

import type { Cluster } from '../attestation/index.ts';
import type { HpkeKeyPair } from '../core/hpke.ts';
import type { NodeId, RegId } from '../core/ids.ts';
import type { Clock, Random } from '../core/ports.ts';
import type { BatchReceipt } from '../core/receipt.ts';
import type { RosterEntry } from '../core/roster.ts';
import {
  type ConfirmationOutcome,
  type Confirmations,
  createConfirmations,
  type OperationRef,
} from '../replication/index.ts';
import { presentCertificate } from './certificates.ts';
import { createOperations, type Operations } from './operations.ts';
import { createOwnReceipts } from './own-receipts.ts';
import { registrationStatus } from './registration-status.ts';
import type { Registrations } from './registrations/registrations.ts';
import type { CertificateAnswer, RegistrationStatus } from './service.ts';

export interface WritePathDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly cluster: Cluster;
  readonly nodeId: NodeId;
  readonly hpkeKeyPair: HpkeKeyPair;
  readonly registrations: Pick<Registrations, 'submit' | 'standing'>;
  readonly roster: () => readonly RosterEntry[];
  /** As `Replica.receipt`. */
  readonly receipt: (opIds: readonly OperationRef['opId'][]) => BatchReceipt | undefined;
  /** Members known to have what is in force for a registration, this node among them. */
  readonly holding: (id: RegId) => Promise<Iterable<NodeId>>;
  /** Asks the members for receipts of operations held before. */
  readonly ask?: ((refs: readonly OperationRef[]) => void) | undefined;
  /** Has a registration fetched from these members; false if too many are wanted. */
  readonly want: (ref: OperationRef, holders: readonly NodeId[]) => boolean;
  /** An operation was answered so long after it was synced here. */
  readonly onAnswered?: ((outcome: ConfirmationOutcome['kind'], afterMs: number) => void) | undefined;
}

export interface WritePath {
  readonly operations: Operations;
  /** Is told of receipts and of changes of the roster. */
  readonly confirmations: Confirmations;
  status(id: RegId): Promise<RegistrationStatus | undefined>;
  presentCertificate(id: RegId, encoded: string): CertificateAnswer;
}

/** Platforms that must confirm, besides that they are a majority: more than one, unless a node may be alone. */
const platformsMinOf = ({ configuration }: Cluster): number =>
  Math.max(configuration.confirmations, configuration.allowUnbacked ? 1 : 2);

export function createWritePath(deps: WritePathDeps): WritePath {
  const { clock, cluster, nodeId, roster, registrations } = deps;
  const platformsMin = platformsMinOf(cluster);
  const confirmations = createConfirmations({ clock, roster, ask: deps.ask }, { nodeId, platformsMin });
  const ownReceipts = createOwnReceipts(deps.receipt);
  const knows = (id: RegId) => registrations.standing(id).kind !== 'unknown';
  return {
    operations: createOperations({
      ...{ ...deps, clusterId: cluster.id, ownReceipts },
      confirmations: { wait: timed(confirmations.wait, deps) },
    }),
    confirmations,
    async status(id) {
      if (!knows(id)) return undefined;
      const holding = await deps.holding(id);
      return registrationStatus(id, registrations.standing(id), holding, roster(), platformsMin);
    },
    presentCertificate: (id, encoded) =>
      presentCertificate({ clusterId: cluster.id, roster, knows, want: deps.want }, id, encoded),
  };
}

/** The same, and `onAnswered` is told of how it ended. */
function timed(
  wait: Confirmations['wait'],
  { clock, onAnswered }: Pick<WritePathDeps, 'clock' | 'onAnswered'>,
): Confirmations['wait'] {
  return async (ref, own, options) => {
    const since = clock.monotonic();
    const outcome = await wait(ref, own, options);
    onAnswered?.(outcome.kind, clock.monotonic() - since);
    return outcome;
  };
}
