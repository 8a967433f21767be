// Building blocks, purely: what a replay says of a height becomes Namada transactions with their events, other
// transactions fill the indexes between, submitted ones come last. The same input gives the same bytes.

import { sha256 } from '#crypto';
import { concatBytes, toHex, u64be, utf8 } from '../core/bytes.ts';
import { merkleRoot } from '../core/merkle.ts';
import {
  ATTRIBUTE_CIPHERTEXT,
  ATTRIBUTE_INDEXED_TX,
  ATTRIBUTE_SECTION,
  type CodeSection,
  type CometEvent,
  type DataSection,
  EVENT_FLAG,
  EVENT_TRANSFER,
  encodeFlags,
  encodeIbcData,
  encodeMaspTransaction,
  encodeNamadaTransaction,
  FLAG_BYTES,
  sectionHash,
  type WritableSection,
} from '../indexer/codec.ts';
import type { ReplayTransaction } from './replay.ts';
import { seededBytes } from './seeded.ts';

export interface DevnetBlock {
  readonly height: number;
  readonly chainId: string;
  readonly hash: Uint8Array;
  readonly parentHash: Uint8Array;
  readonly dataHash: Uint8Array;
  readonly time: string;
  readonly transactions: readonly Uint8Array[];
  readonly events: readonly CometEvent[];
  /** What the masp-indexer serves of it. */
  readonly shielded: readonly { readonly blockIndex: number; readonly bytes: Uint8Array }[];
}

export interface BlockPlan {
  readonly chainId: string;
  readonly height: number;
  /** Hash of the block before; 32 zero bytes for the first. */
  readonly parentHash: Uint8Array;
  /** Counts resets: the same height has another hash after each. */
  readonly generation: number;
  readonly replay: readonly ReplayTransaction[];
  readonly submitted: readonly Uint8Array[];
}

/** 2025-01-01T00:00:00Z, and Namada's seven seconds from block to block. */
const GENESIS_MS = 1_735_689_600_000;
const BLOCK_MS = 7_000;

/** Every fifth transaction carries its flags in an IBC memo, every third with several flags in two sections. */
const IBC_EVERY = 5;
const SPLIT_EVERY = 3;

export function buildBlock(plan: BlockPlan): DevnetBlock {
  const time = new Date(GENESIS_MS + plan.height * BLOCK_MS).toISOString();
  const transactions: Uint8Array[] = [];
  const events: CometEvent[] = [];
  const shielded: { blockIndex: number; bytes: Uint8Array }[] = [];
  for (const replayed of plan.replay) {
    while (transactions.length < replayed.blockIndex) transactions.push(filler(plan, time, transactions.length));
    const built = buildShielded(plan.chainId, time, replayed);
    transactions.push(built.bytes);
    events.push(...built.events);
    shielded.push({ blockIndex: replayed.blockIndex, bytes: built.masp });
  }
  transactions.push(...plan.submitted);
  const dataHash = merkleRoot(transactions.map(sha256));
  const { chainId, height, parentHash } = plan;
  const hash = sha256(concatBytes(utf8(chainId), u64be(height), u64be(plan.generation), parentHash, dataHash));
  return { height, chainId, hash, parentHash, dataHash, time, transactions, events, shielded };
}

/** Some transaction without anything shielded in it. */
function filler({ chainId, height }: BlockPlan, timestamp: string, index: number): Uint8Array {
  const salt = u64be(height * 256 + (index % 256));
  return encodeNamadaTransaction({ chainId, timestamp, sections: [{ kind: 'data', salt, data: u64be(index) }] });
}

interface BuiltTransaction {
  readonly bytes: Uint8Array;
  readonly masp: Uint8Array;
  readonly events: readonly CometEvent[];
}

function buildShielded(chainId: string, timestamp: string, replayed: ReplayTransaction): BuiltTransaction {
  const { height, blockIndex, flags } = replayed;
  const random = seededBytes(height * 1_009 + blockIndex);
  const masp = encodeMaspTransaction(flags?.length ?? 1, random);
  const salt = random(8);
  const place = { block_height: height, block_index: blockIndex, batch_index: 0 };
  const event = (type: string, key: string, value: object): CometEvent => ({
    type,
    attributes: [
      { key, value: JSON.stringify(value) },
      { key: ATTRIBUTE_INDEXED_TX, value: JSON.stringify(place) },
      { key: 'event-level', value: 'tx' },
    ],
  });

  if (flags && (height + blockIndex) % IBC_EVERY === 0) {
    const data: DataSection = { kind: 'data', salt, data: encodeIbcData(masp, flags) };
    const reference = { IbcData: toHex(sectionHash(data)).toUpperCase() };
    const events = [
      event(EVENT_TRANSFER, ATTRIBUTE_SECTION, reference),
      event(EVENT_FLAG, ATTRIBUTE_CIPHERTEXT, reference),
    ];
    return { bytes: encodeNamadaTransaction({ chainId, timestamp, sections: [data] }), masp, events };
  }

  const named = flags ? splitFlags(flags, height).map((part) => flagSection(part, random(8))) : [];
  const sections: WritableSection[] = [
    { kind: 'data', salt, data: sha256(masp) },
    { kind: 'masp', bytes: masp },
    // No event names this one: it must never count.
    flagSection([decoy(random)], random(8)),
    ...named,
  ];
  const events = [
    event(EVENT_TRANSFER, ATTRIBUTE_SECTION, { MaspSection: [...sha256(masp)] }),
    ...named.map((section) =>
      event(EVENT_FLAG, ATTRIBUTE_CIPHERTEXT, { FmdSection: toHex(sectionHash(section)).toUpperCase() }),
    ),
  ];
  return { bytes: encodeNamadaTransaction({ chainId, timestamp, sections }), masp, events };
}

function splitFlags(flags: readonly Uint8Array[], height: number): (readonly Uint8Array[])[] {
  if (flags.length < 2 || height % SPLIT_EVERY !== 0) return [flags];
  return [flags.slice(0, 1), flags.slice(1)];
}

function flagSection(flags: readonly Uint8Array[], salt: Uint8Array): CodeSection {
  return { kind: 'extra-data', salt, body: { kind: 'id', bytes: encodeFlags(flags) }, tag: undefined };
}

function decoy(random: (length: number) => Uint8Array): Uint8Array {
  return random(FLAG_BYTES);
}
