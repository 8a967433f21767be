// Bundles the simulator for Node into one file, with a mutant planted in it if one is given. Nothing on disk is changed
// but that file: a mutant exists in what esbuild reads, never in src and never in dist.

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';

/** One text in one file of src, and what a mutant has in its place. */
export interface Change {
  /** From the root of the project. */
  readonly file: string;
  /** Must be there exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface BundleOptions {
  /** An ES module for Node; its folder is made. */
  readonly outfile: string;
  readonly mutant?: { readonly changes: readonly Change[] } | undefined;
  /** Another file than the simulator's command, from the root of the project. */
  readonly entry?: string;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ENTRY = 'test/sim/simulator/main.ts';
const require = createRequire(import.meta.url);

/** Packages in CommonJS look for `require`, which an ES module does not have. */
const BANNER = `import { createRequire as requireFrom } from 'node:module';
const require = requireFrom(${JSON.stringify(import.meta.url)});`;

/**
 * The text of a file with every change made.
 * @throws Error if what is to be changed is not there exactly once: mutants must not rot unseen.
 */
export function mutate(text: string, changes: readonly Pick<Change, 'find' | 'replace'>[], file: string): string {
  let changed = text;
  for (const { find, replace } of changes) {
    const times = changed.split(find).length - 1;
    if (times !== 1) throw new Error(`${file}: what the mutant changes is there ${times} times, not once:\n${find}`);
    changed = changed.replace(find, () => replace);
  }
  return changed;
}

/** Reached by imports, never by calls: what is native cannot be bundled, and is left where it is. */
const native: Plugin = {
  name: 'native',
  setup: ({ onResolve }) =>
    onResolve({ filter: /^classic-level$/ }, ({ path }) => ({
      path: pathToFileURL(require.resolve(path)).href,
      external: true,
    })),
};

/** Own files keep their places, for what they read beside themselves; those of a mutant are changed. */
function ownFiles(changes: readonly Change[]): Plugin {
  const left = new Map<string, Change[]>();
  for (const change of changes) {
    const path = join(ROOT, change.file);
    left.set(path, [...(left.get(path) ?? []), change]);
  }
  return {
    name: 'own-files',
    setup({ onLoad, onEnd }) {
      onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        if (path.includes('/node_modules/')) return undefined;
        const text = mutate(await readFile(path, 'utf8'), left.get(path) ?? [], path);
        left.delete(path);
        const here = JSON.stringify(pathToFileURL(path).href);
        return { contents: text.replaceAll('import.meta.url', here), loader: 'ts' };
      });
      onEnd(() => ({ errors: [...left.keys()].map((path) => ({ text: `the simulator does not reach ${path}` })) }));
    },
  };
}

/** @throws Error if the mutant does not apply, or changes a file that the simulator does not reach. */
export async function bundle({ mutant, outfile, entry = ENTRY }: BundleOptions): Promise<void> {
  await build({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    conditions: ['kith-source', 'node'],
    alias: { '#crypto': join(ROOT, 'test/sim/simulator/crypto.ts') },
    banner: { js: BANNER },
    logLevel: 'silent',
    plugins: [native, ownFiles(mutant?.changes ?? [])],
  });
}
