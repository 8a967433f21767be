// The service of a node: what its phase serves is answered by the parts, the rest is refused with reasons.

import { isKithError, KithError } from '../core/errors.ts';
import { parseRegId, type RegId } from '../core/ids.ts';
import type { OperationType } from '../core/registration/operation.ts';
import type { SealedBox } from '../core/sealed-request.ts';
import type { Evidence } from './evidence.ts';
import type { Log } from './log.ts';
import { memberInfos, type NodeInfoDeps, nodeInfo } from './node-info.ts';
import { readinessOf } from './readiness.ts';
import type { Replication } from './replication/replication.ts';
import type { Running } from './running.ts';
import type { SealingKeys } from './sealing-keys.ts';
import type { NodeService, OperationAnswer, ServiceCall } from './service.ts';
import type { SetAside } from './set-aside/set-aside.ts';
import { rosterPlaces, takeOff } from './taking-off.ts';
import type { createOperationCounter, Pseudonyms } from './telemetry/index.ts';
import type { TotalRestart } from './total-restart.ts';
import type { WritePath } from './write-path.ts';

export interface NodeServiceDeps extends Omit<NodeInfoDeps, 'clusterHeight'> {
  readonly log: Log;
  readonly sealingKeys: SealingKeys;
  readonly counted: ReturnType<typeof createOperationCounter>;
  /** Under the own id, or the name of this boot before the store is open; undefined before the node is attested. */
  readonly evidence: () => Evidence | undefined;
  readonly restart: Pick<TotalRestart, 'recovery' | 'enterRecoveryShare' | 'note'>;
  readonly setAside: Pick<SetAside, 'notes'>;
  /** What there is once the store is open. */
  readonly opened: () => Opened | undefined;
}

/** What answers clients under the identity of an open store. */
export interface Opened {
  readonly replication: Replication;
  readonly pseudonyms: Pseudonyms;
}

/** @param options.version of the software. */
export function createNodeService(deps: NodeServiceDeps, options: { readonly version: string }): NodeService {
  const { cluster, condition, opened, restart } = deps;
  const telling = { ...deps, clusterHeight: () => opened()?.replication.clusterHeight };

  /** @throws KithError `not-ready` with the reason, unless the node serves. */
  function serving(): Running {
    const { phase, running, reasons } = condition;
    if (phase === 'ready' && running) return running;
    throw new KithError('not-ready', `The node is ${phase}: ${reasons[0] ?? 'wait'}.`);
  }

  function notes(): string[] {
    const warning = deps.sealingKeys.warning();
    const closed = restart.note();
    const roster = deps.company?.rosterWarning();
    return [
      ...(warning ? [warning] : []),
      ...(roster ? [roster] : []),
      ...(deps.company?.sealingKeys.warnings() ?? []),
      ...(closed ? [closed] : []),
      ...deps.setAside.notes(),
      ...(opened()?.replication.notes() ?? []),
      ...(cluster.simulated ? ['simulated: this cluster protects nobody'] : []),
    ];
  }

  async function carryOut(
    kind: OperationType,
    id: RegId | undefined,
    box: SealedBox,
    call: ServiceCall,
  ): Promise<OperationAnswer> {
    const { log, counted } = deps;
    try {
      serving();
      const answer = await opened()!.replication.writePath.operations.carryOut(kind, id, box, call);
      counted.accepted(kind);
      log.debug('operation-taken', { kind, registration: opened()?.pseudonyms(parseRegId(answer.id)) });
      return answer;
    } catch (error) {
      const code = isKithError(error) ? error.code : 'internal';
      counted.refused(kind, code);
      log.debug('operation-refused', { kind, code, registration: id && opened()?.pseudonyms(id) });
      throw error;
    }
  }

  function writePath(): WritePath {
    serving();
    return opened()!.replication.writePath;
  }

  return {
    readiness: () => readinessOf(condition.phase, condition.reasons, condition.running, notes()),
    node: () => nodeInfo({ ...telling, anchored: opened()?.replication.anchors()?.anchored ?? 0 }, options),
    members: () => memberInfos(telling),
    roster: () => rosterPlaces(deps),
    takeOff: (encoded) => takeOff(deps, encoded),
    attestation: async (nonce, { signal }) => {
      const evidence = deps.evidence();
      if (evidence && condition.phase !== 'draining') return evidence.document(nonce, { signal });
      throw new KithError('not-ready', `The node is ${condition.phase} and has no key to seal to.`);
    },
    register: (box, call) => carryOut('register', undefined, box, call),
    renew: (id, box, call) => carryOut('renew', id, box, call),
    revoke: (id, box, call) => carryOut('revoke', id, box, call),
    registration: async (id) => writePath().status(id),
    presentCertificate: (id, encoded) => writePath().presentCertificate(id, encoded),
    indexSet: async (id, lookUp, call) => serving().lookUps.answer(id, lookUp, call),
    recovery: restart.recovery,
    enterRecoveryShare: restart.enterRecoveryShare,
  };
}
