// The statements a node holds, on disk before they count, and the rosters it held with their heights. The one owner of
// this state; admissions go through one by one, whoever asks.

import { equalBytes, toHex } from '../../core/bytes.ts';
import { KithError, messageOf } from '../../core/errors.ts';
import type { ClusterId } from '../../core/ids.ts';
import type { RosterEntry } from '../../core/roster.ts';
import { type AdmissionContext, admitStatement } from './admission.ts';
import { HELD_BLOCKS, HISTORY_MAX } from './limits.ts';
import type { RosterRefusalReason } from './refusals.ts';
import {
  digestOf,
  hashOf,
  held,
  membersOf,
  NO_STATEMENTS,
  type RosterMember,
  type StatementSet,
  upTo,
} from './statement-set.ts';
import { decodeStatement, encodeStatement, type RosterStatement, type StatementId, statementId } from './statements.ts';

/** As it lies in the store. */
export interface StoredStatement {
  readonly id: StatementId;
  readonly statement: Uint8Array;
  /** Height of this node when it took it. */
  readonly heldSince: number;
  /** Place in the order of taking, from 0. */
  readonly order: number;
}

export interface RosterStore {
  /** In any order. */
  load(options: { signal?: AbortSignal | undefined }): Promise<readonly StoredStatement[]>;
  /** Resolves when they are durable: all of them or none. */
  put(statements: readonly StoredStatement[]): Promise<void>;
  /** Resolves when all of them are gone for good, or rejects and none is. */
  drop(ids: readonly StatementId[]): Promise<void>;
}

/** One roster and when this node held it. */
export interface HeldRoster {
  readonly rosterHash: Uint8Array;
  readonly members: readonly RosterMember[];
  readonly fromHeight: number;
  /** Undefined while it is in force. */
  readonly untilHeight: number | undefined;
}

export interface LedgerDeps {
  readonly store: RosterStore;
  readonly self: RosterEntry;
  connected(): readonly RosterEntry[];
  height(): number;
  operatorKeys(operator: string): readonly Uint8Array[];
}

export interface LedgerOptions {
  readonly clusterId: ClusterId;
  readonly allowUnbacked: boolean;
  /** After statements were taken: they are durable. */
  readonly onGrown: () => void;
}

export type Taken =
  | { readonly kind: 'taken'; readonly added: number; readonly refused: readonly RefusedStatement[] }
  | { readonly kind: 'not-stored'; readonly message: string };

export interface RefusedStatement {
  readonly statement: RosterStatement;
  readonly reason: RosterRefusalReason;
}

export interface Ledger {
  readonly set: StatementSet;
  readonly members: readonly RosterMember[];
  readonly rosterHash: Uint8Array;
  readonly digest: Uint8Array;
  /** What admission is judged by now. */
  context(): AdmissionContext;
  /** Reads the store. @throws KithError `roster-corrupt` if it holds what was never put there. */
  load(options: { signal?: AbortSignal | undefined }): Promise<void>;
  /** Takes what is admissible, in the order given; one refused statement does not keep the others out. */
  take(statements: readonly RosterStatement[]): Promise<Taken>;
  /** Who would be on the roster if these were taken. */
  membersWith(statements: readonly RosterStatement[]): readonly RosterMember[];
  /** Forgets all statements, so that another genesis can be taken. @throws what the store throws; then all stay. */
  letGo(): Promise<void>;
  /** The rosters held lately, oldest first. */
  history(): readonly HeldRoster[];
  /** A roster by its hash: now, held lately, or named by a statement. */
  rosterByHash(rosterHash: Uint8Array): readonly RosterMember[] | undefined;
}

export function createLedger(deps: LedgerDeps, options: LedgerOptions): Ledger {
  let set: StatementSet = NO_STATEMENTS;
  let members: readonly RosterMember[] = [];
  let hash = hashOf([]);
  let digest = digestOf(set);
  let history: HeldRoster[] = [];
  const since = new Map<StatementId, number>();
  let statedHeight = 0;
  let busy: Promise<unknown> = Promise.resolve();

  /** A node whose chain lags still knows how high it was when the last statement was made. */
  const heightNow = () => Math.max(deps.height(), statedHeight);

  const contextOn = (lately: readonly HeldRoster[]): AdmissionContext => {
    const height = heightNow();
    return {
      clusterId: options.clusterId,
      allowUnbacked: options.allowUnbacked,
      height,
      heldSince: (id) => since.get(id) ?? height,
      heldLately: (wanted) =>
        lately.some(
          ({ rosterHash, untilHeight }) =>
            equalBytes(rosterHash, wanted) && (untilHeight === undefined || untilHeight + HELD_BLOCKS >= height),
        ),
      self: deps.self,
      connected: () => deps.connected(),
      operatorKeys: deps.operatorKeys,
    };
  };

  function grow(next: StatementSet, rosters: HeldRoster[]): void {
    set = next;
    digest = digestOf(set);
    members = membersOf(set);
    hash = hashOf(members);
    history = rosters;
    for (const { statement } of set.values()) {
      if (statement.body.kind !== 'leave') statedHeight = Math.max(statedHeight, statement.body.height);
    }
  }

  /** What the set would be with these, and who of them would be refused. */
  function tryTaking(statements: readonly RosterStatement[]) {
    const next = new Map(set);
    let rosters = history;
    const added: StoredStatement[] = [];
    const refused: RefusedStatement[] = [];
    const height = heightNow();
    for (const statement of statements) {
      const admission = admitStatement(next, statement, contextOn(rosters));
      if (admission.kind === 'refused') refused.push({ statement, reason: admission.reason });
      if (admission.kind !== 'admitted') continue;
      const { id } = admission.held;
      added.push({ id, statement: encodeStatement(statement), heldSince: height, order: next.size });
      next.set(id, admission.held);
      rosters = withRoster(rosters, membersOf(next), height);
    }
    return { next, rosters, added, refused, height };
  }

  async function takeNow(statements: readonly RosterStatement[]): Promise<Taken> {
    const { next, rosters, added, refused, height } = tryTaking(statements);
    if (added.length === 0) return { kind: 'taken', added: 0, refused };
    try {
      await deps.store.put(added);
    } catch (error) {
      return { kind: 'not-stored', message: messageOf(error) };
    }
    for (const { id } of added) since.set(id, height);
    grow(next, rosters);
    options.onGrown();
    return { kind: 'taken', added: added.length, refused };
  }

  async function letGoNow(): Promise<void> {
    await deps.store.drop([...set.keys()]);
    since.clear();
    statedHeight = 0;
    grow(NO_STATEMENTS, []);
    options.onGrown();
  }

  return {
    get set() {
      return set;
    },
    get members() {
      return members;
    },
    get rosterHash() {
      return hash;
    },
    get digest() {
      return digest;
    },
    context: () => contextOn(history),
    async load({ signal }) {
      const loaded = replay(await deps.store.load({ signal }));
      for (const [id, height] of loaded.since) since.set(id, height);
      grow(loaded.set, loaded.history);
    },
    take(statements) {
      const done = busy.then(() => takeNow(statements));
      busy = done;
      return done;
    },
    membersWith: (statements) => membersOf(tryTaking(statements).next),
    letGo() {
      const done = busy.then(letGoNow);
      busy = done.catch(() => undefined);
      return done;
    },
    history: () => history,
    rosterByHash(wanted) {
      const lately = history.find(({ rosterHash }) => equalBytes(rosterHash, wanted));
      return lately?.members ?? namedRoster(set, wanted);
    },
  };
}

/** A new roster at the end of the history, if it differs from the last. */
function withRoster(history: HeldRoster[], members: readonly RosterMember[], height: number): HeldRoster[] {
  const rosterHash = hashOf(members);
  const last = history.at(-1);
  if (last && equalBytes(last.rosterHash, rosterHash)) return history;
  const ended = last ? [...history.slice(0, -1), { ...last, untilHeight: height }] : [];
  return [...ended, { rosterHash, members, fromHeight: height, untilHeight: undefined }].slice(-HISTORY_MAX);
}

/** What was taken once is not judged again: the same disk gives the same roster. */
function replay(stored: readonly StoredStatement[]) {
  const set = new Map<StatementId, NonNullable<ReturnType<typeof held>>>();
  const since = new Map<StatementId, number>();
  let history: HeldRoster[] = [];
  for (const { id, statement, heldSince } of [...stored].sort((a, b) => a.order - b.order)) {
    const decoded = decodeStatement(statement);
    const known = held(set, id, decoded);
    if (!known || statementId(decoded.body) !== id) {
      throw new KithError('roster-corrupt', `the store holds statement ${id} without those it comes after`);
    }
    set.set(id, known);
    since.set(id, heldSince);
    history = withRoster(history, membersOf(set), heldSince);
  }
  return { set, since, history };
}

function namedRoster(set: StatementSet, wanted: Uint8Array): readonly RosterMember[] | undefined {
  const name = toHex(wanted);
  for (const { statement } of set.values()) {
    const { body } = statement;
    if (body.kind === 'genesis' || body.kind === 'leave') continue;
    if (toHex(body.rosterHash) !== name) continue;
    const basis = upTo(set, body.after);
    return basis && membersOf(basis);
  }
  return undefined;
}
