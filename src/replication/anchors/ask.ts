// Asking a member: silence, refusals and answers of another kind are all no answer.

import { isKithError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { REQUEST_TIMEOUT_MS } from './limits.ts';
import { type AnchorAnswer, type AnchorRequest, type AnswerOf, decodeAnswer, encodeRequest } from './messages.ts';
import type { AnchorDeps } from './ports.ts';

/** Undefined if there is no answer of one of the kinds. */
export type AskMember = <Kind extends AnchorAnswer['kind']>(
  nodeId: NodeId,
  request: AnchorRequest,
  ...kinds: readonly Kind[]
) => Promise<AnswerOf<Kind> | undefined>;

export function createAsk(deps: Pick<AnchorDeps, 'peers' | 'report'>, signal: AbortSignal): AskMember {
  return async <Kind extends AnchorAnswer['kind']>(
    nodeId: NodeId,
    request: AnchorRequest,
    ...kinds: readonly Kind[]
  ): Promise<AnswerOf<Kind> | undefined> => {
    const peer = deps.peers.list().find((candidate) => candidate.nodeId === nodeId);
    if (!peer || signal.aborted) return undefined;
    try {
      const payload = await peer.request(encodeRequest(request), { signal, timeoutMs: REQUEST_TIMEOUT_MS });
      const answer = decodeAnswer(payload);
      if (answer.kind === 'log-key') payload.fill(0);
      const wanted: readonly string[] = kinds;
      return wanted.includes(answer.kind) ? (answer as AnswerOf<Kind>) : undefined;
    } catch (error) {
      if (!isKithError(error) && !signal.aborted) deps.report?.({ kind: 'failed', error });
      return undefined;
    }
  };
}
