// What a node says about itself, its cluster and a registration. Nothing of it is authenticated: it may guide, it must
// not be believed where it matters.

import type { RegId } from '../core/ids.ts';
import { VERSION_AHEAD_BLOCKS_MAX } from '../core/registration/limits.ts';
import { type CallOptions, membersShape, type NodeApi, nodeShape, readinessShape, registrationShape } from './api.ts';
import { clientError } from './errors.ts';

export type NodeInfo = ReturnType<typeof nodeShape.parse>;
export type MemberInfo = ReturnType<typeof membersShape.parse>[number];
export type RegistrationStatus = ReturnType<typeof registrationShape.parse>;

export interface NodeStatus {
  readonly node: NodeInfo;
  readonly members: readonly MemberInfo[];
  readonly ready: boolean;
  /** Why it is not ready, or what an operator should know. */
  readonly reasons: readonly string[];
}

const READY_PHASE = 'ready';

/** @throws KithError `bad-answer`, `node-unreachable`, or the node's refusal under its code. */
export async function nodeStatus({ api }: { api: NodeApi }, options: CallOptions): Promise<NodeStatus> {
  const node = await api.get('/v1/node', nodeShape, options);
  const members = await api.get('/v1/members', membersShape, options);
  const { ready, phase, reasons } = await api.get('/readyz', readinessShape, { ...options, acceptStatus: 503 });
  return { node, members, ready: ready ?? phase === READY_PHASE, reasons };
}

/** @throws KithError as `nodeStatus`; `unknown-registration`. */
export async function registrationStatus(
  { api }: { api: NodeApi },
  id: RegId,
  options: CallOptions,
): Promise<RegistrationStatus> {
  const answer = await api.get(`/v1/registrations/${id}`, registrationShape, options);
  if (answer.id !== id) throw clientError('bad-answer', `${api.url} answers about another registration`);
  return answer;
}

/**
 * The height of the chain to sign at: that of the chain, but never further above what the node has indexed than a
 * cluster accepts. A lie is bounded: a height ahead of the cluster is refused by its nodes, a lower one makes a
 * registration that ends earlier and that a later operation outranks (docs/CLIENT.md).
 * @throws KithError as `nodeStatus`; `not-ready` if the node does not serve yet.
 */
export async function chainHeight({ api }: { api: NodeApi }, options: CallOptions): Promise<number> {
  const { heights, phase } = await api.get('/v1/node', nodeShape, options);
  if (heights.chain === 0 || phase !== READY_PHASE) {
    throw clientError('not-ready', `${api.url} is ${phase} and does not serve yet`);
  }
  return Math.min(heights.chain, heights.indexed + VERSION_AHEAD_BLOCKS_MAX);
}
