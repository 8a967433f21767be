// Keyed hashes over all registrations, summed into 64 x 64 buckets: two members with the same states have the same
// sums, and where they differ, the buckets tell. The key is fresh for each audit, so that nobody can prepare states
// that collide or that fill one bucket.

import { sha256 } from '#crypto';
import { concatBytes, toHex, utf8 } from '../../core/bytes.ts';
import { sleep } from '../../core/deadline.ts';
import { idBytes, type OpId, type RegId } from '../../core/ids.ts';
import { LABEL_AUDIT } from '../../core/labels.ts';
import type { Clock } from '../../core/ports.ts';
import type { Replica } from '../replica.ts';
import { AUDIT_CHUNK, AUDIT_FANOUT, AUDIT_IDS_PER_MESSAGE } from './limits.ts';

const LEAVES = AUDIT_FANOUT * AUDIT_FANOUT;
/** Words of 32 bits in a sum. */
const WORDS = 4;

export interface AuditTable {
  /** Registrations in it. */
  readonly count: number;
  /** Over everything; 16 bytes. */
  root(): Uint8Array;
  /** Over each of the 64 branches. */
  branches(): Uint8Array[];
  /** Over each of the 64 leaves of one branch. */
  leaves(branch: number): Uint8Array[];
}

export interface AuditId {
  readonly regId: RegId;
  /** 16 bytes. */
  readonly state: Uint8Array;
}

interface Hashed {
  readonly leaf: number;
  readonly state: Uint8Array;
}

function hashState(prefix: Uint8Array, regId: RegId, opIds: readonly OpId[]): Hashed {
  const placed = sha256(concatBytes(prefix, idBytes(regId)));
  const leaf = ((placed[0]! << 8) | placed[1]!) % LEAVES;
  const sorted = opIds.length > 1 ? [...opIds].sort() : opIds;
  return { leaf, state: sha256(concatBytes(placed, ...sorted.map(idBytes))).subarray(0, 4 * WORDS) };
}

const prefixOf = (key: Uint8Array): Uint8Array => concatBytes(utf8(LABEL_AUDIT), key);

type Deps = { readonly clock: Clock; readonly replica: Replica };

/** Walks over all states in pieces, so that other work goes on meanwhile. */
async function walk(
  { clock, replica }: Deps,
  key: Uint8Array,
  signal: AbortSignal,
  visit: (regId: RegId, hashed: Hashed) => void,
): Promise<number> {
  const prefix = prefixOf(key);
  let count = 0;
  for (const { regId, opIds } of replica.states()) {
    visit(regId, hashState(prefix, regId, opIds));
    count += 1;
    if (count % AUDIT_CHUNK === 0) await sleep(clock, 0, { signal });
  }
  return count;
}

/** @param key 32 bytes, fresh. @throws the signal's reason. */
export async function auditTable(deps: Deps, key: Uint8Array, signal: AbortSignal): Promise<AuditTable> {
  const sums = new Uint32Array(LEAVES * WORDS);
  const count = await walk(deps, key, signal, (_, { leaf, state }) => {
    const words = new DataView(state.buffer, state.byteOffset, state.length);
    for (let i = 0; i < WORDS; i++) sums[leaf * WORDS + i]! += words.getUint32(4 * i);
  });
  /** Sum over leaves `from` to `until`, as 16 bytes. */
  const sumOf = (from: number, until: number): Uint8Array => {
    const total = new Uint32Array(WORDS);
    for (let at = from * WORDS; at < until * WORDS; at++) total[at % WORDS]! += sums[at]!;
    const out = new DataView(new ArrayBuffer(4 * WORDS));
    for (let i = 0; i < WORDS; i++) out.setUint32(4 * i, total[i]!);
    return new Uint8Array(out.buffer);
  };
  const indices = Array.from({ length: AUDIT_FANOUT }, (_, i) => i);
  return {
    count,
    root: () => sumOf(0, LEAVES),
    branches: () => indices.map((branch) => sumOf(branch * AUDIT_FANOUT, (branch + 1) * AUDIT_FANOUT)),
    leaves: (branch) => indices.map((leaf) => sumOf(branch * AUDIT_FANOUT + leaf, branch * AUDIT_FANOUT + leaf + 1)),
  };
}

/** The registrations of some leaves, each with the hash of its state: by leaf, in the order asked for. */
export async function auditIds(
  deps: Deps,
  key: Uint8Array,
  leaves: readonly number[],
  signal: AbortSignal,
): Promise<AuditId[][]> {
  const found = new Map<number, AuditId[]>(leaves.map((leaf) => [leaf, []]));
  await walk(deps, key, signal, (regId, { leaf, state }) => {
    const ids = found.get(leaf);
    if (ids && ids.length < AUDIT_IDS_PER_MESSAGE) ids.push({ regId, state });
  });
  return leaves.map((leaf) => found.get(leaf)!);
}

/** Registrations that are only in one of the two, or in both with different states. */
export function differencesOf(own: readonly AuditId[], theirs: readonly AuditId[]): RegId[] {
  const states = new Map(own.map(({ regId, state }) => [regId, toHex(state)]));
  const different = new Set<RegId>();
  for (const { regId, state } of theirs) {
    if (states.get(regId) !== toHex(state)) different.add(regId);
    states.delete(regId);
  }
  for (const regId of states.keys()) different.add(regId);
  return [...different];
}
