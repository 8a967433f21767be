// From a block's events to the flags of its transactions.

import { describe, expect, it } from 'vitest';
import { fromHex, toHex, utf8 } from '../../../src/core/bytes.ts';
import { createMemoryStore, openNoteStore } from '../../../src/indexer/index.ts';
import { FLAGS_PER_TRANSACTION_MAX } from '../../../src/indexer/limits.ts';
import { encodeNamadaTransaction } from '../../../src/indexer/namada/encode.ts';
import { EVENT_FLAG, EVENT_TRANSFER, locateTransactions } from '../../../src/indexer/namada/events.ts';
import { encodeFlags } from '../../../src/indexer/namada/flags.ts';
import { type CodeSection, sectionHash } from '../../../src/indexer/namada/transaction.ts';
import { collect, flagHex } from '../../support/replay.ts';

const flag = fromHex(flagHex('one'));

const flagSection = (salt: string, count: number): CodeSection => ({
  kind: 'extra-data',
  salt: utf8(salt),
  body: { kind: 'id', bytes: encodeFlags(Array.from({ length: count }, () => flag)) },
  tag: undefined,
});

const place = (inner: number | null = 0) => ({
  key: 'indexed-tx',
  value: JSON.stringify({ block_height: 5, block_index: 0, batch_index: inner }),
});
const transfer = (inner: number | null = 0) => ({ type: EVENT_TRANSFER, attributes: [place(inner)] });
const flagged = (section: CodeSection, inner = 0) => ({
  type: EVENT_FLAG,
  attributes: [
    place(inner),
    { key: 'ciphertext', value: JSON.stringify({ FmdSection: toHex(sectionHash(section)).toUpperCase() }) },
  ],
});

const transactionOf = (...sections: CodeSection[]) =>
  encodeNamadaTransaction({ chainId: 'c', timestamp: 't', sections });

describe('the flags of a transaction', () => {
  it('are those of all its inner transactions together', () => {
    const [a, b] = [flagSection('saltaaaa', 1), flagSection('saltbbbb', 2)];
    const events = [transfer(0), flagged(a, 0), transfer(1), flagged(b, 1)];
    const [located] = locateTransactions(5, [transactionOf(a, b)], events, () => true);
    expect(located).toEqual({ blockIndex: 0, flags: [flag, flag, flag], undecodable: false });
  });

  it('may stand without a batch index', () => {
    const a = flagSection('saltaaaa', 1);
    const [located] = locateTransactions(5, [transactionOf(a)], [transfer(null), flagged(a)], () => true);
    expect(located?.flags).toEqual([flag]);
  });

  it("count for nothing when there are more than the store reads back: the transaction is everybody's", async () => {
    const half = FLAGS_PER_TRANSACTION_MAX / 2;
    for (const [more, expected] of [
      [0, 2 * half],
      [1, undefined],
    ] as const) {
      const [a, b] = [flagSection('saltaaaa', half), flagSection('saltbbbb', half + more)];
      const events = [transfer(), flagged(a), flagged(b)];
      const [located] = locateTransactions(5, [transactionOf(a, b)], events, () => true);
      expect(located?.flags?.length).toBe(expected);
      const notes = await openNoteStore(createMemoryStore());
      await notes.pin('c', 5);
      const none = {
        hash: undefined,
        parentHash: undefined,
        chainId: 'c',
        time: undefined,
        texts: [],
        undecodable: [],
      };
      await notes.append([{ ...none, height: 5, transactions: [{ blockIndex: 0, flags: located?.flags }] }]);
      const [block] = await collect(notes.read(5, 5));
      expect(block?.transactions[0]?.flags?.length).toBe(expected);
    }
  });

  it('are not taken from code whose hash alone is given', () => {
    const a: CodeSection = { ...flagSection('saltaaaa', 1), body: { kind: 'hash', hash: new Uint8Array(32) } };
    const [located] = locateTransactions(5, [transactionOf(a)], [transfer(), flagged(a)], () => true);
    expect(located).toEqual({ blockIndex: 0, flags: undefined, undecodable: true });
  });

  it('are not taken from a transaction that cannot be read to its end', () => {
    const a = flagSection('saltaaaa', 1);
    const cut = transactionOf(a).subarray(0, -1);
    const [located] = locateTransactions(5, [cut], [transfer(), flagged(a)], () => true);
    expect(located).toEqual({ blockIndex: 0, flags: undefined, undecodable: true });
  });
});
