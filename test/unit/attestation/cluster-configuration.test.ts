import { describe, expect, it } from 'vitest';
import { ed25519PublicKey, sha256 } from '#crypto';
import {
  adopt,
  compareClusters,
  createCluster,
  formatCluster,
  parseCluster,
  proposeSuccessor,
  signSuccessor,
  succeed,
  versionWithHash,
} from '../../../src/attestation/cluster-configuration/cluster.ts';
import {
  type ClusterConfiguration,
  configurationHash,
  DEFAULT_LIMITS,
} from '../../../src/attestation/cluster-configuration/configuration.ts';
import { isMainnet } from '../../../src/attestation/cluster-configuration/mainnets.ts';
import { intelRoot } from '../../../src/attestation/intel-root.ts';
import { defaultPolicy } from '../../../src/attestation/policy/policy.ts';
import { toBase64Url, toHex } from '../../../src/core/bytes.ts';
import { clusterIdFromBytes, idBytes } from '../../../src/core/ids.ts';
import { measurements, pki } from '../../support/attestation.ts';

const MAINNET = 'namada.5f5de2dd1b88cba30586420';
const secrets = [1, 2, 3].map((value) => new Uint8Array(32).fill(value));
const publicKeys = secrets.map((secret) => toBase64Url(ed25519PublicKey(secret)));
const key = (value: number) => toBase64Url(new Uint8Array(32).fill(value));

const genesis: ClusterConfiguration = {
  version: 1,
  chainId: 'kith-test',
  trustAnchor: { development: toBase64Url(pki.root) },
  policy: defaultPolicy([measurements]),
  allowSimulated: true,
  allowUnbacked: false,
  confirmations: 2,
  operators: [{ name: 'a', publicKey: key(9), platforms: ['ab'.repeat(32)] }],
  governance: { threshold: 2, publicKeys },
  recovery: { threshold: 2, publicKeys: [key(20), key(21), key(22)] },
  limits: DEFAULT_LIMITS,
};
const real: ClusterConfiguration = { ...genesis, trustAnchor: 'intel', allowSimulated: false, chainId: MAINNET };

const failsWith = (code: string) => expect.objectContaining({ code });
const edited = (change: (file: Record<string, unknown>) => void): string => {
  const file = JSON.parse(formatCluster(createCluster(genesis))) as Record<string, unknown>;
  change(file);
  return JSON.stringify(file);
};

describe('a cluster configuration', () => {
  it('has the hash of its genesis as cluster id, however its file is laid out', () => {
    const cluster = createCluster(genesis);
    expect(idBytes(cluster.id)).toEqual(configurationHash(genesis));
    const compact = JSON.stringify(Object.fromEntries(Object.entries(genesis).reverse()));
    expect(parseCluster(compact).id).toBe(cluster.id);
    expect(parseCluster(formatCluster(cluster))).toEqual(cluster);
  });

  it('has another id when any field differs', () => {
    const ids = [
      genesis,
      { ...genesis, chainId: 'kith-test-2' },
      { ...genesis, allowUnbacked: true },
      { ...genesis, confirmations: 3 },
      { ...genesis, operators: [] },
      { ...genesis, policy: defaultPolicy([]) },
      { ...genesis, recovery: { threshold: 3, publicKeys: genesis.recovery.publicKeys } },
    ].map((configuration) => createCluster(configuration).id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('cannot allow simulation on a main network, neither made nor loaded', () => {
    expect(createCluster(real).simulated).toBe(false);
    expect(toHex(sha256(createCluster(real).anchor))).toBe(
      '44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3',
    );
    for (const chainId of [MAINNET, MAINNET.toUpperCase(), 'penumbra-1', 'my-mainnet-3', ' cosmoshub-4 ']) {
      expect(() => createCluster({ ...genesis, chainId })).toThrow(failsWith('simulated-mainnet'));
      expect(() => parseCluster(JSON.stringify({ ...genesis, chainId }))).toThrow(failsWith('simulated-mainnet'));
      expect(() => createCluster({ ...genesis, chainId, allowSimulated: false })).toThrow(
        failsWith('simulated-mainnet'),
      );
      expect(() => createCluster({ ...real, chainId, allowSimulated: true })).toThrow(failsWith('simulated-mainnet'));
    }
  });

  it('knows test networks from main networks', () => {
    expect(
      ['namada-dryrun.abaaeaf7b78cb3ac', 'campfire-square.ff09671d333707', 'kith-dev', 'localnet'].map(isMainnet),
    ).toEqual([false, false, false, false]);
  });

  it('names a development root exactly when it allows simulation, and a real one of ours', () => {
    expect(() => createCluster({ ...genesis, trustAnchor: 'intel' })).toThrow(failsWith('cluster-inconsistent'));
    expect(() => createCluster({ ...genesis, allowSimulated: false })).toThrow(failsWith('cluster-inconsistent'));
    for (const der of [intelRoot(), pki.authority, pki.tcbSigner, new Uint8Array(40)]) {
      const trustAnchor = { development: toBase64Url(der) };
      expect(() => createCluster({ ...genesis, trustAnchor })).toThrow(failsWith('cluster-inconsistent'));
    }
  });

  it('has thresholds that can be met, and nothing twice', () => {
    const wrong: Partial<ClusterConfiguration>[] = [
      { governance: { threshold: 4, publicKeys } },
      { governance: { threshold: 1, publicKeys: [publicKeys[0]!, publicKeys[0]!] } },
      { recovery: { threshold: 0, publicKeys: [key(1)] } },
      { recovery: { threshold: 1, publicKeys: [] } },
      { operators: [...genesis.operators, ...genesis.operators] },
      { operators: [...genesis.operators, { ...genesis.operators[0]!, name: 'b' }] },
      { clusterId: key(1), previous: key(2) },
    ];
    for (const change of wrong) {
      expect(() => createCluster({ ...genesis, ...change })).toThrow(failsWith('cluster-inconsistent'));
    }
  });

  it('is refused with unknown, missing or misshapen fields, duplicate keys, or no JSON at all', () => {
    const wrong = [
      edited((file) => Object.assign(file, { allowEverything: true })),
      edited((file) => delete file['policy']),
      edited((file) => Object.assign(file, { confirmations: '2' })),
      edited((file) => Object.assign(file, { governance: { threshold: 1, publicKeys: ['short'] } })),
      formatCluster(createCluster(genesis)).replace('{', '{"allowSimulated": true,'),
      '{',
      '[]',
    ];
    for (const file of wrong) expect(() => parseCluster(file)).toThrow(failsWith('cluster-malformed'));
  });

  it('is pinned by its id', () => {
    const { id } = createCluster(genesis);
    expect(parseCluster(JSON.stringify(genesis), id).id).toBe(id);
    const other = clusterIdFromBytes(new Uint8Array(32));
    expect(() => parseCluster(JSON.stringify(genesis), other)).toThrow(failsWith('other-genesis'));
  });
});

describe('successors', () => {
  const cluster = createCluster(genesis);
  const next = proposeSuccessor(cluster, { confirmations: 3 });
  const sign = (configuration: ClusterConfiguration, ...who: number[]) =>
    who.map((i) => signSuccessor(configuration, secrets[i]!));
  const second = succeed(cluster, next, sign(next, 0, 2));

  it('come into force with enough signatures of the governance and keep the cluster id', () => {
    expect(second.id).toBe(cluster.id);
    expect(second.configuration).toMatchObject({ version: 2, confirmations: 3 });
    expect(second.hash).not.toEqual(cluster.hash);
    expect(parseCluster(formatCluster(second))).toEqual(second);
    expect(versionWithHash(second, cluster.hash)).toBe(1);
    expect(versionWithHash(cluster, second.hash)).toBeUndefined();
  });

  it('are refused with too few, wrong, repeated or foreign signatures', () => {
    const [good] = sign(next, 0);
    const foreign = signSuccessor(next, new Uint8Array(32).fill(50));
    const wrong = { ...sign(next, 1)[0]!, signature: good!.signature };
    const garbage = { ...good!, signature: '!'.repeat(86) };
    const otherVersion = sign(proposeSuccessor(cluster, { confirmations: 4 }), 1);
    for (const signatures of [
      [],
      [good!],
      [good!, good!],
      [good!, foreign],
      [good!, wrong],
      [good!, garbage],
      [good!, ...otherVersion],
    ]) {
      expect(() => succeed(cluster, next, signatures)).toThrow(failsWith('successor-signature'));
    }
  });

  it('are refused with a lower, equal or skipped number', () => {
    for (const version of [2, 4]) {
      const odd = { ...proposeSuccessor(second, {}), version };
      expect(() => succeed(second, odd, sign(odd, 0, 1))).toThrow(failsWith('successor-number'));
    }
  });

  it('are refused when they are of another genesis', () => {
    const others = createCluster({ ...genesis, chainId: 'another' });
    const theirs = proposeSuccessor(others, {});
    expect(() => succeed(cluster, theirs, sign(theirs, 0, 1))).toThrow(failsWith('other-genesis'));
    const relabelled = { ...theirs, clusterId: cluster.id };
    expect(() => succeed(cluster, relabelled, sign(relabelled, 0, 1))).toThrow(failsWith('successor-fork'));
  });

  it('cannot change chain, anchor or simulation', () => {
    const moved = { ...next, chainId: 'kith-other' };
    expect(() => succeed(cluster, moved, sign(moved, 0, 1))).toThrow(failsWith('successor-fixed'));
    const realNow = { ...next, trustAnchor: 'intel' as const, allowSimulated: false };
    expect(() => succeed(cluster, realNow, sign(realNow, 0, 1))).toThrow(failsWith('successor-fixed'));
  });

  it('are signed by the governance before them, not by their own', () => {
    const usurper = new Uint8Array(32).fill(60);
    const governance = { threshold: 1, publicKeys: [toBase64Url(ed25519PublicKey(usurper))] };
    const coup = proposeSuccessor(cluster, { governance });
    expect(() => succeed(cluster, coup, [signSuccessor(coup, usurper)])).toThrow(failsWith('successor-signature'));
    const handover = succeed(cluster, coup, sign(coup, 1, 2));
    const third = proposeSuccessor(handover, { confirmations: 5 });
    expect(succeed(handover, third, [signSuccessor(third, usurper)]).configuration.version).toBe(3);
    expect(() => succeed(handover, third, sign(third, 0, 1))).toThrow(failsWith('successor-signature'));
  });

  it('in a file are checked from the genesis on', () => {
    const file = JSON.parse(formatCluster(second)) as { history: Record<string, unknown>[]; signatures: unknown[] };
    const without = { ...file, history: [] };
    expect(() => parseCluster(JSON.stringify(without))).toThrow(failsWith('cluster-malformed'));
    const bare = { ...file, history: [], signatures: [] };
    expect(() => parseCluster(JSON.stringify(bare))).toThrow(failsWith('successor-number'));
    const unsigned = { ...file, signatures: [] };
    expect(() => parseCluster(JSON.stringify(unsigned))).toThrow(failsWith('successor-signature'));
    const otherGenesis = { ...file, history: [{ ...file.history[0], allowUnbacked: true }] };
    expect(() => parseCluster(JSON.stringify(otherGenesis))).toThrow(failsWith('other-genesis'));
  });

  it('are compared with what one holds: same, newer, older, forked, foreign', () => {
    const fork = proposeSuccessor(cluster, { confirmations: 4 });
    const forked = succeed(cluster, fork, sign(fork, 0, 1));
    expect(compareClusters(cluster, cluster).kind).toBe('same');
    expect(compareClusters(cluster, second)).toEqual({ kind: 'newer', cluster: second });
    expect(compareClusters(second, cluster).kind).toBe('older');
    expect(compareClusters(second, forked)).toMatchObject({ kind: 'refused', code: 'successor-fork' });
    const foreign = createCluster({ ...genesis, chainId: 'another' });
    expect(compareClusters(second, foreign)).toMatchObject({ kind: 'refused', code: 'other-genesis' });
    expect(adopt(cluster, second)).toBe(second);
    expect(() => adopt(second, cluster)).toThrow(failsWith('successor-number'));
    expect(() => adopt(second, forked)).toThrow(failsWith('successor-fork'));
    expect(() => adopt(second, foreign)).toThrow(failsWith('other-genesis'));
  });
});
