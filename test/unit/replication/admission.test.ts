import { describe, expect, it } from 'vitest';
import { LIFETIME_BLOCKS } from '../../../src/core/registration/limits.ts';
import type { Operation } from '../../../src/core/registration/operation.ts';
import { passesWithTime } from '../../../src/core/registration/refusal.ts';
import type { Submission } from '../../../src/core/registration/submission.ts';
import { type AdmissionContext, admitFromMember, admitFromUser } from '../../../src/replication/admission.ts';
import { join, NO_OPERATIONS, type RegistrationState, stateOf } from '../../../src/replication/merge.ts';
import { summarise } from '../../../src/replication/order.ts';
import { clusterId, deriveTestKeys, otherCluster, testUser } from '../../support/registration.ts';

const deps = { deriveKeys: deriveTestKeys };
const user = testUser(5);
const context = (height: number, versionFloor = 0): AdmissionContext => ({
  clusterId,
  heights: { own: height, cluster: height },
  versionFloor,
});
const register = (version: number, lasts = 1000, birthday = version) =>
  user.sign({ type: 'register', version, birthday, expiryHeight: version + lasts });
const renew = (version: number, expiryHeight: number) => user.sign({ type: 'renew', version, expiryHeight });
const revoke = (version: number) => user.sign({ type: 'revoke', version });
const holding = (...operations: Operation[]): RegistrationState =>
  operations.map((operation) => stateOf(summarise(operation))).reduce(join, NO_OPERATIONS);
const submission = (operation: Operation): Submission => ({
  operation,
  payload: operation.type === 'register' ? user.payload : undefined,
});
const fromUser = (operation: Operation, state = NO_OPERATIONS, where = context(1000)) =>
  admitFromUser(deps, submission(operation), state, where);
const fromMember = (operation: Operation, where = context(1000)) =>
  admitFromMember(deps, operation, submission(operation).payload, where);

describe('users', () => {
  it('register, renew and revoke, and may repeat each', () => {
    const held = register(1000);
    expect(fromUser(held)).toMatchObject({ kind: 'admitted', keys: user.keys, repeated: false });
    expect(fromUser(held, holding(held))).toMatchObject({ kind: 'admitted', repeated: true });
    expect(fromUser(register(1001), holding(held))).toMatchObject({ kind: 'admitted', repeated: false });
    const renewed = holding(held, renew(1002, 2500));
    expect(fromUser(renew(1002, 2500), holding(held))).toMatchObject({ kind: 'admitted', repeated: false });
    expect(fromUser(renew(1002, 2500), renewed)).toMatchObject({ kind: 'admitted', repeated: true });
    expect(fromUser(revoke(1003), renewed)).toMatchObject({ kind: 'admitted', repeated: false, keys: undefined });
    expect(fromUser(revoke(1003), holding(held, revoke(1004)))).toMatchObject({ kind: 'admitted', repeated: true });
    expect(fromUser(register(1005), holding(held, revoke(1004)))).toMatchObject({ kind: 'admitted', repeated: false });
  });

  it('may repeat an older register that says the same, and no other', () => {
    const held = holding(register(1000, 1000, 500));
    const older = user.sign({ type: 'register', version: 990, birthday: 500, expiryHeight: 2000 });
    expect(fromUser(older, held)).toMatchObject({ kind: 'admitted', repeated: true });
    expect(fromUser(register(990), held)).toMatchObject({ reason: 'superseded' });
  });

  it('are told what is wrong, each by its reason', () => {
    const open = holding(register(1000));
    const foreign = { ...register(1000), clusterId: otherCluster };
    const cases: [ReturnType<typeof fromUser>, string][] = [
      [fromUser(foreign), 'other-cluster'],
      [fromUser({ ...register(1000), version: 1001 }), 'wrong-signature'],
      [fromUser(register(1011)), 'version-in-future'],
      [fromUser(register(500), NO_OPERATIONS, context(1000, 501)), 'version-too-old'],
      [fromUser(register(900, 100)), 'expiry-in-past'],
      [fromUser(register(1000, LIFETIME_BLOCKS + 1)), 'expiry-too-far'],
      [fromUser(register(1000, 10, 1001)), 'birthday-beyond-tip'],
      [fromUser(renew(1000, 2000)), 'unknown-registration'],
      [fromUser(revoke(1000)), 'unknown-registration'],
      [fromUser(renew(1002, 2000), holding(register(1000), revoke(1001))), 'revoked'],
      [fromUser(renew(1002, 2000), holding(register(500, 400))), 'expired'],
      [fromUser(renew(1002, 1001 + LIFETIME_BLOCKS), open), 'expiry-beyond-register'],
      [fromUser(renew(999, 1999), open), 'superseded'],
      [fromUser(revoke(999), open), 'superseded'],
      [fromUser(register(1000), holding(revoke(1000))), 'superseded'],
      [admitFromUser(deps, { operation: register(1000), payload: undefined }, open, context(1000)), 'payload-missing'],
      [
        admitFromUser(deps, { operation: revoke(1001), payload: user.payload }, open, context(1000)),
        'payload-unexpected',
      ],
    ];
    expect(cases.map(([verdict]) => verdict.kind === 'refused' && verdict.reason)).toEqual(
      cases.map(([, code]) => code),
    );
  });

  it('cannot have other keys stored under their id than those they signed', () => {
    const offer = (payload: Submission['payload']) =>
      admitFromUser(deps, { operation: register(1000), payload }, NO_OPERATIONS, context(1000));
    expect(offer(testUser(6).payload)).toMatchObject({ reason: 'wrong-payload' });
    expect(offer({ kind: 'seed', seed: new Uint8Array(32), n: 3 })).toMatchObject({ reason: 'bad-keys' });
    expect(offer({ kind: 'seed', seed: new Uint8Array(32), n: 0 })).toMatchObject({ reason: 'n-out-of-range' });
  });

  it('are served and refused at whichever height comes first', () => {
    const at = (own: number, cluster: number): AdmissionContext => ({ ...context(0), heights: { own, cluster } });
    expect(fromUser(register(900, 100), NO_OPERATIONS, at(999, 999))).toMatchObject({ kind: 'admitted' });
    expect(fromUser(register(900, 100), NO_OPERATIONS, at(1000, 999))).toMatchObject({ reason: 'expiry-in-past' });
    expect(fromUser(register(900, 100), NO_OPERATIONS, at(999, 1000))).toMatchObject({ reason: 'expiry-in-past' });
  });
});

describe('members', () => {
  it('bring what is valid, however late and out of order, with or without keys', () => {
    for (const operation of [register(100, 10), renew(900, 2000), revoke(950)]) {
      expect(fromMember(operation)).toMatchObject({ kind: 'admitted' });
      expect(admitFromMember(deps, operation, undefined, context(1000))).toMatchObject({ keys: undefined });
    }
  });

  it('bring nothing that is forged, from elsewhere or too old', () => {
    expect(fromMember({ ...revoke(950), version: 951 })).toMatchObject({ reason: 'revoke-expiry' });
    expect(fromMember({ ...renew(950, 2000), regId: testUser(6).regId })).toMatchObject({
      reason: 'wrong-registration-id',
    });
    expect(fromMember(register(500), context(1000, 501))).toMatchObject({ reason: 'version-too-old' });
    expect(admitFromMember(deps, register(1000), testUser(6).payload, context(1000))).toMatchObject({
      reason: 'wrong-payload',
    });
  });

  it('are asked to wait with what this node has not reached, the only refusal that passes', () => {
    const early = fromMember(register(1011));
    expect(early).toMatchObject({ reason: 'version-in-future' });
    expect(early.kind === 'refused' && passesWithTime(early.reason)).toBe(true);
    expect(fromMember(register(1011), context(1001))).toMatchObject({ kind: 'admitted' });
    expect(passesWithTime('wrong-signature')).toBe(false);
  });
});
