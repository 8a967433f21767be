// What an audit of two members costs: bytes between them, and processor time of both together. Goals for 100,000
// registrations: 2 KB where they are the same, 64 KB where ten differ.

import process from 'node:process';
import { auditPair, plantAll } from '../test/support/audit-pair.ts';
import { register } from '../test/support/sync-network.ts';

const REGISTRATIONS = 100_000;
const DIFFERENT = [0, 1, 10, 100];
/** An audit is answered every few seconds. */
const PAUSE_MS = 10_000;

export async function benchAudit(): Promise<void> {
  const { world, a, b } = auditPair();
  const { signal } = new AbortController();
  const rows: Record<string, string | number | boolean>[] = [];
  plantAll(REGISTRATIONS, a, b);
  let next = 0;
  for (const different of DIFFERENT) {
    for (let i = 0; i < different; i++) await (i % 2 ? a : b).replica.takeBodies([register(next++)]);
    await world.clock.advance(PAUSE_MS);
    world.resetTraffic();
    const before = process.cpuUsage();
    const report = await world.clock.settle(a.sync.audit({ signal }));
    const { user, system } = process.cpuUsage(before);
    rows.push({
      different,
      found: report.kind,
      bytes: world.traffic.bytes,
      'largest message': world.traffic.largest,
      'cpu ms': Math.round((user + system) / 1_000),
      'the same afterwards': a.replica.digest === b.replica.digest,
    });
  }
  await world.stop();
  console.log(`\nAn audit of ${REGISTRATIONS} registrations (goals: 2,048 bytes if equal, 65,536 if 10 differ)`);
  console.table(rows);
}
