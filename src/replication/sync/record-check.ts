// Reads records of this node's own store and compares them with its states in memory: one that changed behind the
// node's back is found without another member.

import { equalBytes } from '../../core/bytes.ts';
import { sleep } from '../../core/deadline.ts';
import { isKithError } from '../../core/errors.ts';
import type { RegId } from '../../core/ids.ts';
import type { Clock, Random } from '../../core/ports.ts';
import { operationId } from '../../core/registration/operation.ts';
import { innerHash } from '../../core/registration/payload.ts';
import type { Replica } from '../replica.ts';
import { AUDIT_CHUNK, AUDIT_SAMPLE } from './limits.ts';

interface RecordDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly replica: Replica;
}

/** Registrations of a random sample whose records do not say what the states say. @throws the signal's reason. */
export async function checkSample(deps: RecordDeps, signal: AbortSignal): Promise<RegId[]> {
  const wrong = await wrongAmong(deps, await sampleOf(deps, signal));
  if (wrong.length === 0) return [];
  // A registration may have changed between the two looks; not twice.
  return wrongAmong(deps, await statesOf(deps, new Set(wrong), signal));
}

interface State {
  readonly regId: RegId;
  readonly opIds: readonly string[];
}

/** AUDIT_SAMPLE registrations, each as likely as any other (reservoir sampling, algorithm R). */
async function sampleOf({ clock, random, replica }: RecordDeps, signal: AbortSignal): Promise<State[]> {
  const sample: State[] = [];
  let seen = 0;
  let dice = new DataView(random.bytes(4 * AUDIT_CHUNK).buffer);
  for (const state of replica.states()) {
    const at = seen % AUDIT_CHUNK;
    seen += 1;
    if (sample.length < AUDIT_SAMPLE) sample.push(state);
    else {
      const place = dice.getUint32(4 * at) % seen;
      if (place < AUDIT_SAMPLE) sample[place] = state;
    }
    if (seen % AUDIT_CHUNK > 0) continue;
    await sleep(clock, 0, { signal });
    dice = new DataView(random.bytes(4 * AUDIT_CHUNK).buffer);
  }
  return sample;
}

async function statesOf(deps: RecordDeps, regIds: ReadonlySet<RegId>, signal: AbortSignal): Promise<State[]> {
  const found: State[] = [];
  let seen = 0;
  for (const state of deps.replica.states()) {
    if (regIds.has(state.regId)) found.push(state);
    seen += 1;
    if (seen % (8 * AUDIT_CHUNK) === 0) await sleep(deps.clock, 0, { signal });
  }
  return found;
}

async function wrongAmong({ replica }: RecordDeps, states: readonly State[]): Promise<RegId[]> {
  const wrong: RegId[] = [];
  for (const { regId, opIds } of states) {
    const bodies = await replica.bodiesOf(regId).catch((error: unknown) => {
      if (isKithError(error)) return undefined;
      throw error;
    });
    if (!bodies) {
      wrong.push(regId);
      continue;
    }
    const ids = bodies.map(({ operation }) => operationId(operation) as string).sort();
    const fits = bodies.every(({ operation, keys }) => {
      return operation.regId === regId && (!keys || equalBytes(innerHash(keys), operation.inner));
    });
    if (!fits || ids.join() !== [...opIds].sort().join()) wrong.push(regId);
  }
  return wrong;
}
