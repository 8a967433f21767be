// Looks at the nodes of `kith dev` through their consoles, twice a second, for the live view and for whoever waits.

import { createFetchTransport, createNodeApi, type Entry } from '../client/index.ts';
import { abortable, deadline, sleep } from '../core/deadline.ts';
import { isKithError, KithError } from '../core/errors.ts';
import { list, shape, Type, text, uint } from '../core/schema.ts';
import { systemClock } from '../core/system.ts';
import type { DevView, LiveNode, LiveWallet } from './dev-view.ts';
import type { DevNode } from './dev-world.ts';

export interface DevWatch {
  /**
   * Resolves once every node is ready, knows all others as members, reaches them, and has its key kept by them; says
   * each new reason why one is not. @throws KithError `not-ready` when that makes no progress.
   */
  together(): Promise<void>;
  /** Puts a wallet's index set into the view. */
  wallet(name: string, entries: readonly Entry[], syncedTo: number): void;
}

const LOOK_MS = 500;
/** Nothing changes for so long: it will not. Catching up with the recorded chain takes seconds, on a busy machine more. */
const STUCK_MS = 90_000;

const consoleShape = shape(
  Type.Object({
    ready: Type.Boolean(),
    phase: text(64),
    reasons: list(text(1_024), 256),
    heights: Type.Object({ chain: uint(), detected: uint() }),
    registrations: Type.Object({ held: uint() }),
    incarnation: uint(),
    quorum: Type.Object({ needed: uint(), reachable: uint() }),
  }),
);
const membersShape = shape(Type.Object({ members: uint() }));

type Looked = LiveNode & {
  readonly ready: boolean;
  /** On its roster. */
  readonly members: number;
};

const unseen = (name: string, reason: string): Looked => ({
  ...{ name, reason, phase: 'away', ready: false, key: '-' },
  ...{ chain: 0, detected: 0, registrations: 0, incarnation: 0, members: 0 },
  quorum: { needed: 0, reachable: 0 },
});

const BACKED = 'with others';

/** How a node's own sealing key is kept, as its reasons say it. */
export function keyOf(phase: string, reasons: readonly string[]): string {
  if (!['catching-up', 'ready'].includes(phase)) return '-';
  if (reasons.some((reason) => reason.startsWith('unbacked'))) return 'in memory';
  return reasons.some((reason) => reason.startsWith('custody')) ? 'being dealt' : BACKED;
}

/** Looks until `signal` aborts. */
export function watchNodes(view: DevView, nodes: readonly DevNode[], { signal }: { signal: AbortSignal }): DevWatch {
  const deps = { transport: createFetchTransport(), clock: systemClock };
  const apis = nodes.map(({ name, url, adminUrl }) => ({
    name,
    api: createNodeApi(deps, url),
    admin: createNodeApi(deps, adminUrl),
  }));
  const wallets = new Map<string, LiveWallet>();
  const said = new Map<string, string>();
  let latest: readonly Looked[] = nodes.map(({ name }) => unseen(name, 'not asked yet'));
  const onLooked: (() => void)[] = [];

  async function look({ name, api, admin }: (typeof apis)[number]): Promise<Looked> {
    try {
      const state = await admin.get('/console/state', consoleShape, { signal });
      const { members } = await api.get('/v1/node', membersShape, { signal });
      const { ready, phase, reasons, heights, registrations, incarnation, quorum } = state;
      return {
        ...{ name, ready, phase, reason: reasons[0], ...heights, registrations: registrations.held },
        ...{ incarnation, quorum, key: keyOf(phase, reasons), members },
      };
    } catch (error) {
      if (signal.aborted || !isKithError(error)) throw error;
      return unseen(name, error.message);
    }
  }

  const show = () => view.show({ nodes: latest, wallets: [...wallets.values()] });

  async function run(): Promise<void> {
    for (;;) {
      latest = await Promise.all(apis.map(look));
      show();
      for (const wake of onLooked.splice(0)) wake();
      await sleep(systemClock, LOOK_MS, { signal });
    }
  }

  function sayReasons(): void {
    for (const { name, ready, phase, reason } of latest) {
      // A reason that only counts further is not said again.
      const what = ready ? 'ready' : `${phase}: ${reason ?? 'wait'}`;
      const kind = what.replaceAll(/\d+/g, '#');
      if (said.get(name) !== kind) view.say(`  ${name} is ${what}`);
      said.set(name, kind);
    }
  }

  run().catch((error: unknown) => {
    // Only the end of everything ends it; what else happened is seen by those who wait.
    if (!signal.aborted) view.say(`  the nodes are not watched any more: ${String(error)}`);
  });

  /** @param lacks what a node is still without; undefined if nothing. */
  async function until(lacks: (node: Looked) => string | undefined): Promise<void> {
    let before = progress();
    let limit = deadline(systemClock, STUCK_MS, signal);
    try {
      while (!latest.every((node) => lacks(node) === undefined)) {
        await abortable(new Promise<void>((resolve) => onLooked.push(resolve)), limit.signal);
        sayReasons();
        const now = progress();
        if (now === before) continue;
        before = now;
        limit.cancel();
        limit = deadline(systemClock, STUCK_MS, signal);
      }
    } catch (error) {
      if (signal.aborted || !isKithError(error, 'timeout')) throw error;
      const late = latest.find((node) => lacks(node) !== undefined)!;
      const what = `${late.name} is not ready, and nothing has changed for ${STUCK_MS / 1000} s`;
      throw new KithError('not-ready', `${what}: ${lacks(late)}`);
    } finally {
      limit.cancel();
    }
  }

  /** What changes on the way; a node that is ready detects new heights all the time. */
  const progress = (): string =>
    JSON.stringify(
      latest.map(({ ready, phase, detected, key, members, quorum }) =>
        ready ? [key, members, quorum] : [phase, detected],
      ),
    );

  function apart(node: Looked): string | undefined {
    const all = nodes.length;
    if (!node.ready) return node.reason ?? 'no reason';
    if (node.members < all) return `its roster has ${node.members} of ${all} members`;
    if (node.quorum.reachable < all) return `it reaches ${node.quorum.reachable} of ${all} members`;
    return all > 1 && node.key !== BACKED ? `its key is ${node.key}` : undefined;
  }

  return {
    together: () => until(apart),
    wallet(name, entries, syncedTo) {
      wallets.set(name, { name, entries: entries.length, syncedTo });
      show();
    },
  };
}
