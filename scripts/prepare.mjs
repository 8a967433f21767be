// Run by npm after an install. Builds where the development dependencies are present and does
// nothing where they are not (a production install ships dist).
import { existsSync } from 'node:fs';

if (existsSync(new URL('../node_modules/@typescript/native/bin/tsc', import.meta.url))) {
  await import('./build.mjs');
}
