// Shapes of what comes from outside, checked once at the edge. TypeBox does the checking; this file adds the
// shapes it lacks (byte strings), closes objects, and turns a failure into one line naming the field.

import Type, { type Static, type TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { KithError, printable } from './errors.ts';

export type { Static, TSchema };
export { Type };

/** Exactly `length` bytes. */
export const bytes = (length: number) =>
  Type.Refine(
    Type.Unsafe<Uint8Array>({}),
    (value) => value instanceof Uint8Array && value.length === length,
    () => `must be ${length} bytes`,
  );

/** At most `max` bytes (and at least `min`). */
export const bytesUpTo = (max: number, min = 0) =>
  Type.Refine(
    Type.Unsafe<Uint8Array>({}),
    (value) => value instanceof Uint8Array && value.length >= min && value.length <= max,
    () => `must be ${min} to ${max} bytes`,
  );

/** An unsigned safe integer up to `max`. */
export const uint = (max: number = Number.MAX_SAFE_INTEGER, min = 0) => Type.Integer({ minimum: min, maximum: max });

/** A string of `min` to `max` UTF-16 units. */
export const text = (max: number, min = 0) => Type.String({ minLength: min, maxLength: max });

/** Lower or upper case hex of exactly `length` bytes. */
export const hexText = (length: number) =>
  Type.Refine(
    Type.String({ maxLength: 2 * length }),
    (value) => value.length === 2 * length && /^[0-9a-fA-F]*$/.test(value),
    () => `must be ${2 * length} hex digits (${length} bytes)`,
  );

/** At most `max` items (and at least `min`). */
export const list = <T extends TSchema>(item: T, max: number, min = 0) =>
  Type.Array(item, { minItems: min, maxItems: max });

/** An object with these properties and no others. */
export const closed = <P extends Record<string, TSchema>>(properties: P) =>
  Type.Object(properties, { additionalProperties: false });

export interface Shape<T> {
  /** Whether `value` has this shape. */
  matches(value: unknown): value is T;
  /**
   * `value` itself, typed.
   * @param where what is being read, for the error: a file, a line, a message.
   * @throws KithError `bad-shape`: one line naming `where`, the field and what is expected.
   */
  parse(value: unknown, where: string): T;
}

/** Compiles a schema; do it once per module, not per call. */
export function shape<T extends TSchema>(schema: T): Shape<Static<T>> {
  const validator = Compile(schema);
  return {
    matches: (value): value is Static<T> => validator.Check(value),
    parse(value, where) {
      if (validator.Check(value)) return value as Static<T>;
      throw new KithError('bad-shape', `${where}: ${firstError(schema, value, [...validator.Errors(value)])}`);
    },
  };
}

interface ShapeError {
  keyword: string;
  schemaPath: string;
  instancePath: string;
  message: string;
  params: object;
}

/** An error text quotes at most this much of a hostile value's path. */
const PATH_CHARS_MAX = 120;

/** What the branch of a union says of a value that was meant for another branch. */
const OF_ANOTHER_KIND: ReadonlySet<string> = new Set(['type', 'const', 'anyOf']);

function firstError(schema: TSchema, value: unknown, errors: ShapeError[]): string {
  // A union reports every branch. If the value is of a branch's kind, what that branch says is the better line; if it
  // is of none, the union's own is.
  const unions = errors.filter((error) => error.keyword === 'anyOf');
  const unionOf = (error: ShapeError) =>
    unions.find(({ schemaPath }) => error.schemaPath.startsWith(`${schemaPath}/anyOf/`));
  const saysMore = (error: ShapeError, union: ShapeError) =>
    error.instancePath.length > union.instancePath.length || !OF_ANOTHER_KIND.has(error.keyword);
  const told = errors.filter((error) => !(error.keyword === 'boolean' && error.message === 'schema is false'));
  const outside = told.find((error) => !unionOf(error));
  const branchOf = (error: ShapeError, union: ShapeError) =>
    /^\d+/.exec(error.schemaPath.slice(`${union.schemaPath}/anyOf/`.length))?.[0];
  const inside = told.filter((error) => {
    const union = unionOf(error);
    return union !== undefined && union === outside && saysMore(error, union);
  });
  // A branch that says by a constant that the value is of another kind is not asked, as long as one is left.
  const foreign = new Set(
    inside.filter(({ keyword }) => keyword === 'const').map((error) => branchOf(error, unionOf(error)!)),
  );
  const fitting = inside.find((error) => !foreign.has(branchOf(error, unionOf(error)!))) ?? inside[0];
  const error = fitting ?? outside ?? errors[0];
  if (!error) return 'has an unexpected shape';
  const field =
    error.instancePath === ''
      ? 'the whole'
      : `field ${printable(pathOf(error.instancePath).join('.'), PATH_CHARS_MAX)}`;
  if (error.keyword === 'additionalProperties') {
    const names = (error.params as { additionalProperties?: string[] }).additionalProperties ?? [];
    return `${field} has the unknown field ${printable(String(names[0]), PATH_CHARS_MAX)}`;
  }
  if (error.keyword === 'required') {
    const names = (error.params as { requiredProperties?: string[] }).requiredProperties ?? [];
    return `${field} lacks the field ${printable(String(names[0]), PATH_CHARS_MAX)}`;
  }
  if (error.keyword === 'anyOf') return `${field} must be ${alternatives(schema, error.schemaPath)}`;
  return `${field} ${error.message}${got(value, error.instancePath)}`;
}

/** The steps of a JSON pointer (RFC 6901). */
const pathOf = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));

function alternatives(schema: TSchema, schemaPath: string): string {
  let at: unknown = schema;
  for (const step of schemaPath.split('/').slice(1)) at = (at as Record<string, unknown> | undefined)?.[step];
  const branches = (at as { anyOf?: { const?: unknown; type?: string }[] } | undefined)?.anyOf ?? [];
  const names = branches.map((branch) =>
    branch.const !== undefined ? JSON.stringify(branch.const) : (branch.type ?? 'one of the described forms'),
  );
  return names.length > 0 ? `one of ${[...new Set(names)].join(', ')}` : 'one of the described forms';
}

function got(value: unknown, instancePath: string): string {
  let at: unknown = value;
  for (const step of pathOf(instancePath)) at = (at as Record<string, unknown> | undefined)?.[step];
  // Only kinds and sizes: the value itself may be a secret.
  if (at === null) return ', got null';
  if (Array.isArray(at)) return `, got a list of ${at.length}`;
  if (typeof at === 'string') return `, got a string of ${at.length} characters`;
  if (typeof at === 'number' && Number.isFinite(at)) return ', got another number';
  return typeof at === 'object' && at instanceof Uint8Array ? `, got ${at.length} bytes` : `, got ${typeof at}`;
}
