import { describe, expect, it } from 'vitest';
import { createGate } from '../../../src/p2p/gate.ts';
import { checkLimits, DEFAULT_LIMITS, type MeshLimits, worstCaseBytes } from '../../../src/p2p/index.ts';
import { MESH_MEMORY_BYTES_MAX } from '../../../src/p2p/limits.ts';
import { createOrdinalWindow } from '../../../src/p2p/session/sealed-stream.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { createTestMesh } from '../../support/mesh.ts';
import { codeOf } from '../../support/outcome.ts';

describe('the memory that peers can claim', () => {
  it('stays under half a gibibyte with the limits as they are', () => {
    expect(worstCaseBytes(DEFAULT_LIMITS)).toBeLessThanOrEqual(MESH_MEMORY_BYTES_MAX);
    checkLimits(DEFAULT_LIMITS);
  });

  it('grows with each limit', () => {
    const base = worstCaseBytes(DEFAULT_LIMITS);
    const larger: MeshLimits[] = [
      { ...DEFAULT_LIMITS, connectionsMax: DEFAULT_LIMITS.connectionsMax + 1 },
      { ...DEFAULT_LIMITS, strangersMax: DEFAULT_LIMITS.strangersMax + 1 },
      ...(['messageBytesMax', 'inFlightBytesMax', 'handlersMax'] as const).flatMap((field) =>
        DEFAULT_LIMITS.protocols.map((protocol, i) => ({
          ...DEFAULT_LIMITS,
          protocols: DEFAULT_LIMITS.protocols.with(i, { ...protocol, [field]: protocol[field] + 1 }),
        })),
      ),
    ];
    for (const limits of larger) expect(worstCaseBytes(limits)).toBeGreaterThan(base);
  });

  it('is refused at creation when limits allow more, or make no sense', () => {
    const many = { ...DEFAULT_LIMITS, connectionsMax: 1_000 };
    expect(codeOf(() => createTestMesh(createManualClock()).node('a', { mesh: { limits: many } }))).toBe('over-budget');
    const [first] = DEFAULT_LIMITS.protocols;
    const senseless = { ...DEFAULT_LIMITS, protocols: [{ ...first!, inFlightBytesMax: 10 }] };
    expect(codeOf(() => checkLimits(senseless))).toBe('bad-limits');
    const mute = { ...DEFAULT_LIMITS, protocols: DEFAULT_LIMITS.protocols.slice(1) };
    expect(codeOf(() => checkLimits(mute))).toBe('bad-limits');
  });
});

describe('the gate for strangers', () => {
  const limits = { strangersMax: 4, strangersPerHostMax: 2 };

  it('has room for few at once, for fewer of one host, and again when they leave', () => {
    const gate = createGate({ clock: createManualClock() }, limits);
    const first = gate.enter('a');
    gate.enter('a');
    expect(gate.enter('a').kind).toBe('refused');
    gate.enter('b');
    gate.enter('c');
    expect(gate.enter('d').kind).toBe('refused');
    for (let i = 0; i < 3; i++) if (first.kind === 'in') first.leave();
    expect(gate.enter('d').kind).toBe('in');
    expect(gate.enter('e').kind).toBe('refused');
  });

  it('lets one host begin 32 handshakes, then one each second', async () => {
    const clock = createManualClock();
    const gate = createGate({ clock }, limits);
    const attempt = () => {
      const entry = gate.enter('a');
      if (entry.kind === 'in') entry.leave();
      return entry.kind;
    };
    const burst = Array.from({ length: 40 }, attempt);
    expect(burst.filter((kind) => kind === 'in')).toHaveLength(32);
    await clock.advance(3_000);
    expect(Array.from({ length: 10 }, attempt).filter((kind) => kind === 'in')).toHaveLength(3);
  });

  it('gives a flood from more hosts than it remembers one allowance', () => {
    const gate = createGate({ clock: createManualClock() }, limits);
    let entered = 0;
    for (let i = 0; i < 3_000; i++) {
      const entry = gate.enter(`host ${i}`);
      if (entry.kind === 'refused') continue;
      entered++;
      entry.leave();
    }
    expect(entered).toBe(1_024 + 32);
  });
});

describe('the window of stream ordinals', () => {
  it('accepts each once, in nearly any order, and forgets none within its reach', () => {
    const fresh = createOrdinalWindow();
    expect([0, 2, 1, 2, 0, 5, 5].map(fresh)).toEqual([true, true, true, false, false, true, false]);
    expect(fresh(1_000)).toBe(true);
    expect([936, 937, 999, 937, 1_000, 3].map(fresh)).toEqual([false, true, true, false, false, false]);
  });
});
