// Watches what a node sends over the mesh: the numbers of sealed frames stand in the clear (docs/MESH.md), and each
// stands for a nonce. On one connection they must go up for as long as it lives, over all of its streams.

import type { ByteStream, Connection, Transport } from '../../src/p2p/index.ts';

/** Not sealed: there is no context yet. */
const ATTEST_PROTOCOL = '/kith/attest/1';
/** Length 4, type 1, stream ordinal 4, index in the stream 8; then the number, 8. */
const NUMBER_OFFSET = 17;
const SEALED_BYTES_MIN = NUMBER_OFFSET + 8;

/** @param onAgain told of a frame that does not have a higher number than all before it. */
export function watchFrames(transport: Transport, onAgain: (what: string) => void): Transport {
  function connection(inner: Connection): Connection {
    let last = -1;

    function look(protocol: string, bytes: Uint8Array): void {
      // The end frame has a length and nothing else.
      if (protocol === ATTEST_PROTOCOL || bytes.length < SEALED_BYTES_MIN) return;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const number = Number(view.getBigUint64(NUMBER_OFFSET));
      if (number <= last) onAgain(`${protocol}: a frame with the number ${number} after one with ${last}`);
      last = Math.max(last, number);
    }

    const stream = (protocol: string, given: ByteStream): ByteStream => ({
      ...given,
      write(bytes) {
        look(protocol, bytes);
        return given.write(bytes);
      },
    });
    return {
      ...inner,
      closed: inner.closed,
      openStream: async (protocol, options) => stream(protocol, await inner.openStream(protocol, options)),
      onStream: (handler) => inner.onStream((protocol, opened) => handler(protocol, stream(protocol, opened))),
    };
  }

  return {
    ...transport,
    dial: async (address, options) => connection(await transport.dial(address, options)),
    onConnection: (handler) => transport.onConnection((inner) => handler(connection(inner))),
  };
}
