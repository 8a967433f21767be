// JSON from files and sockets: bounded depth, no duplicate keys (JSON.parse would keep the last one silently),
// errors of one line that name the place.

import { KithError, messageOf, printable } from './errors.ts';

export type JsonErrorCode = 'bad-json';

/** No document of ours nests deeper than ten; more is an attack or an accident. */
const JSON_DEPTH_MAX = 32;

/**
 * The value of a JSON text.
 * @param where what is being read, for the error.
 * @throws KithError `bad-json`.
 */
export function parseJson(text: string, where: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new KithError<JsonErrorCode>('bad-json', `${where}: not JSON: ${oneLine(messageOf(error))}`);
  }
  checkKeysAndDepth(text, where);
  return value;
}

/** V8 quotes the text around an error, which may hold a secret; the reason in front of it is enough. */
function oneLine(message: string): string {
  return printable(message.replace(/, ?(\.\.\.)?".*$/s, '').replaceAll(/\s+/g, ' '), 120);
}

/** `text` is valid JSON here, so a scan that only knows strings and brackets is exact. */
function checkKeysAndDepth(text: string, where: string): void {
  // One entry per open bracket: the keys seen so far of an object, undefined for an array.
  const open: (Set<string> | undefined)[] = [];
  let keyExpected = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === '"') {
      const end = stringEnd(text, i);
      const keys = open.at(-1);
      if (keyExpected && keys) {
        const key = JSON.parse(text.slice(i, end + 1)) as string;
        if (keys.has(key)) {
          throw new KithError<JsonErrorCode>('bad-json', `${where}: the key ${quote(key)} appears twice in one object`);
        }
        keys.add(key);
      }
      keyExpected = false;
      i = end;
    } else if (c === '{' || c === '[') {
      open.push(c === '{' ? new Set() : undefined);
      keyExpected = c === '{';
      if (open.length > JSON_DEPTH_MAX) {
        throw new KithError<JsonErrorCode>('bad-json', `${where}: nested deeper than ${JSON_DEPTH_MAX} levels`);
      }
    } else if (c === '}' || c === ']') {
      open.pop();
      keyExpected = false;
    } else if (c === ',') {
      keyExpected = open.at(-1) !== undefined;
    }
  }
}

function stringEnd(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '"') return i;
  }
  return text.length;
}

function quote(key: string): string {
  return printable(JSON.stringify(key.length > 60 ? `${key.slice(0, 60)}...` : key), 140);
}
