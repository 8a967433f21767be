import process from 'node:process';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const shared = {
  resolve: { conditions: ['kith-source', 'node'] },
  ssr: { resolve: { conditions: ['kith-source', 'node'] } },
};

/** A test that hangs must fail; the slowest honest one (a whole recorded chain) needs most of this. Long forms: an hour. */
const TEST_TIMEOUT_MS = process.env['KITH_LONG'] === '1' ? 3_600_000 : 240_000;

/** Where other work may take the machine from a cluster for seconds, a test has a second attempt. */
const CLUSTER_RETRIES = process.env['CI'] ? 1 : 0;
const SCENARIO_FILES_AT_ONCE = 2;

/** The longest first, or the last one would run alone while the other processor waits. */
const SCENARIOS = ['life', 'trust', 'compose', 'disks'].map((name) => `/scenarios/${name}.test.ts`);
class ScenariosByLength extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const placeOf = ({ moduleId }: TestSpecification) => SCENARIOS.findIndex((end) => moduleId.endsWith(end));
    return (await super.sort(files)).sort((a, b) => placeOf(a) - placeOf(b));
  }
}

/**
 * Files of one worker share its modules: importing them anew took a third of the processor time. So no module, of
 * tests and their support neither, keeps anything from one file to the next; hooks belong to files or tests, not to
 * modules that several files import. Projects come one after the other, or workers could not go on to the next file.
 */
const together = { isolate: false } as const;

export default defineConfig({
  test: {
    testTimeout: TEST_TIMEOUT_MS,
    hookTimeout: TEST_TIMEOUT_MS,
    // Without being told, a run leaves one processor idle: half of them, where there are two.
    maxWorkers: '100%',
    sequence: { sequencer: ScenariosByLength },
    projects: [
      { extends: true, ...shared, test: { name: 'unit', include: ['test/unit/**/*.test.ts'], ...together } },
      {
        extends: true,
        ...shared,
        test: { name: 'sim', include: ['test/sim/**/*.test.ts'], ...together, sequence: { groupOrder: 1 } },
      },
      {
        extends: true,
        ...shared,
        test: {
          name: 'cluster',
          include: ['test/cluster/*.test.ts'],
          // Several processes each, in real time: alone, and after the rest.
          fileParallelism: false,
          retry: CLUSTER_RETRIES,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        ...shared,
        test: {
          name: 'scenarios',
          include: ['test/cluster/scenarios/*.test.ts'],
          // Their clusters mostly wait, for what is noticed after a time: a few at once.
          maxWorkers: SCENARIO_FILES_AT_ONCE,
          retry: CLUSTER_RETRIES,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
