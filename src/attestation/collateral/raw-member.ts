// A member of a JSON object as it was written: signatures over JSON documents are over their exact text.

/**
 * The text of the member `name` of the object that `json` holds, undefined if it has none.
 * @param json must be valid JSON (see core/json.ts); then a scan that knows strings and brackets is exact.
 */
export function rawMember(json: string, name: string): string | undefined {
  let depth = 0;
  let start = -1;
  for (let i = 0; i < json.length; i++) {
    const c = json[i]!;
    if (c === '"') {
      const end = stringEnd(json, i);
      if (depth === 1 && start < 0 && json.slice(i, end + 1) === JSON.stringify(name)) {
        const colon = /^\s*:\s*/.exec(json.slice(end + 1, end + 64));
        if (colon) {
          start = end + 1 + colon[0].length;
          i = start - 1;
          continue;
        }
      }
      i = end;
    } else if (c === '{' || c === '[') depth++;
    else if (c === '}' || c === ']') depth--;
    const ends = (c === ',' && depth === 1) || depth === 0;
    if (start >= 0 && i >= start && ends) return json.slice(start, i).trim();
  }
  return undefined;
}

function stringEnd(json: string, start: number): number {
  let i = start + 1;
  for (; i < json.length && json[i] !== '"'; i++) if (json[i] === '\\') i++;
  return i;
}
