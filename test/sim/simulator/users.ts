// The users of a run as they act: they seal operations to a node, try again elsewhere, forget to wait for answers, and
// believe a confirmation only if its receipts show it.

import { walletKeys, walletPayload, walletRegistrationId } from '../../../src/client/index.ts';
import { fromBase64Url } from '../../../src/core/bytes.ts';
import { deadline } from '../../../src/core/deadline.ts';
import { parseNodeId } from '../../../src/core/ids.ts';
import { decodeReceipt, receiptBy } from '../../../src/core/receipt.ts';
import { type Operation, signOperation } from '../../../src/core/registration/operation.ts';
import { innerHash } from '../../../src/core/registration/payload.ts';
import { encodeSubmission } from '../../../src/core/registration/submission.ts';
import { sealRequest, toSealedBox } from '../../../src/core/sealed-request.ts';
import { indexSetKey, openIndexSet } from '../../../src/fmd/index-sets/blob.ts';
import type { OperationAnswer } from '../../../src/node/service.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import type { Host } from './host.ts';
import { checkAnswer } from './invariants/index-sets.ts';
import { checkReceipts } from './invariants/quorums.ts';
import type { Signed } from './oracle.ts';
import { userAt } from './people.ts';
import type { PlannedAct } from './plan.ts';
import { upHosts, type World } from './world.ts';

/** Longer than a node waits for receipts. */
const PATIENCE_MS = 8_000;
/** A user that disappears does so while the node is at work. */
const DISAPPEARS_MS = 40;
/** Tries of one operation, each at another node. */
const TRIES_MAX = 4;
const WATCH_MS = 10_000;
/** Some registrations end within the run. */
const SOON_SHARE = 0.25;
const SOON_BLOCKS = 12;
const LATE_BLOCKS = 1_000;

export interface Users {
  act(act: PlannedAct): Promise<void>;
  /**
   * A user registers at this machine once more, and all of them look up what they have there.
   * @returns why it does not serve them.
   */
  tryOut(host: Host): Promise<string | undefined>;
}

export function createUsers(world: World): Users {
  const { sim, oracle, devnet } = world;
  const random = seededRandom(`users ${world.plan.seed}`);

  function operationFor(user: number, type: Operation['type'], amount: number): Operation {
    const { wallet } = userAt(user);
    const version = devnet.tip;
    const expiryHeight = version + (amount < SOON_SHARE ? 1 + Math.round(amount * SOON_BLOCKS) * 4 : LATE_BLOCKS);
    const common = { clusterId: sim.cluster.id, inner: innerHash(walletKeys(wallet)), version };
    if (type === 'revoke') return signOperation(wallet.authSecret, { ...common, type });
    if (type === 'renew') return signOperation(wallet.authSecret, { ...common, type, expiryHeight });
    return signOperation(wallet.authSecret, { ...common, type, expiryHeight, birthday: 0 });
  }

  /** Resolves with the answer of a node that runs, or why there is none. */
  async function request<T>(
    host: Host,
    patienceMs: number,
    work: (host: Host, signal: AbortSignal) => Promise<T>,
  ): Promise<{ kind: 'answer'; answer: T } | { kind: 'none'; why: string }> {
    if (host.standing !== 'up') return { kind: 'none', why: 'unreachable' };
    using limit = deadline(sim.clock, patienceMs);
    const { signal } = limit;
    try {
      // A node that crashes answers nothing, not even that it was aborted.
      const aborted = new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
      return { kind: 'answer', answer: await Promise.race([work(host, signal), aborted]) };
    } catch (error) {
      return { kind: 'none', why: (error as { code?: string }).code ?? String(error) };
    }
  }

  async function submit({ operation, user }: Signed, { machine }: Host, signal: AbortSignal): Promise<OperationAnswer> {
    const { service } = machine.node;
    const { wallet } = userAt(user);
    const document = await service.attestation(random.bytes(32), { signal });
    const { type, regId, clusterId } = operation;
    const payload = type === 'register' ? walletPayload(wallet) : undefined;
    const { request: sealed } = sealRequest(
      { random },
      fromBase64Url(document.hpke[0]!.publicKey),
      { clusterId, nodeId: parseNodeId(document.nodeId), kind: type },
      encodeSubmission({ operation, payload }),
    );
    const box = toSealedBox(sealed);
    return type === 'register' ? service.register(box, { signal }) : service[type](regId, box, { signal });
  }

  /** One try. @returns whether the user is done with it. */
  async function tryAt(signed: Signed, host: Host, patienceMs: number): Promise<boolean> {
    const outcome = await request(host, patienceMs, (at, signal) => submit(signed, at, signal));
    const { type } = signed.operation;
    if (outcome.kind === 'none') {
      world.say(`user ${signed.user}`, `${type} at ${host.name}: ${outcome.why}`);
      return ['superseded', 'unknown-registration', 'revoked', 'expired', 'expiry-in-past'].includes(outcome.why);
    }
    const { answer } = outcome;
    world.say(`user ${signed.user}`, `${type} at ${host.name}: ${answer.status}, ${answer.receipts.length} receipts`);
    if (answer.status !== 'confirmed') return false;
    // An operation that says what is in force already is answered with the one in force.
    const shown = oracle.signedBy(signed.user).find(({ opId }) => showsFirst(answer, opId)) ?? signed;
    checkReceipts(world, host, shown, answer);
    oracle.acknowledge(shown);
    return true;
  }

  const showsFirst = ({ receipts }: OperationAnswer, opId: string): boolean => {
    const first = receipts[0];
    return (
      first !== undefined && receiptBy(decodeReceipt(fromBase64Url(first)), sim.cluster.id, opId as never) !== undefined
    );
  };

  async function operate(act: PlannedAct, operation: Operation, tries: number): Promise<void> {
    const signed = oracle.sign(act.user, operation);
    let host = world.hosts[act.host]!;
    for (let tried = 0; tried < tries; tried++) {
      if (await tryAt(signed, host, PATIENCE_MS)) return;
      await new Promise<void>((resolve) => void sim.clock.schedule(1_000, resolve));
      const others = upHosts(world).filter((other) => other !== host);
      if (others.length > 0) host = world.draw.pick(others);
    }
  }

  async function lookUp(user: number, host: Host, waitMs: number): Promise<void> {
    const { wallet } = userAt(user);
    const regId = walletRegistrationId(wallet);
    const outcome = await request(host, waitMs + PATIENCE_MS, (at, signal) =>
      at.machine.node.service.indexSet(regId, { since: 0, waitMs }, { signal }),
    );
    if (outcome.kind === 'none' || !outcome.answer) return;
    const { nonce, ciphertext } = outcome.answer;
    const opened = openIndexSet(
      indexSetKey(wallet.dataKey),
      { clusterId: sim.cluster.id, regId, since: 0 },
      { nonce: fromBase64Url(nonce), ciphertext: fromBase64Url(ciphertext) },
    );
    checkAnswer(world, host, user, opened);
  }

  return {
    async tryOut(host) {
      const user = host.index % world.plan.users;
      const signed = oracle.sign(user, operationFor(user, 'register', 1));
      if (!(await tryAt(signed, host, PATIENCE_MS))) return `${host.name} did not confirm a register of user ${user}`;
      for (let each = 0; each < world.plan.users; each++) await lookUp(each, host, 0);
      return undefined;
    },
    async act(act) {
      const { user, amount } = act;
      const host = world.hosts[act.host]!;
      const last = oracle.signedBy(user).at(-1);
      switch (act.kind) {
        case 'register':
        case 'renew':
        case 'revoke':
          return operate(act, operationFor(user, act.kind, amount), act.kind === 'revoke' ? TRIES_MAX : 2);
        case 'retry':
          return operate(act, operationFor(user, 'register', amount), TRIES_MAX);
        case 'repeat':
          return last && operate(act, last.operation, 1);
        case 'disappear': {
          const signed = oracle.sign(user, operationFor(user, amount < 0.5 ? 'renew' : 'register', amount));
          await tryAt(signed, host, DISAPPEARS_MS);
          return;
        }
        case 'look-up':
          return lookUp(user, host, 0);
        case 'watch':
          return lookUp(user, host, WATCH_MS);
      }
    },
  };
}
