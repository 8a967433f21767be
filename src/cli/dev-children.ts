// The child processes of `kith dev` by name: one that ends by itself ends everything, one that the story kills does not.

import { KithError } from '../core/errors.ts';
import type { Shape } from '../core/schema.ts';
import type { Terminal } from './command.ts';
import { type DevChild, startChild } from './dev-child.ts';

export interface DevChildren {
  /** @throws KithError as `startChild`. */
  start<Facts>(name: string, words: readonly string[], facts: Shape<Facts>): Promise<Facts>;
  /** Ends one at once, on purpose; its name is free again. */
  kill(name: string): Promise<void>;
  /** Ends all, `last` after the others. */
  stop(last: string): Promise<void>;
}

/** A signal of the terminal reaches all its processes at once: who interrupts is not told that a child ended. */
export const INTERRUPT_GRACE_MS = 250;

/** @param ending is aborted when one ends by itself. */
export function createDevChildren({ stderr }: Terminal, ending: AbortController): DevChildren {
  const { signal } = ending;
  const children = new Map<string, DevChild>();
  const starting = new Set<Promise<unknown>>();

  const show = (name: string, lines: readonly string[]) => {
    if (lines.length > 0) stderr.write(`the last lines of ${name}:\n${lines.join('\n')}\n`);
  };
  const died = (child: DevChild, how: string) => {
    const { name, lastLines } = child;
    if (signal.aborted || children.get(name) !== child) return;
    ending.abort(new KithError('child-ended', `${name} ${how} by itself`));
    show(name, lastLines());
  };

  async function start<Facts>(name: string, words: readonly string[], facts: Shape<Facts>): Promise<Facts> {
    const child = await startChild(name, words, facts, { signal, onFailure: (lines) => show(name, lines) });
    children.set(name, child);
    void child.ended.then((how) => setTimeout(() => died(child, how), INTERRUPT_GRACE_MS).unref());
    return child.facts;
  }

  return {
    start(name, words, facts) {
      const started = start(name, words, facts);
      const done = started.then(
        () => void starting.delete(done),
        () => void starting.delete(done),
      );
      starting.add(done);
      return started;
    },
    async kill(name) {
      const child = children.get(name);
      children.delete(name);
      await child?.kill();
    },
    async stop(last) {
      await Promise.all(starting);
      const all = [...children.values()];
      await Promise.all(all.filter(({ name }) => name !== last).map((child) => child.stop()));
      await children.get(last)?.stop();
    },
  };
}
