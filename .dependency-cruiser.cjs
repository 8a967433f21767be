// Who may import whom: the directions of docs/ARCHITECTURE.md as rules. `npm run check:imports` runs them over src;
// test/unit/architecture.test.ts plants violations and sees them caught.

/** Modules that know only core, and of one another nothing. */
const LEAVES = ['fmd', 'indexer', 'keyserver', 'replication', 'attestation'];

const leafRules = LEAVES.map((module) => ({
  name: `${module}-imports-core-only`,
  comment: `src/${module} declares ports for what it needs; src/node plugs them together.`,
  severity: 'error',
  from: { path: `^src/${module}/` },
  to: { path: '^src/', pathNot: `^src/(core|${module})/` },
}));

/** A library that has one home. */
const only = (name, library, home) => ({
  name,
  comment: `${library} appears only in ${home}`,
  severity: 'error',
  from: { path: '^src/', pathNot: home },
  to: { path: library },
});

module.exports = {
  forbidden: [
    ...leafRules,
    {
      name: 'core-imports-nothing',
      severity: 'error',
      from: { path: '^src/core/' },
      to: { path: '^src/', pathNot: '^src/core/' },
    },
    {
      name: 'p2p-imports-core-and-attestation',
      severity: 'error',
      from: { path: '^src/p2p/' },
      to: { path: '^src/', pathNot: '^src/(core|attestation|p2p)/' },
    },
    {
      name: 'client-imports-core-and-browser-doors',
      comment: 'fmd and attestation are open to the client through one browser-safe door each.',
      severity: 'error',
      from: { path: '^src/client/' },
      to: { path: '^src/', pathNot: '^src/(core|client)/|^src/(fmd|attestation)/browser\\.ts$' },
    },
    {
      name: 'devnet-imports-core-and-codecs',
      comment: 'indexer and fmd are open to the devnet through their codecs only.',
      severity: 'error',
      from: { path: '^src/devnet/' },
      to: { path: '^src/', pathNot: '^src/(core|devnet)/|^src/(indexer|fmd)/codec\\.ts$' },
    },
    {
      name: 'nobody-imports-node-or-cli',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(node|cli)/' },
      to: { path: '^src/(node|cli)/' },
    },
    {
      name: 'node-does-not-import-cli-client-devnet',
      severity: 'error',
      from: { path: '^src/node/' },
      to: { path: '^src/(cli|client|devnet)/' },
    },
    {
      name: 'through-the-door',
      comment: 'A module is used through its index.ts (or a named door), never through its inner files.',
      severity: 'error',
      from: { path: '^src/([^/]+)/' },
      to: { path: '^src/(?!core/)[^/]+/', pathNot: '^src/$1/|^src/[^/]+/(index|browser|codec)\\.ts$' },
    },
    {
      name: 'system-ports-at-entry-points',
      comment: 'The real clock and randomness are handed in by entry points.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(cli|client|devnet)/|^src/node/main\\.ts$|/worker\\.ts$' },
      to: { path: '^src/core/system\\.ts$' },
    },
    only(
      'libp2p-at-home',
      'node_modules/(libp2p|@libp2p|@chainsafe|@multiformats|it-(?!pipe/)[^/]+)/',
      '^src/p2p/libp2p/',
    ),
    // A pipeline of async iterables without I/O, though it comes with libp2p.
    only('it-pipe-at-home', 'node_modules/it-pipe/', '^src/replication/sync/snapshot\\.ts$'),
    only('level-at-home', 'node_modules/(classic-level|abstract-level)/', '^src/node/store/'),
    only('fastify-at-home', 'node_modules/(fastify|@fastify)/', '^src/node/http/'),
    only('pino-at-home', 'node_modules/pino/', '^src/node/telemetry/pino-log\\.ts$'),
    only('prom-client-at-home', 'node_modules/prom-client/', '^src/node/telemetry/metrics\\.ts$'),
    only('commander-at-home', 'node_modules/commander/', '^src/cli/'),
    {
      name: 'crypto-through-the-door',
      comment:
        'AEAD, signatures and hashes come from #crypto; @noble directly only behind it and where curves are the work; ' +
        'tls-files reads the date of a certificate.',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: '^src/core/crypto/|^src/fmd/|^src/attestation/simulated/|^src/node/http/tls-files\\.ts$',
      },
      to: { path: 'node_modules/@noble/|^(node:)?crypto$' },
    },
    {
      name: 'browser-is-browser-safe',
      comment: 'What the client reaches runs in a browser: no Node built-ins.',
      severity: 'error',
      from: { path: '^src/(client|[^/]+/browser\\.ts$)' },
      to: { dependencyTypes: ['core'] },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-development-dependencies',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev'], pathNot: 'node_modules/@types/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^src/fmd/kernel/assembly/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['kith-source', 'node', 'import', 'types', 'default'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json'],
    },
  },
};
