import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { toHex, utf8 } from '../../../../src/core/bytes.ts';
import {
  digestOf,
  type HeldStatement,
  hashOf,
  headsOf,
  held,
  membersOf,
  NO_STATEMENTS,
  type StatementSet,
  union,
  upTo,
} from '../../../../src/replication/roster/statement-set.ts';
import { parentsOf, type StatementBody, statementId } from '../../../../src/replication/roster/statements.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';
import { clusterId, entryOf, rosterIdentity } from '../../../support/roster.ts';

const genesisId = sha256(utf8('genesis'));
/** Three nodes on each of three platforms, so that platforms and nodes clash often. */
const people = [0, 1, 2].flatMap((p) => [0, 1, 2].map((n) => rosterIdentity(`${n}`, `platform ${(p + n) % 3}`)));

const step = fc.record({
  kind: fc.constantFrom('join', 'leave', 'evict', 'restore'),
  who: fc.nat(8),
  cut: fc.nat(),
  pick: fc.nat(),
});

/** A history as it can come about: each statement on some earlier part of it. Signatures do not matter here. */
function historyOf(steps: readonly { kind: string; who: number; cut: number; pick: number }[]): HeldStatement[] {
  const set = new Map<string, HeldStatement>();
  const add = (body: StatementBody) => {
    const id = statementId(body);
    if (!set.has(id)) set.set(id, held(set, id, { body, signatures: [] })!);
  };
  const common = { clusterId, genesisId };
  const founders = [people[0]!, people[1]!].map(entryOf);
  add({ kind: 'genesis', ...common, founders, height: 1 });
  for (const { kind, who, cut, pick } of steps) {
    const known = [...set.values()].slice(0, 1 + (cut % set.size));
    const part = upTo(
      set,
      known.map(({ id }) => id),
    )!;
    const members = membersOf(part);
    const onRoster = { after: headsOf(part), rosterHash: hashOf(members), height: 1 + (pick % 3) };
    const target = members[pick % Math.max(1, members.length)];
    const fresh = people.filter(({ nodeId }) => !members.some((member) => member.nodeId === nodeId));
    const replacements = members.slice(0, 1 + (pick % 2)).flatMap(({ nodeId: replaces }, n) => {
      const one = fresh[(who + n) % Math.max(1, fresh.length)];
      return one ? [{ nodeId: one.nodeId, replaces }] : [];
    });
    if (kind === 'restore') {
      if (replacements.length > 0) add({ kind: 'restore', ...common, ...onRoster, replacements });
    } else if (kind === 'join') add({ kind: 'join', ...common, ...entryOf(people[who]!), ...onRoster });
    else if (target) {
      const { nodeId, joinId } = target;
      if (kind === 'leave') add({ kind: 'leave', ...common, nodeId, joinId, reason: 'left' });
      else add({ kind: 'eviction', ...common, ...onRoster, nodeId, joinId });
    }
  }
  return [...set.values()];
}

/** The statements some replica took: some of them, with all they come after. */
const part = (history: readonly HeldStatement[], mask: readonly boolean[]): StatementSet => {
  const whole = new Map(history.map((statement) => [statement.id, statement]));
  return upTo(
    whole,
    history.filter((_, i) => mask[i % mask.length]).map(({ id }) => id),
  )!;
};
const meaning = (set: StatementSet) => ({ members: membersOf(set), digest: toHex(digestOf(set)), heads: headsOf(set) });

const histories = fc.array(step, { maxLength: 14 }).map(historyOf);
const mask = fc.array(fc.boolean(), { minLength: 1, maxLength: 15 });

describe('sets of roster statements', () => {
  it('merge alike in any order and grouping, and once more changes nothing', () => {
    fc.assert(
      fc.property(histories, mask, mask, mask, (history, x, y, z) => {
        const [a, b, c] = [part(history, x), part(history, y), part(history, z)];
        expect(meaning(union(a, b))).toEqual(meaning(union(b, a)));
        expect(meaning(union(union(a, b), c))).toEqual(meaning(union(a, union(b, c))));
        expect(meaning(union(a, a))).toEqual(meaning(a));
        expect(meaning(union(union(a, b), b))).toEqual(meaning(union(a, b)));
        expect(meaning(union(a, NO_STATEMENTS))).toEqual(meaning(a));
      }),
      { numRuns: fuzzRuns(300) },
    );
  });

  it('mean the same in whatever order their statements came', () => {
    fc.assert(
      fc.property(histories, fc.infiniteStream(fc.nat()), (history, choices) => {
        const set = new Map<string, HeldStatement>();
        const waiting = [...history];
        while (waiting.length > 0) {
          const ready = waiting.filter(({ statement }) => parentsOf(statement.body).every((id) => set.has(id)));
          const next = ready[choices.next().value! % ready.length]!;
          set.set(next.id, held(set, next.id, next.statement)!);
          waiting.splice(waiting.indexOf(next), 1);
        }
        expect(meaning(set)).toEqual(meaning(new Map(history.map((one) => [one.id, one]))));
      }),
      { numRuns: fuzzRuns(300) },
    );
  });

  it('have one place for each platform and each node, and none that has ended', () => {
    fc.assert(
      fc.property(histories, (history) => {
        const members = membersOf(new Map(history.map((one) => [one.id, one])));
        expect(new Set(members.map(({ platform }) => platform)).size).toBe(members.length);
        expect(new Set(members.map(({ nodeId }) => nodeId)).size).toBe(members.length);
        for (const { statement } of history) {
          const { body } = statement;
          if (body.kind !== 'leave' && body.kind !== 'eviction') continue;
          expect(members).not.toContainEqual(expect.objectContaining({ nodeId: body.nodeId, joinId: body.joinId }));
        }
      }),
      { numRuns: fuzzRuns(300) },
    );
  });
});
