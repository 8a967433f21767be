// Lets a worker thread load TypeScript: Node 20 does not hand `--import` on to the entry of a worker.
import { register } from 'tsx/esm/api';

register();
await import('./fmd-worker.ts');
