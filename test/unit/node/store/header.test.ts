import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ed25519Sign } from '#crypto';
import { concatBytes, utf8 } from '../../../../src/core/bytes.ts';
import { type CborValue, encodeCbor } from '../../../../src/core/cbor.ts';
import { idBytes } from '../../../../src/core/ids.ts';
import {
  createHeaderFile,
  createMemoryDisk,
  createMemoryHeaderFile,
  readHeader,
  type StoreHeader,
  signHeader,
} from '../../../../src/node/store/index.ts';
import { codeOf, headerFor, makeStore, testNode } from '../../../support/sealed-store.ts';

const node = testNode();
const { store } = await makeStore(createMemoryDisk().open(), node);
const header: StoreHeader = { ...headerFor(store, node), recoveryWrappedDataKey: utf8('wrapped for recovery') };
const encoded = signHeader(header, node.nodeSecret);
const read = (bytes: Uint8Array | undefined) => codeOf((async () => readHeader(bytes))());

/** The header's fields with some changed, signed again or not. */
function encodeFields(change: Record<string, CborValue | undefined>, signed: boolean): Uint8Array {
  const fields: Record<string, CborValue | undefined> = {
    ...header,
    version: 1,
    clusterId: idBytes(header.clusterId),
    nodeId: idBytes(header.nodeId),
    keyServers: header.keyServers.map(({ nodeId, addresses }) => ({ nodeId: idBytes(nodeId), addresses })),
  };
  const message = (value: CborValue) => concatBytes(utf8('kith/store/header/v1'), encodeCbor(value));
  const before = ed25519Sign(node.nodeSecret.expose(), message(fields));
  const changed = { ...fields, ...change };
  const signature = signed ? ed25519Sign(node.nodeSecret.expose(), message(changed)) : before;
  return encodeCbor({ ...changed, signature });
}

describe('a store header', () => {
  it('reads as it was signed', () => {
    expect(readHeader(encoded)).toEqual(header);
    expect(encodeFields({}, true)).toEqual(encoded);
    const { recoveryWrappedDataKey: _, ...without } = header;
    const bare = signHeader({ ...without, recoveryWrappedDataKey: undefined }, node.nodeSecret);
    expect(readHeader(bare).recoveryWrappedDataKey).toBeUndefined();
    const unbacked = signHeader({ ...header, threshold: 0, keyServers: [] }, node.nodeSecret);
    expect(readHeader(unbacked).keyServers).toEqual([]);
  });

  it('is refused when it is missing or cut anywhere', async () => {
    expect(await read(undefined)).toBe('header-missing');
    for (let length = 0; length < encoded.length; length++) {
      expect(await read(encoded.subarray(0, length))).toBe('header-corrupt');
    }
    expect(await read(concatBytes(encoded, Uint8Array.of(0)))).toBe('header-corrupt');
  });

  it('is refused when any bit of it is changed', async () => {
    for (let at = 0; at < encoded.length; at++) {
      const flipped = encoded.slice();
      flipped[at] = flipped[at]! ^ (1 << (at % 8));
      expect(['header-corrupt', 'header-forged']).toContain(await read(flipped));
    }
  });

  it('is refused when any field is edited without the node', async () => {
    const other = testNode('other').identity;
    const edits: Record<string, CborValue | undefined> = {
      clusterId: idBytes(other.clusterId),
      nodeId: idBytes(other.nodeId),
      storeId: other.storeId,
      keyEpoch: 2,
      keyServers: [{ nodeId: idBytes(other.nodeId), addresses: ['/dns4/peer.example/tcp/4001'] }],
      keyCommitment: new Uint8Array(32),
      wrappedDataKey: new Uint8Array(72),
      recoveryWrappedDataKey: undefined,
    };
    for (const [field, value] of Object.entries(edits)) {
      expect(await read(encodeFields({ [field]: value }, false)), field).toBe('header-forged');
    }
    const twoServers = [header.keyServers[0]!, { nodeId: other.nodeId, addresses: [] }].map((server) => ({
      nodeId: idBytes(server.nodeId),
      addresses: server.addresses,
    }));
    expect(await read(encodeFields({ threshold: 2, keyServers: twoServers }, false))).toBe('header-forged');
  });

  it('is refused when a field is of a wrong kind, size or range, or unknown, even if it is signed', async () => {
    const server = { nodeId: idBytes(header.nodeId), addresses: ['/dns4/peer.example/tcp/4001'] };
    const edits: [string, CborValue | undefined][] = [
      ['version', 2],
      ['version', undefined],
      ['clusterId', new Uint8Array(31)],
      ['nodeId', utf8('')],
      ['storeId', 'text'],
      ['keyEpoch', -1],
      ['threshold', 0],
      ['threshold', 2],
      ['threshold', 6],
      ['keyServers', []],
      ['keyServers', new Array(6).fill(server)],
      ['keyServers', [{ ...server, more: 1 }]],
      ['keyServers', [{ ...server, addresses: [''] }]],
      ['keyServers', [{ ...server, addresses: ['x'.repeat(513)] }]],
      ['keyServers', [{ ...server, addresses: new Array(9).fill('a') }]],
      ['keyCommitment', new Uint8Array(33)],
      ['wrappedDataKey', new Uint8Array(71)],
      ['recoveryWrappedDataKey', new Uint8Array(0)],
      ['recoveryWrappedDataKey', new Uint8Array(8 * 1024 + 1)],
      ['more', 1],
    ];
    for (const [field, value] of edits) {
      expect(await read(encodeFields({ [field]: value }, true)), field).toBe('header-corrupt');
    }
    expect(await read(new Uint8Array(64 * 1024 + 1))).toBe('header-corrupt');
    expect(await read(encodeCbor([1, 2, 3]))).toBe('header-corrupt');
  });

  it('is not signed by another node, nor when it would not be read', () => {
    expect(() => signHeader(header, testNode('other').nodeSecret)).toThrow(/another node/);
    expect(() => signHeader({ ...header, threshold: 2 }, node.nodeSecret)).toThrow(/2 of 1/);
    expect(() => signHeader({ ...header, keyCommitment: new Uint8Array(1) }, node.nodeSecret)).toThrow(/damaged/);
  });
});

describe('the header file', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kith-header-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is absent, then what was written last, for its owner only', async () => {
    const path = join(folder, 'made', 'header');
    for (const file of [createHeaderFile(path), createMemoryHeaderFile()]) {
      expect(await file.read()).toBeUndefined();
      await file.write(encoded);
      expect(await file.read()).toEqual(encoded);
      await Promise.all([file.write(utf8('one')), file.write(utf8('two'))]);
      expect(await file.read()).toEqual(utf8('two'));
    }
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(folder, 'made'))).toEqual(['header']);
  });

  it('is not disturbed by what a crash left beside it', async () => {
    const path = join(folder, 'header');
    const file = createHeaderFile(path);
    await file.write(encoded);
    for (const length of [0, 1, encoded.length - 1, encoded.length]) {
      writeFileSync(`${path}.tmp`, encoded.subarray(0, length));
      expect(readHeader(await createHeaderFile(path).read())).toEqual(header);
    }
    await file.write(utf8('next'));
    expect(readFileSync(path)).toEqual(Buffer.from('next'));
  });

  it('keeps the old one when the new one cannot be written', async () => {
    const path = join(folder, 'header');
    const file = createHeaderFile(path);
    await file.write(encoded);
    mkdirInTheWay(`${path}.tmp`);
    expect(await codeOf(file.write(utf8('next')))).toBe('store-unavailable');
    expect(readHeader(await file.read())).toEqual(header);
    rmSync(`${path}.tmp`, { recursive: true });
    await file.write(utf8('next'));
    expect(await file.read()).toEqual(utf8('next'));
  });

  it('reads no more of a huge file than tells that it is too long', async () => {
    const path = join(folder, 'header');
    writeFileSync(path, new Uint8Array(10_000_000));
    const content = await createHeaderFile(path).read();
    expect(content?.length).toBe(64 * 1024 + 1);
    expect(await read(content)).toBe('header-corrupt');
  });

  it('says when it cannot be read', async () => {
    mkdirInTheWay(join(folder, 'header'));
    expect(await codeOf(createHeaderFile(join(folder, 'header')).read())).toBe('store-unavailable');
  });
});

/** A folder with something in it, where a file belongs. */
function mkdirInTheWay(path: string): void {
  mkdirSync(join(path, 'x'), { recursive: true });
}
