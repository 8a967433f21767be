// What must be true of a cluster after everything that was acknowledged to users: compared with what each node tells.

import type { RegId } from '../../src/core/ids.ts';
import type { MadeOperation } from './load.ts';

/** By registration: the operation that must be in force, acknowledged or on its way. */
export interface Expected {
  readonly type: MadeOperation['type'];
  readonly expiryHeight: number;
}

export interface Findings {
  /** Acknowledged and unknown, or another operation in force than the last acknowledged. */
  readonly lost: string[];
  /** Ended and in force again, or its index set told. */
  readonly resurrected: string[];
  /** Registrations a node holds beyond those there are. */
  readonly duplicates: number;
  readonly checked: number;
}

interface Told {
  readonly status: string;
  readonly expiryHeight: number;
}

/** Requests under way at once: a look-up takes a node a quarter of a millisecond. */
const WORKERS = 16;
const REQUEST_MS = 30_000;
/** What is listed of each kind of finding. */
const LISTED_MAX = 20;

async function ask(url: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url, { signal: AbortSignal.timeout(REQUEST_MS) });
  return { status: response.status, body: await response.json() };
}

/** Why what a node tells of one registration is wrong; undefined if it is right. */
async function compare(
  url: string,
  id: RegId,
  expected: Expected,
): Promise<['lost' | 'resurrected', string] | undefined> {
  const state = await ask(`${url}/v1/registrations/${id}`);
  const told = state.body as Told;
  const lookUp = await ask(`${url}/v1/index-sets/${id}`);
  if (expected.type === 'revoke') {
    if (told.status === 'confirmed' || told.status === 'pending') return ['resurrected', `${id} is ${told.status}`];
    if (lookUp.status === 200) return ['resurrected', `${id} has an index set`];
    return told.status === 'revoked' ? undefined : ['lost', `revoked ${id} is ${told.status} (${state.status})`];
  }
  if (state.status !== 200) return ['lost', `${id}: status ${state.status}`];
  if (told.status !== 'confirmed') return ['lost', `${id} is ${told.status}`];
  if (told.expiryHeight !== expected.expiryHeight) {
    return ['lost', `${id} expires at ${told.expiryHeight}, not at ${expected.expiryHeight}`];
  }
  return lookUp.status === 200 ? undefined : ['lost', `${id}: look-up ${lookUp.status}`];
}

/** Asks one node about every registration. @param admin URL with the console, for what it holds in all. */
export async function checkSet(
  { url, admin }: { readonly url: string; readonly admin: string },
  expected: ReadonlyMap<RegId, Expected>,
): Promise<Findings> {
  const found: Record<'lost' | 'resurrected', string[]> = { lost: [], resurrected: [] };
  const left = [...expected];
  const worker = async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const wrong = await compare(url, ...next);
      if (wrong && found[wrong[0]].length < LISTED_MAX) found[wrong[0]].push(wrong[1]);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
  const { body } = await ask(`${admin}/console/state`);
  const { held } = (body as { registrations: { held: number } }).registrations;
  const active = [...expected.values()].filter(({ type }) => type !== 'revoke').length;
  return { ...found, duplicates: held - active, checked: expected.size };
}
