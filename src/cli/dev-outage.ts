// The outage of `kith dev`: a node dies, the others go on, and it comes back under its own id with a key that only its
// peers had, and with what was registered meanwhile.

import { createFetchTransport, createNodeApi, type NodeInfo, nodeStatus } from '../client/index.ts';
import { sleep } from '../core/deadline.ts';
import { isKithError, KithError } from '../core/errors.ts';
import { systemClock } from '../core/system.ts';
import { type NodeFacts, type Outage, problemOf } from './dev-report.ts';
import type { Sample } from './dev-samples.ts';
import { readAll, register, type StoryDeps, verified } from './dev-wallets.ts';
import type { DevNode } from './dev-world.ts';

/** Below what is worth showing. */
const LOOK_MS = 100;
/** A restart that takes its key from peers is to be ready after fifteen seconds; this is for busy machines. */
const BACK_MS = 90_000;
/** Before a node has its key. */
const WITHOUT_KEY = ['starting', 'attesting', 'recovering'];

/** @param of.before what was verified of the node that dies. @throws KithError `not-ready`, or of a wallet. */
export async function playOutage(
  deps: StoryDeps,
  of: { readonly before: NodeFacts; readonly meanwhileAt: DevNode; readonly sample: Sample; readonly last: number },
): Promise<Outage> {
  const { world, watch, view, check } = deps;
  const { before, meanwhileAt, sample, last } = of;
  const { name } = before;
  const incarnationBefore = (await infoOf(before, world.signal)).incarnation;
  await world.kill(before);
  view.say(`${name} is killed; its sealing key was in its memory, and shares of it with the others`);
  await register(deps, meanwhileAt, sample);

  const began = systemClock.monotonic();
  const seconds = () => (systemClock.monotonic() - began) / 1_000;
  await world.boot(before);
  await phaseOf(before, world.signal, (phase) => !WITHOUT_KEY.includes(phase));
  const keySeconds = seconds();
  const { nodeId, incarnation } = await phaseOf(before, world.signal, (phase) => phase === 'ready');
  const readySeconds = seconds();
  check(nodeId === before.nodeId, `${name} came back as another node: its key was lost`);
  check(incarnation > incarnationBefore, `${name} came back as incarnation ${incarnation}, not a new one`);
  view.say(
    `${name} is back under its own id, incarnation ${incarnation}: it had its key from its peers after ` +
      `${keySeconds.toFixed(1)} s, and was ready after ${readySeconds.toFixed(1)} s`,
  );
  await verified(deps, before);
  const [row] = await readAll(deps, before, [sample], last);
  const problem = problemOf(row!);
  check(problem === undefined, problem ?? '');
  if (!problem) view.say(`${sample.name}, registered while it was away, is read at ${name}: exact`);
  await watch.together();
  return { node: name, meanwhile: sample.name, keySeconds, readySeconds, incarnation };
}

async function infoOf({ url }: DevNode, signal: AbortSignal): Promise<NodeInfo> {
  const api = createNodeApi({ transport: createFetchTransport(), clock: systemClock }, url);
  return (await nodeStatus({ api }, { signal })).node;
}

/** Waits for a phase of a node that may not answer yet. @throws KithError `not-ready`. */
async function phaseOf(node: DevNode, signal: AbortSignal, wanted: (phase: string) => boolean): Promise<NodeInfo> {
  const began = systemClock.monotonic();
  for (let said = 'it does not answer'; ; ) {
    try {
      const info = await infoOf(node, signal);
      if (wanted(info.phase)) return info;
      said = `it is ${info.phase}`;
    } catch (error) {
      if (signal.aborted || !isKithError(error)) throw error;
    }
    if (systemClock.monotonic() - began > BACK_MS) {
      throw new KithError('not-ready', `${node.name} is not back after ${BACK_MS / 1_000} s: ${said}`);
    }
    await sleep(systemClock, LOOK_MS, { signal });
  }
}
