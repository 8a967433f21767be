// What may stand in a log line. Text comes from hostile places (errors of upstreams, names peers give themselves) and,
// by mistakes of ours, could hold the id of a registration: both are dealt with here, whatever the caller did.

import { printable } from '../../core/errors.ts';
import type { LogFields } from '../log.ts';

/** A stack of ours has some 1,500 characters; what is longer quotes something. */
const VALUE_CHARS_MAX = 2_000;
/** Names of events and fields are words of ours. */
const NAME_CHARS_MAX = 64;
/** The largest event of ours has nine. */
const FIELDS_MAX = 24;

/** Fields whose id of 32 bytes is public: which node, which cluster, whose log. Nothing else may hold one. */
const PUBLIC_ID_FIELDS: ReadonlySet<string> = new Set(['nodeId', 'clusterId', 'peer', 'writer']);
/** What every line has itself. */
const RESERVED_NAMES: ReadonlySet<string> = new Set(['time', 'level', 'event', 'simulated', '__proto__']);

/** 32 bytes take 43 characters of base64url, or 64 of hex: no shorter run can hold an id. */
const LONG_RUN = /[A-Za-z0-9_-]{43,}/g;
const PUBLIC_ID = /^[A-Za-z0-9_-]{43}$/;
/** How libp2p writes the Ed25519 key of a peer: 52 characters, of which the first eight are fixed. */
const PEER_ID = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/;
const REDACTED = '[redacted]';

export type SafeFields = Record<string, string | number | boolean>;

/** The fields of a line: bounded, on one line each, and without anything that could be the id of a registration. */
export function safeFields(fields: LogFields): SafeFields {
  const safe: SafeFields = {};
  for (const [name, value] of Object.entries(fields).slice(0, FIELDS_MAX)) {
    if (value === undefined) continue;
    const shown = safeName(name);
    const key = RESERVED_NAMES.has(shown) ? `${shown}_` : shown;
    safe[key] = typeof value === 'string' ? safeValue(name, value) : value;
  }
  return safe;
}

/** The name of an event or a field. */
export function safeName(name: string): string {
  return printable(redactIds(name), NAME_CHARS_MAX);
}

function safeValue(name: string, value: string): string {
  if (PUBLIC_ID_FIELDS.has(name) && PUBLIC_ID.test(value)) return value;
  if (value.length <= VALUE_CHARS_MAX) return printable(redactIds(oneLine(value)), VALUE_CHARS_MAX);
  // A cut could leave most of an id, too short to be known as one: the word at the cut goes too.
  const cut = value.slice(0, VALUE_CHARS_MAX).replace(/[A-Za-z0-9_-]+$/, '');
  return `${printable(redactIds(oneLine(cut)), VALUE_CHARS_MAX)}...`;
}

/** Stacks are read by people. */
const oneLine = (text: string): string => text.replaceAll(/\s*\n\s*/g, ' | ');

function redactIds(text: string): string {
  return text.replaceAll(LONG_RUN, (run) => (PEER_ID.test(run) ? run : REDACTED));
}
