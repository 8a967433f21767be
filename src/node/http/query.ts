// Query strings carry text only; numbers are read from it where the schema wants numbers.

import type { TSchema } from '../../core/schema.ts';

/** A copy of `query` in which digits stand as numbers where `schema` has integers; anything else is left to the check. */
export function convertQuery(schema: TSchema, query: unknown): unknown {
  const properties = (schema as { properties?: Record<string, { type?: string }> }).properties ?? {};
  return Object.fromEntries(
    Object.entries((query ?? {}) as Record<string, unknown>).map(([name, value]) => {
      const numeric = properties[name]?.type === 'integer' && typeof value === 'string' && /^\d{1,16}$/.test(value);
      return [name, numeric ? Number(value) : value];
    }),
  );
}
