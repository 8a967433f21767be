import { defineConfig } from 'vitest/config';

const shared = {
  resolve: { conditions: ['kith-source', 'node'] },
  ssr: { resolve: { conditions: ['kith-source', 'node'] } },
};

/** A test that hangs must fail; the slowest honest one (a whole recorded chain) needs most of this. */
const TEST_TIMEOUT_MS = 240_000;

export default defineConfig({
  test: {
    testTimeout: TEST_TIMEOUT_MS,
    hookTimeout: TEST_TIMEOUT_MS,
    projects: [
      { extends: true, ...shared, test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      { extends: true, ...shared, test: { name: 'sim', include: ['test/sim/**/*.test.ts'] } },
      {
        extends: true,
        ...shared,
        test: {
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          // Several processes each, in real time: alone, and after the rest.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
