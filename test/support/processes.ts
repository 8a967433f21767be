// Real `kith` processes for tests: ended with the test that started them.

import { afterAll } from 'vitest';
import { endAllProcesses } from './kith-process.ts';

export { kill, runKith, type Started, startKith } from './kith-process.ts';

afterAll(endAllProcesses);
