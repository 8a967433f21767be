import { describe, expect, it } from 'vitest';
import { ed25519PublicKey, sha256 } from '#crypto';
import { toHex, utf8 } from '../../../src/core/bytes.ts';
import { nodeIdFromBytes } from '../../../src/core/ids.ts';
import { HEIGHT_MAX } from '../../../src/core/registration/limits.ts';
import {
  checkLogEntry,
  decodeLogEntry,
  ENTRY_BYTES_MAX,
  ENTRY_OPERATIONS_MAX,
  encodeLogEntry,
  type LogEntry,
  logEntryHash,
  NO_ENTRY_HASH,
  signLogEntry,
  type Writer,
  writerIdOf,
} from '../../../src/replication/index.ts';
import { codeOf } from '../../support/outcome.ts';
import { clusterId, otherCluster } from '../../support/registration.ts';

const hash = (text: string) => sha256(utf8(text));
const secret = hash('a writer');
const otherSecret = hash('another writer');
const nodeId = ed25519PublicKey(secret);
const ref = (number: number) => ({ opId: hash(`operation ${number}`), regId: hash(`registration ${number}`) });
const refs = (count: number) => Array.from({ length: count }, (_, i) => ref(i));
const fields = {
  nodeId,
  incarnation: 2,
  bootKey: hash('boot'),
  seq: 1,
  previous: NO_ENTRY_HASH,
  expiryHeight: 9_000,
  operations: refs(3),
};
const entry = signLogEntry(secret, clusterId, fields);

describe('a log entry', () => {
  it('is signed by the node of its writer, for one cluster', () => {
    expect(checkLogEntry(entry, clusterId)).toBe(true);
    expect(checkLogEntry(entry, otherCluster)).toBe(false);
    expect(checkLogEntry(signLogEntry(otherSecret, clusterId, fields), clusterId)).toBe(false);
    expect(checkLogEntry({ ...entry, nodeId: ed25519PublicKey(otherSecret) }, clusterId)).toBe(false);
  });

  it('says nothing once any of its fields is another', () => {
    const altered: LogEntry[] = [
      { ...entry, incarnation: 3 },
      { ...entry, bootKey: hash('another boot') },
      { ...entry, seq: 2 },
      { ...entry, previous: hash('another entry') },
      { ...entry, expiryHeight: 9_001 },
      { ...entry, operations: entry.operations.slice(1) },
      { ...entry, operations: [...entry.operations].reverse() },
      { ...entry, operations: [...entry.operations, ref(9)] },
      { ...entry, operations: [{ ...ref(0), regId: ref(1).regId }, ref(1), ref(2)] },
      { ...entry, signature: entry.signature.map((byte, i) => (i === 0 ? byte ^ 1 : byte)) },
    ];
    expect(altered.filter((one) => checkLogEntry(one, clusterId))).toEqual([]);
  });

  it('survives its encoding, and the largest fits', () => {
    expect(decodeLogEntry(encodeLogEntry(entry))).toEqual(entry);
    const largest = signLogEntry(secret, clusterId, {
      ...fields,
      incarnation: HEIGHT_MAX,
      seq: HEIGHT_MAX,
      expiryHeight: HEIGHT_MAX,
      operations: refs(ENTRY_OPERATIONS_MAX),
    });
    expect(encodeLogEntry(largest).length).toBeLessThanOrEqual(ENTRY_BYTES_MAX);
    expect(decodeLogEntry(encodeLogEntry(largest))).toEqual(largest);
  });

  it('is refused by its shape', () => {
    const shapes: object[] = [
      { ...entry, seq: 0 },
      { ...entry, incarnation: 0 },
      { ...entry, operations: [] },
      { ...entry, operations: refs(ENTRY_OPERATIONS_MAX + 1) },
      { ...entry, operations: [{ ...ref(0), more: 1 }] },
      { ...entry, previous: new Uint8Array(31) },
      { ...entry, more: 1 },
    ];
    for (const wrong of shapes)
      expect(codeOf(() => decodeLogEntry(encodeLogEntry(wrong as LogEntry)))).toBe('bad-shape');
    expect(codeOf(() => decodeLogEntry(new Uint8Array(ENTRY_BYTES_MAX + 1)))).toBe('too-large');
    expect(codeOf(() => decodeLogEntry(encodeLogEntry(entry).subarray(0, 40)))).toBe('malformed');
  });

  it('has a hash that covers its signature, so that two signed entries at one place differ', () => {
    const other = signLogEntry(secret, clusterId, { ...fields, expiryHeight: 9_001 });
    const hashes = [entry, other, { ...entry, signature: other.signature }].map((one) => toHex(logEntryHash(one)));
    expect(new Set(hashes).size).toBe(3);
    expect(hashes).not.toContain(toHex(NO_ENTRY_HASH));
  });
});

describe('a writer', () => {
  it('is another for another node, incarnation or boot', () => {
    const writer: Writer = { nodeId: nodeIdFromBytes(nodeId), incarnation: 2, bootKey: hash('boot') };
    const others: Writer[] = [
      writer,
      { ...writer, nodeId: nodeIdFromBytes(ed25519PublicKey(otherSecret)) },
      { ...writer, incarnation: 3 },
      { ...writer, bootKey: hash('another boot') },
    ];
    expect(new Set(others.map(writerIdOf)).size).toBe(4);
    expect(writerIdOf({ ...writer })).toBe(writerIdOf(writer));
  });
});
