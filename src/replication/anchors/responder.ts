// Answers to the requests of members. Whoever asks is proven and on the roster; that is checked here as well.

import { toHex } from '../../core/bytes.ts';
import { isKithError, unreachable } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { decodeAnchor, tagsOf } from './anchor.ts';
import type { AnchorLedger } from './ledger-port.ts';
import { ANCHORS_PER_PAGE, BODIES_MAX, INDEX_PER_PAGE, PAGE_BYTES_MAX } from './limits.ts';
import { type AnchorAnswer, type AnchorRequest, encodeBody, pageOf, type WireBody } from './messages.ts';
import type { AnchorDeps } from './ports.ts';
import { packAnchored, packRefs, unpackRefs } from './records.ts';
import type { AnchorSigner } from './signer.ts';

export interface ResponderDeps extends AnchorDeps {
  readonly ledger: AnchorLedger;
  readonly signer: AnchorSigner;
}

const MALFORMED: AnchorAnswer = { kind: 'refused', reason: 'malformed' };

export async function answerRequest(deps: ResponderDeps, from: NodeId, request: AnchorRequest): Promise<AnchorAnswer> {
  const { ledger, rosters } = deps;
  const { genesisId, members } = rosters.now();
  if (!members.some(({ nodeId }) => nodeId === from)) return { kind: 'refused', reason: 'not-a-member' };
  switch (request.kind) {
    case 'log-key': {
      const record = ledger.keyring.record();
      const mine = genesisId && toHex(genesisId) === toHex(request.genesisId);
      return record && mine ? { kind: 'log-key', ...record } : { kind: 'none' };
    }
    case 'sign':
      return deps.signer.sign(from, request);
    case 'anchors':
      return anchorsAfter(deps, request.after);
    case 'ancestor': {
      const place = ledger.line.byHash(toHex(request.hash));
      const anchor = place && (await ledger.anchorAt(place.position));
      return { kind: 'anchors', anchors: anchor ? [anchor] : [], more: false, height: deps.height() };
    }
    case 'offer': {
      // Where there is a chain, it says which anchor came first.
      if (deps.chain === undefined) await ledger.consider(decodeAnchor(request.anchor), undefined);
      return { kind: 'taken' };
    }
    case 'index':
      return indexFrom(deps, request.from);
    case 'tags': {
      const entries = await ledger.indexAt(request.position);
      const asked = new Set(tagsOf(request).map(toHex));
      const named = entries.filter(({ tag }) => asked.has(toHex(tag)));
      return { kind: 'refs', operations: packRefs(named), complete: ledger.isComplete(request.position) };
    }
    case 'operations':
      return operations(deps, request.operations);
    default:
      return unreachable(request);
  }
}

async function anchorsAfter({ ledger, height }: ResponderDeps, after: number | undefined): Promise<AnchorAnswer> {
  const { head } = ledger.line;
  const positions = after === undefined ? (head ? [head.position] : []) : [...ledger.line.positions()];
  const later = positions.filter((position) => after === undefined || position > after).sort((a, b) => a - b);
  const read: Uint8Array[] = [];
  for (const position of later.slice(0, ANCHORS_PER_PAGE)) {
    const anchor = await ledger.anchorAt(position);
    if (anchor) read.push(anchor);
  }
  const anchors = pageOf(read, ({ length }) => length + 8, ANCHORS_PER_PAGE);
  return { kind: 'anchors', anchors, more: anchors.length < later.length, height: height() };
}

async function indexFrom({ ledger }: ResponderDeps, from: number): Promise<AnchorAnswer> {
  const later = ledger.indexed().filter((position) => position >= from);
  const records: { position: number; entries: Uint8Array }[] = [];
  let size = 0;
  for (const position of later.slice(0, INDEX_PER_PAGE)) {
    const entries = packAnchored(await ledger.indexAt(position));
    size += entries.length + 32;
    if (size > PAGE_BYTES_MAX && records.length > 0) break;
    records.push({ position, entries });
  }
  return { kind: 'index', records, more: records.length < later.length };
}

async function operations({ replica }: ResponderDeps, packed: Uint8Array): Promise<AnchorAnswer> {
  let refs: ReturnType<typeof unpackRefs>;
  try {
    refs = unpackRefs(packed);
  } catch (error) {
    if (isKithError(error)) return MALFORMED;
    throw error;
  }
  const bodies: WireBody[] = [];
  const gone: number[] = [];
  for (const [i, ref] of refs.slice(0, BODIES_MAX).entries()) {
    const body = await replica.body(ref);
    if (body) bodies.push(encodeBody(body));
    else if (await replica.holds(ref)) gone.push(i);
  }
  return { kind: 'operations', bodies, gone };
}
