// The record of a node's own secrets in its sealed store.

import { bytes, closed, type Static, shape } from '../core/schema.ts';
import type { SealedStore, StoreWrite } from './store/index.ts';

export const IDENTITY_SECRET_BYTES = 32;
const schema = closed({ nodeSecret: bytes(IDENTITY_SECRET_BYTES), logKey: bytes(IDENTITY_SECRET_BYTES) });
const identityShape = shape(schema);
const IDENTITY_KEY = new Uint8Array(0);

const identityOf = (store: SealedStore) => store.namespace('identity', identityShape);

/** Whoever reads it wipes it. */
export const readIdentity = (store: SealedStore): Promise<Static<typeof schema> | undefined> =>
  identityOf(store).get(IDENTITY_KEY);

export const writeIdentity = (store: SealedStore, identity: Static<typeof schema>): StoreWrite =>
  identityOf(store).put(IDENTITY_KEY, identity);
