// The vectors that come with the project: made by running the Rust crate polyfuzzy 0.5.0.

import { readFileSync } from 'node:fs';

const folder = new URL('../vectors/', import.meta.url);

export interface FmdCase {
  readonly id: number;
  readonly kind: 'own-master' | 'own-randomized' | 'other' | 'random';
  readonly gamma: number;
  readonly threshold: number;
  readonly tag: string;
  readonly compact_sk: readonly string[];
  readonly compact_pk: string;
  readonly expanded_sk: readonly string[];
  readonly indices: readonly number[];
  readonly subkeys: readonly string[];
  readonly flag: { readonly basepoint_ch: string; readonly u: string; readonly y: string; readonly c: string };
  readonly k: readonly number[];
  readonly detect_spec: boolean;
  readonly detect_ref: boolean;
}

export interface FmdVectors {
  readonly cases: readonly FmdCase[];
  readonly samples: Readonly<Record<'master' | 'randomized', Readonly<Record<string, string>>>>;
}

export const fmdVectors = (): FmdVectors =>
  JSON.parse(readFileSync(new URL('fmd-vectors.json', folder), 'utf8')) as FmdVectors;

export interface RecordedReceiver {
  readonly id: number;
  readonly n: number;
  readonly compact_secret_key: readonly string[];
  readonly detection_key: { readonly indices: number[]; readonly subkeys: string[] };
  readonly own: readonly (readonly [number, number])[];
  readonly index_set: readonly (readonly [number, number])[];
}

export const chainPath = new URL('chain/chain.jsonl', folder);
export const receiversPath = new URL('chain/receivers.json', folder);

export const recordedReceivers = (): readonly RecordedReceiver[] =>
  (JSON.parse(readFileSync(receiversPath, 'utf8')) as { receivers: RecordedReceiver[] }).receivers;
