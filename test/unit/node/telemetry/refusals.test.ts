// What operators see of refusals: one line and one count each, and no flood of either.

import { describe, expect, it } from 'vitest';
import { createBoundedLog } from '../../../../src/node/bounded-log.ts';
import { logMeshReport } from '../../../../src/node/mesh-log.ts';
import { createCustodyCounter, createMeshCounter, meshCode } from '../../../../src/node/telemetry/index.ts';
import type { MeshReport } from '../../../../src/p2p/index.ts';
import { createManualClock } from '../../../support/manual-clock.ts';
import { recordingLog } from '../../../support/node-service.ts';

const refusedAtDoor = (code: string): MeshReport => ({
  kind: 'not-attested',
  host: '192.0.2.1',
  by: 'us',
  reason: { code, message: 'a sentence' },
});

function observer() {
  const clock = createManualClock();
  const { log, lines } = recordingLog();
  return { clock, bounded: createBoundedLog({ clock, log }), lines };
}

describe('lines that others can cause', () => {
  it('say who refused whom, why, and where from', () => {
    const { bounded, lines } = observer();
    logMeshReport(bounded, refusedAtDoor('report-data'));
    logMeshReport(bounded, {
      kind: 'turned-away',
      host: '192.0.2.2',
      reason: { code: 'too-many', message: 'too many handshakes from this host' },
    });
    expect(lines).toEqual([
      { event: 'not-attested', fields: { host: '192.0.2.1', by: 'us', code: 'report-data', reason: 'a sentence' } },
      {
        event: 'turned-away',
        fields: { host: '192.0.2.2', code: 'too-many', reason: 'too many handshakes from this host' },
      },
    ]);
  });

  it('do not fill the log: a flood is twenty lines, then one each ten seconds that says how many were left out', async () => {
    const { clock, bounded, lines } = observer();
    for (let i = 0; i < 10_000; i++) logMeshReport(bounded, refusedAtDoor('malformed-message'));
    expect(lines.length).toBe(20);
    // Another reason is not hidden by it.
    logMeshReport(bounded, refusedAtDoor('contested'));
    expect(lines.at(-1)?.fields).toMatchObject({ code: 'contested' });
    await clock.advance(10_000);
    for (let i = 0; i < 100; i++) logMeshReport(bounded, refusedAtDoor('malformed-message'));
    expect(lines.length).toBe(22);
    expect(lines.at(-1)?.fields).toMatchObject({ code: 'malformed-message', leftOut: 9_980 });
  });

  it('are bounded together where codes are made up', () => {
    const { bounded, lines } = observer();
    for (let i = 0; i < 1_000; i++) logMeshReport(bounded, refusedAtDoor(`made-up-${i}`));
    expect(lines.length).toBe(20);
  });

  it('are bounded together where somebody found more sorts than there are', () => {
    const { bounded, lines } = observer();
    for (let i = 0; i < 5_000; i++) bounded.write('info', 'refused', String(i), {});
    expect(lines.length).toBe(512 + 20);
  });
});

describe('the counts of refusals', () => {
  it('are by code, and `other` for codes that are not of this version', () => {
    const counter = createMeshCounter();
    const refused = (by: 'us' | 'peer', code: string): MeshReport => ({
      kind: 'handshake',
      host: 'h',
      renewal: false,
      outcome: { kind: 'refused', by, code, message: 'm' },
    });
    for (const code of ['report-data', 'report-data', 'policy-measurement', 'debug'])
      counter.report(refused('us', code));
    for (let i = 0; i < 50; i++) counter.report(refused('peer', `made-up-${i}`));
    expect(counter.read().refused).toEqual([
      { labels: { by: 'us', code: 'report-data' }, count: 2 },
      { labels: { by: 'us', code: 'policy-measurement' }, count: 1 },
      { labels: { by: 'us', code: 'debug' }, count: 1 },
      { labels: { by: 'peer', code: 'other' }, count: 50 },
    ]);
    expect(meshCode('constructor')).toBe('other');
  });

  it('count a connection once: by its handshake, or as a stranger that was cut', () => {
    const counter = createMeshCounter();
    counter.report(refusedAtDoor('report-data'));
    counter.report({ kind: 'not-attested', host: 'h', by: undefined, reason: { code: 'not-attested', message: 'm' } });
    counter.report({ kind: 'turned-away', host: 'h', reason: { code: 'too-many', message: 'm' } });
    expect(counter.read().strangersCut).toEqual([
      { labels: { code: 'not-attested' }, count: 1 },
      { labels: { code: 'too-many' }, count: 1 },
    ]);
  });

  it('are by side, kind and reason in custody', () => {
    const counter = createCustodyCounter();
    counter.report({ side: 'answered', kind: 'release', outcome: 'platform' });
    counter.report({ side: 'asked', kind: 'deposit', outcome: 'ok' });
    counter.report({ side: 'asked', kind: 'deposit', outcome: 'made-up' });
    expect(counter.read()).toEqual([
      { labels: { side: 'answered', kind: 'release', outcome: 'platform' }, count: 1 },
      { labels: { side: 'asked', kind: 'deposit', outcome: 'ok' }, count: 1 },
      { labels: { side: 'asked', kind: 'deposit', outcome: 'other' }, count: 1 },
    ]);
  });
});
