import { describe, expect, it } from 'vitest';
import { clusterIdFromBytes } from '../../../src/core/ids.ts';
import { type Operation, operationId, signOperation } from '../../../src/core/registration/operation.ts';
import { join, meaningOf, NO_OPERATIONS, stateOf } from '../../../src/replication/merge.ts';
import { summarise } from '../../../src/replication/order.ts';
import { createDraw } from '../../sim/simulator/draw.ts';
import { createOracle, type Meaning } from '../../sim/simulator/oracle.ts';

const clusterId = clusterIdFromBytes(new Uint8Array(32).fill(1));
const inner = new Uint8Array(32).fill(2);
const secret = new Uint8Array(32).fill(3);

const register = (version: number, expiryHeight: number, birthday = 0): Operation =>
  signOperation(secret, { clusterId, inner, type: 'register', version, expiryHeight, birthday });
const renew = (version: number, expiryHeight: number): Operation =>
  signOperation(secret, { clusterId, inner, type: 'renew', version, expiryHeight });
const revoke = (version: number): Operation => signOperation(secret, { clusterId, inner, type: 'revoke', version });

/** What the product makes of a set. */
function productOf(operations: readonly Operation[]): Meaning {
  const states = operations.map((operation) => stateOf(summarise(operation, operationId(operation))));
  const meaning = meaningOf(states.reduce(join, NO_OPERATIONS));
  if (meaning.kind === 'open') return { kind: 'open', expiryHeight: meaning.expiryHeight };
  return { kind: meaning.kind };
}

describe('the oracle', () => {
  it('allows exactly what the confirmed operations with some of the others add up to', () => {
    const draw = createDraw('oracle');
    for (let round = 0; round < 150; round++) {
      const made = Array.from({ length: draw.between(1, 5) }, () => {
        const version = draw.between(10, 13);
        const expiryHeight = version + draw.between(1, 3) * 10;
        return draw.pick([
          () => register(version, expiryHeight, draw.below(2)),
          () => renew(version, expiryHeight),
          () => revoke(version),
        ])();
      });
      const oracle = createOracle();
      const sure = made.filter(() => draw.chance(0.5));
      for (const operation of made) {
        const signed = oracle.sign(0, operation);
        if (sure.includes(operation)) oracle.acknowledge(signed);
      }
      const unsure = made.filter((operation) => !sure.includes(operation));
      const possible = new Set<string>();
      for (let mask = 0; mask < 2 ** unsure.length; mask++) {
        possible.add(JSON.stringify(productOf([...sure, ...unsure.filter((_, i) => mask & (1 << i))])));
      }
      const told: Meaning[] = [{ kind: 'unknown' }, { kind: 'revoked' }];
      for (const { expiryHeight } of made) told.push({ kind: 'open', expiryHeight });
      for (const meaning of told) {
        expect(oracle.isPossible(0, meaning), JSON.stringify(meaning)).toBe(possible.has(JSON.stringify(meaning)));
      }
    }
  });

  it('knows an operation that is signed twice as one', () => {
    const oracle = createOracle();
    expect(oracle.sign(3, revoke(5))).toBe(oracle.sign(3, revoke(5)));
    expect(oracle.signedBy(3)).toHaveLength(1);
  });
});
