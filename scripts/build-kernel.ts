// Builds the detection kernel: generates the field arithmetic, then compiles AssemblyScript to
// src/fmd/kernel/kernel.wasm. The same source gives the same bytes, whatever machine and folder it is built in.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { generateField } from './generate-field.ts';

const ROOT = new URL('../', import.meta.url);
const ASSEMBLY = 'src/fmd/kernel/assembly';
const GENERATED = `${ASSEMBLY}/field.generated.ts`;
const TARGET = 'src/fmd/kernel/kernel.wasm';

/** Plain 128-bit SIMD, no runtime, no statics, memory from outside. 112 warns of vectors in inner signatures. */
const OPTIONS = [
  ['-O3', '--noAssert'],
  ['--runtime', 'stub'],
  ['--enable', 'simd'],
  ['--disable', 'mutable-globals'],
  ['--importMemory', '--noExportMemory'],
  ['--disableWarning', '112'],
].flat();

/** The compiler, imported by a name TypeScript does not follow: its types declare globals that collide with Node's. */
const COMPILER: string = 'assemblyscript/asc';

interface Compiler {
  main(
    argv: readonly string[],
    host: {
      readFile(name: string): string | null;
      writeFile(name: string, contents: string | Uint8Array): void;
      listFiles(): readonly string[];
    },
  ): Promise<{ error: Error | null; stderr: { toString(): string } }>;
}

/** Compiles one entry of the assembly folder: `index`, or one that tests and benches use. */
export async function compileKernel(entry: string): Promise<Uint8Array<ArrayBuffer>> {
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const { default: asc } = (await import(COMPILER)) as { default: Compiler };
  const { error, stderr } = await asc.main([`${ASSEMBLY}/${entry}.ts`, '--outFile', 'kernel.wasm', ...OPTIONS], {
    readFile: readSource,
    writeFile: (_name, contents) => {
      if (typeof contents !== 'string') binary = new Uint8Array(contents);
    },
    listFiles: () => [],
  });
  if (error || !binary) throw new Error(`the kernel does not compile\n${stderr.toString()}`, { cause: error });
  return binary;
}

/** A source by its path from the root of the project; the generated one needs no file. */
function readSource(name: string): string | null {
  if (name === GENERATED) return generateField();
  try {
    return readFileSync(new URL(name, ROOT), 'utf8');
  } catch {
    return null;
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const [path, contents] of [
    [GENERATED, generateField()] as const,
    [TARGET, await compileKernel('index')] as const,
  ]) {
    const file = fileURLToPath(new URL(path, ROOT));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, contents);
  }
}
