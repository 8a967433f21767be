// What a member signs about the chain: its height, and the blocks it has at a few heights that all members state.
// Format: docs/REPLICATION.md.

import { ed25519Sign, ed25519Verify } from '#crypto';
import { concatBytes, utf8 } from '../../core/bytes.ts';
import { decodeCbor, encodeCbor } from '../../core/cbor.ts';
import { KithError } from '../../core/errors.ts';
import { type ClusterId, idBytes } from '../../core/ids.ts';
import { LABEL_HEIGHT_STATEMENT } from '../../core/labels.ts';
import { HEIGHT_MAX } from '../../core/registration/limits.ts';
import { bytes, bytesUpTo, closed, list, type Static, shape, uint } from '../../core/schema.ts';
import { BLOCK_STEP, BLOCKS_STATED, HEIGHTS_BYTES_MAX, STATEMENT_BYTES_MAX, STATEMENTS_MAX } from './limits.ts';

const fields = {
  nodeId: bytes(32),
  incarnation: uint(HEIGHT_MAX, 1),
  /** Statements of one boot, from 1: which is the newer one. */
  sequence: uint(HEIGHT_MAX, 1),
  /** Every block up to it is indexed. */
  height: uint(HEIGHT_MAX),
  /** Milliseconds since 1970 as the member's host says: for people to look at, nothing follows from it. */
  timeMs: uint(),
  /** Multiples of BLOCK_STEP, descending; none where the chain source knows no hashes. */
  blocks: list(closed({ height: uint(HEIGHT_MAX), hash: bytes(32) }), BLOCKS_STATED),
};
const statementSchema = closed({ ...fields, signature: bytes(64) });
/** Its signature is not verified by being of this type. */
export type HeightStatement = Static<typeof statementSchema>;
const statementShape = shape(statementSchema);

export interface StatedBlock {
  readonly height: number;
  /** 32 bytes. */
  readonly hash: Uint8Array;
}

function signedBytes(clusterId: ClusterId, { signature: _, ...rest }: HeightStatement): Uint8Array {
  return concatBytes(utf8(LABEL_HEIGHT_STATEMENT), encodeCbor({ clusterId: idBytes(clusterId), ...rest }));
}

/** @param sign Ed25519 by the node key. */
export function signHeightStatement(
  sign: (message: Uint8Array) => Uint8Array,
  clusterId: ClusterId,
  unsigned: Omit<HeightStatement, 'signature'>,
): HeightStatement {
  const signature = sign(signedBytes(clusterId, { ...unsigned, signature: new Uint8Array(64) }));
  return { ...unsigned, signature };
}

/** `signHeightStatement` with the secret at hand, 32 bytes. */
export const signHeightStatementWith = (
  nodeSecret: Uint8Array,
  clusterId: ClusterId,
  unsigned: Omit<HeightStatement, 'signature'>,
): HeightStatement => signHeightStatement((message) => ed25519Sign(nodeSecret, message), clusterId, unsigned);

/** Whether the node it names signed it for this cluster. */
export const checkHeightStatement = (statement: HeightStatement, clusterId: ClusterId): boolean =>
  ed25519Verify(statement.nodeId, signedBytes(clusterId, statement), statement.signature);

/** Deterministic CBOR; at most STATEMENT_BYTES_MAX bytes. */
export const encodeHeightStatement = (statement: HeightStatement): Uint8Array => encodeCbor({ ...statement });

/** @throws KithError `too-large`, `malformed`, `bad-shape`, `non-canonical`. Verifies no signature. */
export function decodeHeightStatement(encoded: Uint8Array, where = 'height statement'): HeightStatement {
  const statement = decodeCbor(encoded, statementShape, { bytesMax: STATEMENT_BYTES_MAX, where });
  let above = statement.height + 1;
  for (const { height } of statement.blocks) {
    if (height % BLOCK_STEP !== 0 || height >= above) {
      throw new KithError(
        'bad-shape',
        `${where}: blocks are at descending multiples of ${BLOCK_STEP} up to the height`,
      );
    }
    above = height;
  }
  return statement;
}

const heightsShape = shape(
  closed({
    statements: list(closed({ ageMs: uint(), statement: bytesUpTo(STATEMENT_BYTES_MAX, 1) }), STATEMENTS_MAX),
  }),
);

/** A statement on its way: encoded, and how long the sender has had it. */
export interface AgedStatement {
  readonly ageMs: number;
  readonly statement: Uint8Array;
}

/** The body of a `heights` request, and of its answer. */
export const encodeHeights = (statements: readonly AgedStatement[]): Uint8Array =>
  encodeCbor({ statements: statements.map(({ ageMs, statement }) => ({ ageMs, statement })) });

/** @throws KithError `too-large`, `malformed`, `bad-shape`, `non-canonical`. */
export const decodeHeights = (body: Uint8Array, where = 'heights'): readonly AgedStatement[] =>
  decodeCbor(body, heightsShape, { bytesMax: HEIGHTS_BYTES_MAX, where }).statements;
