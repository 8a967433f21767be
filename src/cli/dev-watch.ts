// Looks at the nodes of `kith dev` through their consoles, twice a second, for the live view and for whoever waits.

import { createFetchTransport, createNodeApi, type Entry } from '../client/index.ts';
import { abortable, deadline, sleep } from '../core/deadline.ts';
import { isKithError, KithError } from '../core/errors.ts';
import { list, shape, Type, text, uint } from '../core/schema.ts';
import { systemClock } from '../core/system.ts';
import type { DevView, LiveNode, LiveWallet } from './dev-view.ts';
import type { DevNode } from './dev-world.ts';

export interface DevWatch {
  /** Resolves once every node is ready; says each new reason why one is not. @throws KithError `not-ready`. */
  ready(): Promise<void>;
  /** Puts a wallet's index set into the view. */
  wallet(name: string, entries: readonly Entry[], syncedTo: number): void;
}

const LOOK_MS = 500;
/** Catching up with the recorded chain takes a few seconds. */
const READY_MS = 90_000;

const consoleShape = shape(
  Type.Object({
    ready: Type.Boolean(),
    phase: text(64),
    reasons: list(text(1_024), 256),
    heights: Type.Object({ chain: uint(), indexed: uint(), detected: uint() }),
    registrations: Type.Object({ held: uint() }),
  }),
);
type Looked = LiveNode & { readonly ready: boolean };

const unseen = (name: string, reason: string): Looked => ({
  ...{ name, reason, phase: 'away', ready: false },
  ...{ chain: 0, indexed: 0, detected: 0, registrations: 0 },
});

/** Looks until `signal` aborts. */
export function watchNodes(view: DevView, nodes: readonly DevNode[], { signal }: { signal: AbortSignal }): DevWatch {
  const deps = { transport: createFetchTransport(), clock: systemClock };
  const apis = nodes.map(({ name, adminUrl }) => ({ name, api: createNodeApi(deps, adminUrl) }));
  const wallets = new Map<string, LiveWallet>();
  const said = new Map<string, string>();
  let latest: readonly Looked[] = nodes.map(({ name }) => unseen(name, 'not asked yet'));
  const onLooked: (() => void)[] = [];

  async function look({ name, api }: (typeof apis)[number]): Promise<Looked> {
    try {
      const { ready, phase, reasons, heights, registrations } = await api.get('/console/state', consoleShape, {
        signal,
      });
      return { name, ready, phase, reason: reasons[0], ...heights, registrations: registrations.held };
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

  return {
    async ready() {
      using limit = deadline(systemClock, READY_MS, signal);
      while (!latest.every(({ ready }) => ready)) {
        const looked = new Promise<void>((resolve) => onLooked.push(resolve));
        await abortable(looked, limit.signal).catch((error: unknown) => {
          if (signal.aborted || !isKithError(error, 'timeout')) throw error;
          const { name, reason } = latest.find(({ ready }) => !ready)!;
          throw new KithError('not-ready', `${name} is not ready after ${READY_MS / 1000} s: ${reason ?? 'no reason'}`);
        });
        sayReasons();
      }
    },
    wallet(name, entries, syncedTo) {
      wallets.set(name, { name, entries: entries.length, syncedTo });
      show();
    },
  };
}
