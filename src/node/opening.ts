// The phase `recovering`: the sealed store of this disk is opened or made, its key kept, and everything in it loaded.

import type { Company } from './company.ts';
import type { OwnCondition } from './condition.ts';
import { launch } from './launch.ts';
import type { Launched } from './launched.ts';
import { recoveryKeysOf } from './recovery-wrap.ts';
import { findRollback } from './rollback.ts';
import { type AssembleOptions, assemble, type Running, type RunningDeps, type RunningOptions } from './running.ts';
import type { SealingKeys } from './sealing-keys.ts';
import type { SetAside } from './set-aside/set-aside.ts';

export interface OpeningDeps extends RunningDeps {
  readonly condition: OwnCondition;
  readonly company: Company | undefined;
  readonly sealingKeys: SealingKeys;
  readonly setAside: SetAside;
}

export interface OpenedNode {
  readonly launched: Launched;
  readonly running: Running;
}

/** @throws KithError of the store, before anything of it was used. */
export async function openNode(
  deps: OpeningDeps,
  options: RunningOptions & AssembleOptions,
  signal: AbortSignal,
): Promise<OpenedNode> {
  const { cluster, log, condition, sealingKeys, setAside } = deps;
  condition.enter('recovering', ['opening the store']);
  const waitsFor = (reason: string) => condition.enter('recovering', [reason]);
  await setAside.scan();
  const launched = await launch({ ...deps, recoveryKeys: recoveryKeysOf(cluster) }, cluster.id, { signal, waitsFor });
  const { store, identity, incarnation, fresh } = launched;
  condition.incarnation = incarnation;
  condition.rollback = findRollback(store.head, deps.company?.sealingKeys.recovered?.heads ?? []);
  if (condition.rollback) log.error('rollback', { ...condition.rollback });
  let running: Running;
  try {
    running = await assemble(deps, launched, options);
  } catch (error) {
    await store.close();
    throw error;
  }
  condition.running = running;
  log.info('store-open', { nodeId: identity.nodeId, fresh, registrations: running.registrations.counts.held });
  const warning = sealingKeys.warning();
  if (warning) log.warn('unbacked', { reason: warning });
  return { launched, running };
}
