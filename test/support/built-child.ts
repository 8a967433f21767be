// Processes that tests kill and benchmarks measure: one file of ours over the built modules, so that what runs is what
// ships, workers and kernel included, and no TypeScript loader takes part. Needs `npm run build`.

import { existsSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const src = fileURLToPath(new URL('../../src/', import.meta.url));
const dist = fileURLToPath(new URL('../../dist/', import.meta.url));

/** What a file of ours imports from src is imported from dist instead, and not bundled. */
const overBuiltModules: Plugin = {
  name: 'over built modules',
  setup(builder) {
    builder.onResolve({ filter: /^\.{1,2}\/.*\.ts$/ }, ({ path, resolveDir }) => {
      const name = relative(src, fileURLToPath(new URL(path, `file://${resolveDir}/`)));
      if (name.startsWith('..')) return undefined;
      const built = dist + name.split(sep).join('/').replace(/\.ts$/, '.js');
      if (!existsSync(built)) return { errors: [{ text: `${built} is missing: npm run build` }] };
      return { path: built, external: true };
    });
  },
};

/** @param entry file URL of the source, which imports nothing but Node and src. @returns the path of what to run. */
export async function buildChild(entry: URL, folder: string): Promise<string> {
  const outfile = join(folder, 'child.mjs');
  await build({
    entryPoints: [fileURLToPath(entry)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    plugins: [overBuiltModules],
  });
  return outfile;
}
