import { afterEach, describe, expect, it } from 'vitest';
import { concatBytes } from '../../../src/core/bytes.ts';
import { KithError } from '../../../src/core/errors.ts';
import { systemClock, systemRandom } from '../../../src/core/system.ts';
import { createLibp2pTransport, createMemoryNetwork, type Transport } from '../../../src/p2p/index.ts';
import type { ByteStream, Connection } from '../../../src/p2p/stream.ts';
import { rejectionOf } from '../../support/outcome.ts';

const PROTOCOL = '/kith/replicate/1';
const { signal } = new AbortController();

interface Kind {
  readonly name: string;
  /** Several transports of one network. */
  make(count: number): Promise<Transport[]>;
  /** Where nobody listens. */
  readonly nowhere: string;
}

const kinds: Kind[] = [
  {
    name: 'in memory',
    nowhere: 'nowhere',
    async make(count) {
      const network = createMemoryNetwork({ clock: systemClock });
      return Array.from({ length: count }, (_, i) =>
        network.transport({ bootKey: new Uint8Array(32).fill(i + 1), address: `t${i}` }),
      );
    },
  },
  {
    name: 'libp2p over loopback',
    nowhere: '/ip4/127.0.0.1/tcp/1',
    make: (count) =>
      Promise.all(
        Array.from({ length: count }, () =>
          createLibp2pTransport({ random: systemRandom }, { listen: ['/ip4/127.0.0.1/tcp/0'] }),
        ),
      ),
  },
];

async function readAll(stream: ByteStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let chunk = await stream.read(); chunk; chunk = await stream.read()) chunks.push(chunk);
  return concatBytes(...chunks);
}

const closing = (connection: Connection) =>
  new Promise<KithError>((resolve) => {
    const end = () => resolve(connection.closed.reason as KithError);
    if (connection.closed.aborted) end();
    else connection.closed.addEventListener('abort', end);
  });

describe.each(kinds)('a transport $name', ({ make, nowhere }) => {
  const running: Transport[] = [];
  afterEach(async () => {
    await Promise.all(running.splice(0).map((transport) => transport.stop()));
  });

  async function connected() {
    const transports = await make(2);
    running.push(...transports);
    const [a, b] = transports as [Transport, Transport];
    const far = new Promise<Connection>((resolve) => b.onConnection(resolve));
    await Promise.all([a.start({}), b.start({})]);
    const near = await a.dial(b.addresses()[0]!, { signal });
    return { a, b, near, far: await far };
  }

  async function opened() {
    const ends = await connected();
    const there = new Promise<ByteStream>((resolve) =>
      ends.far.onStream((protocol, stream) => {
        expect(protocol).toBe(PROTOCOL);
        resolve(stream);
      }),
    );
    const here = await ends.near.openStream(PROTOCOL, { signal });
    await here.write(Uint8Array.of(1));
    return { ...ends, here, there: await there };
  }

  it('proves the boot key of each end to the other, and says who dialled', async () => {
    const { a, b, near, far } = await connected();
    expect(near.peerBootKey).toEqual(b.bootKey);
    expect(far.peerBootKey).toEqual(a.bootKey);
    expect([near.role, far.role]).toEqual(['initiator', 'responder']);
    expect(far.remoteHost).not.toBe('');
  });

  it('carries megabytes both ways at once, each direction with its own end', async () => {
    const { here, there } = await opened();
    const send = async (stream: ByteStream, first: number) => {
      for (let i = first; i < 40; i++) await stream.write(new Uint8Array(65_536).fill(i));
      await stream.closeWrite();
    };
    const [atThere, atHere] = await Promise.all([readAll(there), readAll(here), send(here, 0), send(there, 0)]);
    expect(atThere).toHaveLength(40 * 65_536 + 1);
    expect(atHere).toHaveLength(40 * 65_536);
    expect(atHere.at(-1)).toBe(39);
  });

  it('delivers what was written before the end, even if nobody read until after', async () => {
    const { here, there } = await opened();
    await here.write(new Uint8Array(100_000));
    await here.closeWrite();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await readAll(there)).toHaveLength(100_001);
    await there.write(Uint8Array.of(2));
    await there.closeWrite();
    expect(await readAll(here)).toEqual(Uint8Array.of(2));
  });

  it('makes a writer wait for a reader that does not read, and go on when it does', async () => {
    const { here, there } = await opened();
    let written = 0;
    const writing = (async () => {
      for (; written < 100; written++) await here.write(new Uint8Array(65_536));
      await here.closeWrite();
    })();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(written).toBeLessThan(50);
    const all = await readAll(there);
    await writing;
    expect(all).toHaveLength(100 * 65_536 + 1);
  });

  it('tells the other end when a stream is aborted', async () => {
    const { here, there } = await opened();
    await there.read();
    const reading = rejectionOf(there.read());
    here.abort(new KithError('stream-aborted', 'enough'));
    expect((await reading)?.code).toBe('stream-aborted');
    expect((await rejectionOf(here.read()))?.code).toBe('stream-aborted');
    expect((await rejectionOf(here.write(Uint8Array.of(1))))?.code).toBe('stream-aborted');
  });

  it('ends the other end of an aborted connection, and its streams', async () => {
    const { near, far, here, there } = await opened();
    await there.read();
    const reading = rejectionOf(there.read());
    near.abort(new KithError('connection-closed', 'enough'));
    near.abort(new KithError('connection-closed', 'twice'));
    expect((await closing(far)).code).toBe('connection-closed');
    expect(await reading).toBeDefined();
    expect(await rejectionOf(here.read())).toBeDefined();
    expect(await rejectionOf(near.openStream(PROTOCOL, { signal }))).toMatchObject({ code: 'connection-closed' });
  });

  it('opens two connections when two are dialled', async () => {
    const transports = await make(2);
    running.push(...transports);
    const [a, b] = transports as [Transport, Transport];
    const incoming: Connection[] = [];
    b.onConnection((connection) => void incoming.push(connection));
    await Promise.all([a.start({}), b.start({})]);
    const first = await a.dial(b.addresses()[0]!, { signal });
    const second = await a.dial(b.addresses()[0]!, { signal });
    expect(first).not.toBe(second);
    first.abort(new KithError('connection-closed', 'enough'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(second.closed.aborted).toBe(false);
    expect(incoming).toHaveLength(2);
  });

  it('says why a dial failed', async () => {
    const { a } = await connected();
    expect((await rejectionOf(a.dial(nowhere, { signal })))?.code).toBe('unreachable');
    expect((await rejectionOf(a.dial(a.addresses()[0]!, { signal })))?.code).toBe('dialled-self');
    const aborted = AbortSignal.abort(new KithError('stopped', 'the node stops'));
    expect((await rejectionOf(a.dial(nowhere, { signal: aborted })))?.code).toBe('stopped');
  });

  it('ends its connections when it stops', async () => {
    const { b, near } = await connected();
    await b.stop();
    await closing(near);
  });
});

describe('the libp2p transport', () => {
  it('has a fresh identity each time, and refuses what is no multiaddr', async () => {
    const make = (listen: string) => createLibp2pTransport({ random: systemRandom }, { listen: [listen] });
    const [a, b] = [await make('/ip4/127.0.0.1/tcp/0'), await make('/ip4/127.0.0.1/tcp/0')];
    expect(a.bootKey).not.toEqual(b.bootKey);
    expect((await rejectionOf(make('localhost:80')))?.code).toBe('bad-address');
    await a.start({});
    expect((await rejectionOf(a.dial('localhost:80', { signal })))?.code).toBe('bad-address');
    expect(a.addresses()[0]).toMatch(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+$/);
    await a.stop();
  });

  it('says when it cannot listen', async () => {
    const first = await createLibp2pTransport({ random: systemRandom }, { listen: ['/ip4/127.0.0.1/tcp/0'] });
    await first.start({});
    const second = await createLibp2pTransport({ random: systemRandom }, { listen: [...first.addresses()] });
    expect((await rejectionOf(second.start({})))?.code).toBe('cannot-listen');
    await first.stop();
  });

  it('announces what it is told to', async () => {
    const announce = ['/dns4/node.example/tcp/4001'];
    const made = await createLibp2pTransport({ random: systemRandom }, { listen: ['/ip4/127.0.0.1/tcp/0'], announce });
    expect(made.addresses()).toEqual(announce);
  });

  it('offers the protocols of the mesh and no other', async () => {
    const [a, b] = await kinds[1]!.make(2);
    b!.onConnection((connection) => connection.onStream((_protocol, stream) => void stream.closeWrite()));
    await Promise.all([a!.start({}), b!.start({})]);
    const connection = await a!.dial(b!.addresses()[0]!, { signal });
    for (const other of ['/ipfs/id/1.0.0', '/ipfs/ping/1.0.0', '/kith/none/1']) {
      expect((await rejectionOf(connection.openStream(other, { signal })))?.code).toBe('unreachable');
    }
    await connection.openStream(PROTOCOL, { signal });
    await Promise.all([a!.stop(), b!.stop()]);
  });
});
