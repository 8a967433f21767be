// Collateral from a folder of files as `formatCollateral` writes them: for machines without a network, and for tests.

import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { KithError, messageOf } from '../../core/errors.ts';
import { COLLATERAL_BYTES_MAX } from '../limits.ts';
import { type Collateral, parseCollateral } from '../quote-collateral.ts';
import { parseTcbInfo, type TcbInfo } from '../tcb-documents.ts';
import type { CollateralErrorCode, CollateralSource } from './source.ts';

/** Kinds of platforms times a few updates each. */
const FILES_MAX = 256;

/**
 * Reads every `*.json` of `folder` at each request and answers with the one for the kind of platform whose TCB info
 * is the newest. Early updates are found in a sub-folder `early`.
 */
export function createDirectoryCollateral(folder: string): CollateralSource {
  return {
    name: folder,
    async fetch({ fmspc, update }, { signal }): Promise<Collateral | undefined> {
      const place = update === 'early' ? join(folder, 'early') : folder;
      let best: { collateral: Collateral; issuedAt: number } | undefined;
      for (const path of await filesOf(place)) {
        signal.throwIfAborted();
        const collateral = await readCollateral(path);
        const info = collateral && readInfo(collateral);
        if (!collateral || !info || info.fmspc.toUpperCase() !== fmspc) continue;
        if (!best || info.issuedAt > best.issuedAt) best = { collateral, issuedAt: info.issuedAt };
      }
      return best?.collateral;
    },
  };
}

async function filesOf(folder: string): Promise<string[]> {
  try {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
    return names.slice(0, FILES_MAX).map((name) => join(folder, name));
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return [];
    throw new KithError<CollateralErrorCode>('collateral-unavailable', `${folder}: ${messageOf(cause)}`, { cause });
  }
}

/** undefined for a file that holds none: one bad file must not hide the good ones. */
async function readCollateral(path: string): Promise<Collateral | undefined> {
  try {
    if ((await stat(path)).size > COLLATERAL_BYTES_MAX) return undefined;
    return parseCollateral(await readFile(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** For choosing among files only; nothing is verified here. */
function readInfo(collateral: Collateral): TcbInfo | undefined {
  try {
    return parseTcbInfo(collateral.tcbInfo);
  } catch {
    return undefined;
  }
}
