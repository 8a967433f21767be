// Real time, chance and I/O may appear only in adapters, so that a whole cluster can run on virtual time from one
// seed (docs/ARCHITECTURE.md). This check walks the syntax trees of src and names each breach with file and line.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';

/** Files that are adapters, or hold several. */
const ADAPTERS: readonly RegExp[] = [
  /^src\/core\/system\.ts$/,
  /^src\/p2p\/libp2p\//,
  /^src\/node\/(main\.ts$|http\/|level\/|store\/level|telemetry\/(pino-log|process-stats)\.ts$)/,
  /^src\/fmd\/worker-pool/,
  /^src\/indexer\/http/,
  /^src\/attestation\/(providers|collateral)\//,
  /^src\/client\/fetch/,
  /^src\/(cli|devnet)\//,
];

const BANNED_GLOBALS: ReadonlySet<string> = new Set([
  'Date',
  'performance',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'crypto',
  'fetch',
  'WebSocket',
  'Worker',
  'WeakRef',
  'FinalizationRegistry',
  'process',
  'navigator',
  // Detours to all of the above.
  'globalThis',
  'global',
  'self',
  'window',
]);

const BANNED_MEMBERS: ReadonlySet<string> = new Set([
  'Math.random',
  'process.nextTick',
  'Atomics.waitAsync',
  'AbortSignal.timeout',
]);

/** Objects with a banned member: they are used by naming a member in clear, so that this check can read it. */
const GUARDED_OBJECTS: ReadonlySet<string> = new Set(['Math', 'Atomics', 'AbortSignal']);

/** The synchronous part of node:crypto, by name; the rest is asynchronous or a source of chance. */
const SYNCHRONOUS_CRYPTO: ReadonlySet<string> = new Set([
  'createCipheriv',
  'createDecipheriv',
  'createHash',
  'createHmac',
  'createPrivateKey',
  'createPublicKey',
  'diffieHellman',
  'hash',
  'KeyObject',
  'sign',
  'verify',
]);

/** Libraries with timers or randomness of their own. */
const BANNED_LIBRARIES: readonly RegExp[] = [/^(p-queue|p-retry|p-timeout|async-retry|nanoid|uuid|undici|pino)(\/|$)/];

const MUTABLE_COLLECTIONS: ReadonlySet<string> = new Set(['Map', 'Set', 'WeakMap', 'WeakSet', 'Array']);

export interface Breach {
  readonly file: string;
  readonly line: number;
  readonly what: string;
}

/** The breaches in one source file; `file` is its path from the root of the project. */
export function breachesIn(file: string, source: string): Breach[] {
  if (ADAPTERS.some((adapter) => adapter.test(file))) return [];
  const tree = ts.createSourceFile(file, source, ts.ScriptTarget.ES2023, true);
  const found: Breach[] = [];
  const report = (node: ts.Node, what: string) => {
    const { line } = tree.getLineAndCharacterOfPosition(node.getStart(tree));
    found.push({ file, line: line + 1, what });
  };

  for (const statement of tree.statements) {
    if (ts.isVariableStatement(statement)) checkModuleState(statement, report);
    if (ts.isImportDeclaration(statement)) checkImport(statement, report);
    if (ts.isExportDeclaration(statement)) checkReexport(statement, report);
  }
  const visit = (node: ts.Node): void => {
    checkNode(node, report);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

type Report = (node: ts.Node, what: string) => void;

function checkModuleState(statement: ts.VariableStatement, report: Report): void {
  if ((statement.declarationList.flags & ts.NodeFlags.Const) === 0) {
    report(statement, 'mutable module-level state: a variable that is not const');
    return;
  }
  for (const { initializer, type } of statement.declarationList.declarations) {
    if (!initializer || !ts.isNewExpression(initializer) || !ts.isIdentifier(initializer.expression)) continue;
    const readOnly = type?.getText().startsWith('Readonly') ?? false;
    if (MUTABLE_COLLECTIONS.has(initializer.expression.text) && !readOnly) {
      report(initializer, `mutable module-level state: a ${initializer.expression.text} not typed as Readonly`);
    }
  }
}

function checkImport(statement: ts.ImportDeclaration, report: Report): void {
  if (statement.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword) return;
  const name = (statement.moduleSpecifier as ts.StringLiteral).text;
  if (isBannedLibrary(name)) report(statement, `import of ${name}: own timers or chance`);
  if (name === 'node:crypto') {
    const bindings = statement.importClause?.namedBindings;
    if (!bindings || !ts.isNamedImports(bindings)) {
      report(statement, 'node:crypto must be imported by name');
      return;
    }
    for (const { name: local, propertyName, isTypeOnly } of bindings.elements) {
      const imported = (propertyName ?? local).text;
      if (!isTypeOnly && !SYNCHRONOUS_CRYPTO.has(imported)) report(statement, `node:crypto's ${imported}`);
    }
  } else if (name.startsWith('node:')) {
    report(statement, `import of ${name}: I/O belongs into an adapter`);
  }
}

function checkReexport(statement: ts.ExportDeclaration, report: Report): void {
  const name = statement.moduleSpecifier;
  if (!name || !ts.isStringLiteral(name) || statement.isTypeOnly) return;
  if (name.text.startsWith('node:') || isBannedLibrary(name.text)) report(statement, `re-export of ${name.text}`);
}

const isBannedLibrary = (name: string): boolean => BANNED_LIBRARIES.some((library) => library.test(name));

function checkNode(node: ts.Node, report: Report): void {
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    const [name] = node.arguments;
    const readable = name && ts.isStringLiteralLike(name) ? name.text : undefined;
    if (readable === undefined) report(node, 'import() of a computed name');
    else if (readable.startsWith('node:') || isBannedLibrary(readable)) report(node, `import() of ${readable}`);
    return;
  }
  if (ts.isPropertyAccessExpression(node)) {
    const member = `${node.expression.getText()}.${node.name.text}`;
    if (BANNED_MEMBERS.has(member)) report(node, member);
    return;
  }
  if (!ts.isIdentifier(node) || !isUse(node)) return;
  if (GUARDED_OBJECTS.has(node.text) && isOpaqueUse(node)) report(node, `${node.text} without naming the member`);
  if (!BANNED_GLOBALS.has(node.text)) return;
  report(node, `the global ${node.text}`);
}

/** Whether an identifier reads a variable, rather than naming a property, a declaration or a type. */
function isUse(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isQualifiedName(parent) || ts.isTypeReferenceNode(parent)) return false;
  if (ts.isImportSpecifier(parent) || ts.isExportSpecifier(parent)) return false;
  const named = parent as ts.Node & { name?: ts.Node };
  return named.name !== node || ts.isShorthandPropertyAssignment(parent);
}

/** Whether a use could reach any member: by index, or by handing on or taking apart the object. */
function isOpaqueUse(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return false;
  return !(ts.isBinaryExpression(parent) && parent.operatorToken.kind === ts.SyntaxKind.InstanceOfKeyword);
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return path.endsWith(join('kernel', 'assembly')) ? [] : sourceFiles(path);
    return path.endsWith('.ts') ? [path] : [];
  });
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const breaches = sourceFiles(join(root, 'src')).flatMap((path) =>
    breachesIn(path.slice(root.length).replaceAll('\\', '/'), readFileSync(path, 'utf8')),
  );
  for (const { file, line, what } of breaches) console.error(`${file}:${line}: ${what}`);
  if (breaches.length > 0) process.exitCode = 1;
}
