// Keys files: {"gamma", "receivers": [{"id", "detection_key": {"indices", "subkeys"}}]}, subkeys in hex. Other fields
// are ignored, so that a file may carry more than detection needs.

import { fromHex, toHex } from '../core/bytes.ts';
import { isKithError, KithError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { hexText, list, type Static, shape, Type, text, uint } from '../core/schema.ts';
import { SCALAR_BYTES } from './group.ts';
import { type DetectionKey, makeDetectionKey } from './keys.ts';
import { GAMMA_MAX } from './limits.ts';

/** 100,000 keys of n = 20 take 134 MB as text. */
export const KEYS_FILE_BYTES_MAX = 192 * 1024 * 1024;

const RECEIVERS_MAX = 1_000_000;
const ID_CHARS_MAX = 128;

const detectionKeyJson = Type.Object({
  indices: list(uint(GAMMA_MAX - 1), GAMMA_MAX, 1),
  subkeys: list(hexText(SCALAR_BYTES), GAMMA_MAX, 1),
});

const fileShape = shape(
  Type.Object({
    gamma: uint(GAMMA_MAX, 1),
    receivers: list(
      Type.Object({ id: Type.Union([uint(), text(ID_CHARS_MAX, 1)]), detection_key: detectionKeyJson }),
      RECEIVERS_MAX,
    ),
  }),
);

export interface Receiver {
  /** As in the file: a number or a string. */
  readonly id: number | string;
  readonly key: DetectionKey;
}

export interface KeysFile {
  readonly gamma: number;
  readonly receivers: readonly Receiver[];
}

/**
 * @param source name of the file, for errors.
 * @throws KithError `bad-json`, `bad-shape` or `bad-detection-key`, naming file and field.
 */
export function parseKeysFile(contents: string, source: string): KeysFile {
  const { gamma, receivers } = fileShape.parse(parseJson(contents, source), source);
  const seen = new Set<number | string>();
  return {
    gamma,
    receivers: receivers.map(({ id, detection_key }, position) => {
      const where = `${source}: field receivers.${position}`;
      if (seen.has(id)) throw new KithError('bad-shape', `${where}.id: ${JSON.stringify(id)} appears twice`);
      seen.add(id);
      return { id, key: detectionKeyFromJson(detection_key, gamma, `${where}.detection_key`) };
    }),
  };
}

/** @param where the field, for errors. */
export function detectionKeyFromJson(
  json: Static<typeof detectionKeyJson>,
  gamma: number,
  where: string,
): DetectionKey {
  const { indices, subkeys } = json;
  if (indices.length !== subkeys.length) {
    throw new KithError('bad-shape', `${where}: ${indices.length} indices but ${subkeys.length} subkeys`);
  }
  const pairs = indices.map((index, i) => ({ index, subkey: fromHex(subkeys[i]!) }));
  try {
    return makeDetectionKey(pairs, gamma);
  } catch (error) {
    if (!isKithError(error)) throw error;
    throw new KithError(error.code, `${where}: ${error.message}`);
  }
}

export const detectionKeyToJson = (key: DetectionKey): Static<typeof detectionKeyJson> => ({
  indices: [...key.indices],
  subkeys: key.subkeys.map(toHex),
});
