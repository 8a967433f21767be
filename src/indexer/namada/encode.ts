// Namada transactions for simulated chains: the same layout `transaction.ts` reads.

import { bigintToLe, concatBytes } from '../../core/bytes.ts';
import { u32le, u64le, writeBytes, writeOption, writeString } from './borsh.ts';
import { writeField } from './protobuf.ts';
import { type CodeSection, type DataSection, SECTION_TAG, sectionHash } from './transaction.ts';

/** A section that can be written: data, code, or the bytes of a MASP transaction. */
export type WritableSection = CodeSection | DataSection | { readonly kind: 'masp'; readonly bytes: Uint8Array };

export interface WritableTransaction {
  readonly chainId: string;
  readonly timestamp: string;
  readonly sections: readonly WritableSection[];
}

const ZERO_HASH = new Uint8Array(32);

/** What a wallet would sign for fees; nobody checks it on a simulated chain. */
const WRAPPER = concatBytes(
  Uint8Array.of(1),
  bigintToLe(1_000n, 32),
  Uint8Array.of(6),
  new Uint8Array(21),
  Uint8Array.of(0),
  new Uint8Array(32),
  u64le(100_000),
);

/** A wrapper transaction, one inner transaction for each data section (at least one), as bytes for a block. */
export function encodeNamadaTransaction(transaction: WritableTransaction): Uint8Array {
  const { chainId, timestamp, sections } = transaction;
  const data = sections.filter((section) => section.kind === 'data').map(sectionHash);
  const inner = data.length > 0 ? data : [ZERO_HASH];
  const body = concatBytes(
    writeString(chainId),
    writeOption(undefined),
    writeString(timestamp),
    u32le(inner.length),
    ...inner.map((hash) => concatBytes(ZERO_HASH, hash, ZERO_HASH)),
    Uint8Array.of(0),
    WRAPPER,
    u32le(sections.length),
    ...sections.map(encodeSection),
  );
  return writeField(1, body);
}

function encodeSection(section: WritableSection): Uint8Array {
  const tag = Uint8Array.of(SECTION_TAG[section.kind]);
  switch (section.kind) {
    case 'masp':
      return concatBytes(tag, section.bytes);
    case 'data':
      return concatBytes(tag, section.salt, writeBytes(section.data));
    default: {
      const { body } = section;
      const code = body.kind === 'id' ? writeBytes(body.bytes) : body.hash;
      const label = section.tag === undefined ? undefined : writeString(section.tag);
      return concatBytes(tag, section.salt, Uint8Array.of(body.kind === 'id' ? 1 : 0), code, writeOption(label));
    }
  }
}
