// The @noble reference: making flags, expanding keys, detecting.

import { Bench } from 'tinybench';
import { systemRandom } from '../src/core/system.ts';
import { createFlag } from '../src/fmd/create-flag.ts';
import { detect, multiplicationsFor, prepareFlag, prepareKey } from '../src/fmd/detect.ts';
import { deriveDetectionKey, expandSecretKey, firstIndices, generateSecretKey, publicKeyOf } from '../src/fmd/keys.ts';
import { naiveDetect, randomDetectionKey } from '../test/support/fmd.ts';
import { printBench } from './report.ts';

const KEYS = 24;

export async function benchFmdReference(): Promise<void> {
  const random = systemRandom;
  const secret = generateSecretKey({ random });
  const publicKey = publicKeyOf(secret);
  const flag = createFlag({ random }, publicKey);
  const bench = new Bench({ time: 1500, warmupTime: 300 });
  bench.add('make a flag (gamma 20)', () => {
    createFlag({ random }, publicKey);
  });
  bench.add('expand a secret key (gamma 20)', () => {
    expandSecretKey(secret);
  });
  const arbitrary = randomDetectionKey(random, firstIndices(10));
  bench.add('detect, textbook, 1 key of n = 10', () => {
    naiveDetect(flag, arbitrary);
  });
  for (const n of [5, 10, 20]) {
    const kinds = {
      arbitrary: Array.from({ length: KEYS }, () => randomDetectionKey(random, firstIndices(n))),
      linear: Array.from({ length: KEYS }, () => deriveDetectionKey(generateSecretKey({ random }), firstIndices(n))),
    };
    for (const [kind, keys] of Object.entries(kinds)) {
      const prepared = keys.map(prepareKey);
      const multiplications = prepared.reduce((sum, key) => sum + multiplicationsFor(key), 0);
      bench.add(`detect, 1 flag x ${KEYS} ${kind} keys of n = ${n}`, () => {
        detect(prepareFlag(flag, multiplications), prepared);
      });
    }
  }
  await bench.run();
  printBench('FMD reference (@noble/curves)', bench);
}
