// Namada's MASP events, and from them the flags of each transaction of a block. Only what an event names counts: any
// other section of a transaction was never validated. Every event of a kind we know is accounted for or fails the block.

import { fromHex, toHex } from '../../core/bytes.ts';
import { isKithError } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';
import { shape, Type, uint } from '../../core/schema.ts';
import { indexerError } from '../errors.ts';
import { BLOCK_TRANSACTIONS_MAX, FLAGS_PER_TRANSACTION_MAX, SECTIONS_MAX } from '../limits.ts';
import type { CometEvent } from '../wire/cometbft.ts';
import { malformed } from './borsh.ts';
import { decodeFlags } from './flags.ts';
import { decodeIbcFlags } from './ibc.ts';
import {
  type CodeSection,
  type DataSection,
  decodeNamadaTransaction,
  type NamadaTransaction,
  sectionHash,
} from './transaction.ts';

export const EVENT_TRANSFER = 'masp/transfer';
export const EVENT_FEE_PAYMENT = 'masp/fee-payment';
export const EVENT_FLAG = 'masp/flag';
export const ATTRIBUTE_INDEXED_TX = 'indexed-tx';
export const ATTRIBUTE_SECTION = 'section';
export const ATTRIBUTE_CIPHERTEXT = 'ciphertext';

const INDEXED_TX = shape(
  Type.Object({
    block_height: uint(),
    block_index: uint(BLOCK_TRANSACTIONS_MAX),
    batch_index: Type.Optional(Type.Union([uint(SECTIONS_MAX), Type.Null()])),
  }),
);

const HASH_TEXT = Type.String({ pattern: '^[0-9A-Fa-f]{64}$' });
const CIPHERTEXT = shape(Type.Union([Type.Object({ FmdSection: HASH_TEXT }), Type.Object({ IbcData: HASH_TEXT })]));

/** The flags of one transaction: undefined if it has none or any of them cannot be read, which `undecodable` tells. */
export interface LocatedTransaction {
  readonly blockIndex: number;
  readonly flags: readonly Uint8Array[] | undefined;
  readonly undecodable: boolean;
}

interface Reference {
  readonly kind: 'section' | 'ibc';
  readonly hash: Uint8Array;
}

/** What the events of a block say about one transaction. */
interface Mention {
  /** Inner transactions with a MASP event. */
  readonly shielded: Set<number>;
  /** Inner transactions with a flag event. */
  readonly flagged: Set<number>;
  readonly references: Map<string, Reference>;
  unreadable: boolean;
}

/**
 * The MASP transactions of a block, ordered by block index, one entry each however many events name them.
 * @param decodable the detector's check of one flag; a transaction with a flag that fails it counts as unflagged.
 * @throws KithError `bad-answer` when an event cannot be assigned to a transaction of this block.
 */
export function locateTransactions(
  height: number,
  transactions: readonly Uint8Array[],
  events: readonly CometEvent[],
  decodable: (flag: Uint8Array) => boolean,
): LocatedTransaction[] {
  const mentions = new Map<number, Mention>();
  for (const event of events) {
    if (event.type !== EVENT_TRANSFER && event.type !== EVENT_FEE_PAYMENT && event.type !== EVENT_FLAG) continue;
    readEvent(event, height, transactions.length, mentions);
  }
  return [...mentions]
    .sort(([a], [b]) => a - b)
    .map(([blockIndex, mention]) => {
      const announced = mention.unreadable || mention.flagged.size > 0;
      const flags = announced ? readFlagsOf(transactions[blockIndex]!, mention) : undefined;
      const usable = flags?.every(decodable) ?? false;
      return { blockIndex, flags: usable ? flags : undefined, undecodable: announced && !usable };
    });
}

function readEvent(event: CometEvent, height: number, count: number, mentions: Map<number, Mention>): void {
  const where = `event ${event.type} of height ${height}`;
  const attribute = (key: string) => event.attributes.find((candidate) => candidate.key === key)?.value ?? '';
  let place: ReturnType<typeof INDEXED_TX.parse>;
  try {
    place = INDEXED_TX.parse(parseJson(attribute(ATTRIBUTE_INDEXED_TX), where), where);
  } catch (cause) {
    throw indexerError('bad-answer', `${where}: names no transaction`, cause);
  }
  if (place.block_height !== height || place.block_index >= count) {
    throw indexerError(
      'bad-answer',
      `${where}: names transaction ${place.block_index} of height ${place.block_height}, but the block has ${count}`,
    );
  }
  const mention: Mention = mentions.get(place.block_index) ?? {
    shielded: new Set(),
    flagged: new Set(),
    references: new Map(),
    unreadable: false,
  };
  mentions.set(place.block_index, mention);
  const inner = place.batch_index ?? 0;
  if (event.type !== EVENT_FLAG) {
    mention.shielded.add(inner);
    return;
  }
  mention.flagged.add(inner);
  const reference = readReference(attribute(ATTRIBUTE_CIPHERTEXT));
  if (reference) mention.references.set(`${reference.kind} ${toHex(reference.hash)}`, reference);
  else mention.unreadable = true;
}

function readReference(text: string): Reference | undefined {
  try {
    const value = CIPHERTEXT.parse(parseJson(text, 'ciphertext'), 'ciphertext');
    return 'FmdSection' in value
      ? { kind: 'section', hash: fromHex(value.FmdSection) }
      : { kind: 'ibc', hash: fromHex(value.IbcData) };
  } catch (error) {
    if (isKithError(error)) return undefined;
    throw error;
  }
}

/** All flags of a transaction, or undefined if any that should be there is missing or malformed. */
function readFlagsOf(bytes: Uint8Array, mention: Mention): Uint8Array[] | undefined {
  if (mention.unreadable) return undefined;
  for (const inner of mention.shielded) if (!mention.flagged.has(inner)) return undefined;
  try {
    const sections = sectionsByHash(decodeNamadaTransaction(bytes));
    const flags: Uint8Array[] = [];
    for (const reference of mention.references.values()) {
      flags.push(...flagsOf(sections.get(toHex(reference.hash)), reference.kind));
      // Each list is bounded; so must be their sum, for a store that bounds what it reads back.
      if (flags.length > FLAGS_PER_TRANSACTION_MAX) return undefined;
    }
    return flags;
  } catch (error) {
    // Everything here is the sender's: whatever is wrong with it, the transaction counts as unflagged.
    if (isKithError(error)) return undefined;
    throw error;
  }
}

function sectionsByHash({ sections }: NamadaTransaction): Map<string, CodeSection | DataSection> {
  const byHash = new Map<string, CodeSection | DataSection>();
  for (const section of sections) {
    if (section.kind === 'extra-data' || section.kind === 'data') byHash.set(toHex(sectionHash(section)), section);
  }
  return byHash;
}

function flagsOf(section: CodeSection | DataSection | undefined, kind: Reference['kind']): Uint8Array[] {
  if (kind === 'ibc' && section?.kind === 'data') return decodeIbcFlags(section.data);
  if (kind === 'section' && section?.kind === 'extra-data' && section.body.kind === 'id') {
    return decodeFlags(section.body.bytes);
  }
  throw malformed('an event names a section that the transaction lacks');
}
