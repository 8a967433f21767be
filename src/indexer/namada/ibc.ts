// Flags that came over IBC: in the memo of an ICS-20 packet, inside the data section of the relayer's transaction.
// The envelope is ibc.core.channel.v1.MsgRecvPacket in a protobuf Any; the packet's data is JSON (ICS-20); the memo
// is upper-case hex. What stands in it is inferred from namada-net/namada#4640, not observed: a MASP transaction, then
// the list of flags. Anything else is undecodable, hence a match for everyone: the safe side.

import { ByteReader } from '../../core/byte-reader.ts';
import { concatBytes, fromHex, fromUtf8, toHex, utf8 } from '../../core/bytes.ts';
import { parseJson } from '../../core/json.ts';
import { shape, Type } from '../../core/schema.ts';
import { TRANSACTION_BYTES_MAX } from '../limits.ts';
import { malformed } from './borsh.ts';
import { encodeFlags, readFlags } from './flags.ts';
import { readMaspTransaction } from './masp.ts';
import { fieldOf, readFields, writeField } from './protobuf.ts';

const TYPE_URL = '/ibc.core.channel.v1.MsgRecvPacket';

const PACKET_DATA = shape(Type.Object({ memo: Type.String({ maxLength: 2 * TRANSACTION_BYTES_MAX }) }));

/** Field numbers of google.protobuf.Any, MsgRecvPacket and Packet. */
const ANY_TYPE_URL = 1;
const ANY_VALUE = 2;
const MESSAGE_PACKET = 1;
const PACKET_DATA_FIELD = 6;

/** The flags in the data of an IBC transaction. @throws KithError if there are none to be read. */
export function decodeIbcFlags(data: Uint8Array): Uint8Array[] {
  const any = readFields(data);
  const url = fieldOf(any, ANY_TYPE_URL);
  if (url === undefined || fromUtf8(url) !== TYPE_URL) throw malformed(`expected a ${TYPE_URL}`);
  const packet = fieldOf(readFields(present(fieldOf(any, ANY_VALUE), 'message')), MESSAGE_PACKET);
  const content = fieldOf(readFields(present(packet, 'packet')), PACKET_DATA_FIELD);
  const text = fromUtf8(present(content, 'packet data'));
  const { memo } = PACKET_DATA.parse(parseJson(text, 'IBC packet data'), 'IBC packet data');
  const bytes = fromHex(memo);
  const reader = new ByteReader(bytes);
  readMaspTransaction(reader, bytes);
  const flags = readFlags(reader);
  reader.end('memo');
  return flags;
}

/** Data of an IBC transaction whose memo carries a MASP transaction and flags. For simulated chains. */
export function encodeIbcData(masp: Uint8Array, flags: readonly Uint8Array[]): Uint8Array {
  const memo = toHex(concatBytes(masp, encodeFlags(flags))).toUpperCase();
  const content = { denom: 'uatom', amount: '1', sender: 'cosmos1simulated', receiver: 'tnam1simulated', memo };
  const packet = concatBytes(
    writeField(2, utf8('transfer')),
    writeField(3, utf8('channel-0')),
    writeField(4, utf8('transfer')),
    writeField(5, utf8('channel-1')),
    writeField(PACKET_DATA_FIELD, utf8(JSON.stringify(content))),
  );
  const message = writeField(MESSAGE_PACKET, packet);
  return concatBytes(writeField(ANY_TYPE_URL, utf8(TYPE_URL)), writeField(ANY_VALUE, message));
}

function present(bytes: Uint8Array | undefined, what: string): Uint8Array {
  if (bytes === undefined) throw malformed(`an IBC message without its ${what}`);
  return bytes;
}
