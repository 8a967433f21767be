// What members say about who belongs to the cluster: genesis, join, leave, eviction, restore. Immutable, in deterministic CBOR,
// signed with Ed25519, named by the hash of what was signed. Signatures are not part of the name: two collections of
// signatures under one text are one statement.

import { ed25519Verify, sha256 } from '#crypto';
import { concatBytes, fromHex, toHex, utf8 } from '../../core/bytes.ts';
import { type CborValue, decodeCbor, encodeCbor } from '../../core/cbor.ts';
import { unreachable } from '../../core/errors.ts';
import { type ClusterId, clusterIdFromBytes, idBytes, type NodeId, nodeIdFromBytes } from '../../core/ids.ts';
import { LABEL_ROSTER_STATEMENT, LABEL_ROSTER_STATEMENT_ID } from '../../core/labels.ts';
import type { RosterEntry } from '../../core/roster.ts';
import { bytes, closed, list, type Static, shape, Type, text, uint } from '../../core/schema.ts';
import { AFTER_MAX, MEMBERS_MAX, NAME_CHARS_MAX, SIGNATURES_MAX, STATEMENT_BYTES_MAX } from './limits.ts';

/** Lower-case hex of 32 bytes: sorts like the bytes. */
export type StatementId = string;

interface Common {
  readonly clusterId: ClusterId;
  /** 32 random bytes of the founder. */
  readonly genesisId: Uint8Array;
}

/** The roster its signers hold: everything up to and including the statements of `after`. */
interface OnRoster {
  /** The statements that no other statement the signers hold comes after; ascending. */
  readonly after: readonly StatementId[];
  readonly rosterHash: Uint8Array;
}

export interface Genesis extends Common {
  readonly kind: 'genesis';
  /** Two, or one in an unbacked cluster; ascending by node id. */
  readonly founders: readonly RosterEntry[];
  readonly height: number;
}

export interface Join extends Common, OnRoster, RosterEntry {
  readonly kind: 'join';
  /** Of the chain, at the join. */
  readonly height: number;
  /** The member whose place it takes: same platform, or the same node on another platform. */
  readonly replaces?: NodeId | undefined;
}

/** Without height or order, so that one member cannot leave in a thousand different ways. */
export interface Leave extends Common {
  readonly kind: 'leave';
  readonly nodeId: NodeId;
  /** The join or genesis it ends. */
  readonly joinId: StatementId;
  /** By the node itself: `left`, or `replaced` by another id of its owner; or by its operator. */
  readonly reason: 'left' | 'replaced' | 'operator';
}

/** A leave by majority. */
export interface Eviction extends Common, OnRoster {
  readonly kind: 'eviction';
  readonly nodeId: NodeId;
  readonly joinId: StatementId;
  readonly height: number;
}

/** A member that came back under another id, on the platform and of the operator that it had in the basis. */
export interface Replacement {
  readonly nodeId: NodeId;
  readonly replaces: NodeId;
}

/** All that lost their ids at once, when those left are no majority: signed on every platform of the roster. */
export interface Restore extends Common, OnRoster {
  readonly kind: 'restore';
  /** Ascending by node id. */
  readonly replacements: readonly Replacement[];
  readonly height: number;
}

/** What is said on a roster, by those on it. */
export type OnRosterBody = Join | Eviction | Restore;
export type StatementBody = Genesis | Leave | OnRosterBody;

export interface StatementSignature {
  /** Ed25519 public key: a node id, or an operator's key. */
  readonly signer: Uint8Array;
  readonly signature: Uint8Array;
}

export interface RosterStatement {
  readonly body: StatementBody;
  readonly signatures: readonly StatementSignature[];
}

const hash = bytes(32);
const platform = Type.Refine(
  text(64),
  (value) => /^[0-9a-f]{64}$/.test(value),
  () => 'must be 64 lower-case hex digits',
);
const entry = { nodeId: hash, platform, operator: text(NAME_CHARS_MAX, 1) };
const common = { clusterId: hash, genesisId: hash };
const ascending = (key: (item: unknown) => string) => (items: unknown) =>
  Array.isArray(items) && items.every((item, i) => i === 0 || key(items[i - 1]) < key(item));
const hexOf = (value: unknown): string => (value instanceof Uint8Array ? toHex(value) : '');
const after = Type.Refine(list(hash, AFTER_MAX, 1), ascending(hexOf), () => 'must be ascending');
const onRoster = { after, rosterHash: hash };

const genesisShape = closed({
  kind: Type.Literal('genesis'),
  ...common,
  founders: list(closed(entry), 2, 1),
  height: uint(),
});
const joinShape = closed({
  kind: Type.Literal('join'),
  ...common,
  ...entry,
  ...onRoster,
  height: uint(),
  replaces: Type.Optional(hash),
});
const leaveShape = closed({
  kind: Type.Literal('leave'),
  ...common,
  nodeId: hash,
  joinId: hash,
  reason: Type.Union([Type.Literal('left'), Type.Literal('replaced'), Type.Literal('operator')]),
});
const evictionShape = closed({
  kind: Type.Literal('eviction'),
  ...common,
  ...onRoster,
  nodeId: hash,
  joinId: hash,
  height: uint(),
});
/** In the order of node ids as they are written, which is not that of their bytes. */
function nodeIdOf(item: unknown): string {
  const nodeId = (item as { readonly nodeId?: unknown } | null)?.nodeId;
  return nodeId instanceof Uint8Array && nodeId.length === 32 ? nodeIdFromBytes(nodeId) : '';
}
const replacements = list(closed({ nodeId: hash, replaces: hash }), MEMBERS_MAX - 1, 1);
const restoreShape = closed({
  kind: Type.Literal('restore'),
  ...common,
  ...onRoster,
  replacements: Type.Refine(replacements, ascending(nodeIdOf), () => 'must be ascending'),
  height: uint(),
});
const bodySchema = Type.Union([genesisShape, joinShape, leaveShape, evictionShape, restoreShape]);
const bodyShape = shape(bodySchema);
const statementShape = shape(
  closed({ body: bodySchema, signatures: list(closed({ signer: hash, signature: bytes(64) }), SIGNATURES_MAX) }),
);

const plainEntry = ({ nodeId, platform, operator }: RosterEntry) => ({ nodeId: idBytes(nodeId), platform, operator });

/** Field by field, so that nothing slips in. */
function plainBody(body: StatementBody): CborValue {
  const base = { kind: body.kind, clusterId: idBytes(body.clusterId), genesisId: body.genesisId };
  switch (body.kind) {
    case 'genesis':
      return { ...base, founders: body.founders.map(plainEntry), height: body.height };
    case 'join': {
      const replaces = body.replaces && idBytes(body.replaces);
      return { ...base, ...plainEntry(body), ...plainOnRoster(body), height: body.height, replaces };
    }
    case 'leave':
      return { ...base, nodeId: idBytes(body.nodeId), joinId: fromHex(body.joinId), reason: body.reason };
    case 'eviction': {
      const who = { nodeId: idBytes(body.nodeId), joinId: fromHex(body.joinId) };
      return { ...base, ...plainOnRoster(body), ...who, height: body.height };
    }
    case 'restore': {
      const replacements = body.replacements.map(({ nodeId, replaces }) => ({
        nodeId: idBytes(nodeId),
        replaces: idBytes(replaces),
      }));
      return { ...base, ...plainOnRoster(body), replacements, height: body.height };
    }
    default:
      return unreachable(body);
  }
}

const plainOnRoster = ({ after, rosterHash }: OnRoster) => ({ after: after.map(fromHex), rosterHash });

function typedBody(plain: Static<typeof bodySchema>): StatementBody {
  const base = { clusterId: clusterIdFromBytes(plain.clusterId), genesisId: plain.genesisId };
  const entryOf = (value: Static<ReturnType<typeof closed<typeof entry>>>): RosterEntry => ({
    ...value,
    nodeId: nodeIdFromBytes(value.nodeId),
  });
  switch (plain.kind) {
    case 'genesis':
      return { ...plain, ...base, founders: plain.founders.map(entryOf) };
    case 'join': {
      const { replaces, ...rest } = plain;
      const taken = replaces && nodeIdFromBytes(replaces);
      return {
        ...rest,
        ...base,
        nodeId: nodeIdFromBytes(plain.nodeId),
        after: plain.after.map(toHex),
        replaces: taken,
      };
    }
    case 'leave':
      return { ...plain, ...base, nodeId: nodeIdFromBytes(plain.nodeId), joinId: toHex(plain.joinId) };
    case 'eviction': {
      const who = { nodeId: nodeIdFromBytes(plain.nodeId), joinId: toHex(plain.joinId) };
      return { ...plain, ...base, ...who, after: plain.after.map(toHex) };
    }
    case 'restore': {
      const replacements = plain.replacements.map(({ nodeId, replaces }) => ({
        nodeId: nodeIdFromBytes(nodeId),
        replaces: nodeIdFromBytes(replaces),
      }));
      return { ...plain, ...base, replacements, after: plain.after.map(toHex) };
    }
    default:
      return unreachable(plain);
  }
}

export const encodeBody = (body: StatementBody): Uint8Array => encodeCbor(plainBody(body));

/** @throws KithError `too-large`, `malformed`, `bad-shape`, `non-canonical`. */
export const decodeBody = (encoded: Uint8Array): StatementBody =>
  typedBody(decodeCbor(encoded, bodyShape, { bytesMax: STATEMENT_BYTES_MAX, where: 'roster statement' }));

export const encodeStatement = ({ body, signatures }: RosterStatement): Uint8Array =>
  encodeCbor({
    body: plainBody(body),
    signatures: signatures.map(({ signer, signature }) => ({ signer, signature })),
  });

/** @throws KithError `too-large`, `malformed`, `bad-shape`, `non-canonical`. */
export function decodeStatement(encoded: Uint8Array): RosterStatement {
  const limits = { bytesMax: STATEMENT_BYTES_MAX, where: 'roster statement' };
  const { body, signatures } = decodeCbor(encoded, statementShape, limits);
  return { body: typedBody(body), signatures };
}

/** SHA-256("kith/roster-statement-id/v1" || CBOR of the body). */
export const statementId = (body: StatementBody): StatementId =>
  toHex(sha256(concatBytes(utf8(LABEL_ROSTER_STATEMENT_ID), encodeBody(body))));

/** What is signed: "kith/roster-statement/v1" || CBOR of the body. */
export const statementMessage = (body: StatementBody): Uint8Array =>
  concatBytes(utf8(LABEL_ROSTER_STATEMENT), encodeBody(body));

/** Whether every signature is valid; who may sign is admission.ts's question. */
export function signaturesValid({ body, signatures }: RosterStatement): boolean {
  const message = statementMessage(body);
  return signatures.every(({ signer, signature }) => ed25519Verify(signer, message, signature));
}

/** The statements it comes after. */
export function parentsOf(body: StatementBody): readonly StatementId[] {
  if (body.kind === 'genesis') return [];
  return body.kind === 'leave' ? [body.joinId] : body.after;
}
