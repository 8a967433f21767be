// Custody: attested members keep one another's sealing keys. The door of this module; docs/CUSTODY.md is the protocol.

export { type KeyserverErrorCode, keyserverError } from './errors.ts';
export {
  isSharingShape,
  type Placement,
  type PlacementQuestion,
  type PlacementWarning,
  placeShares,
  type SharingShape,
  sharingShape,
} from './placement.ts';
export { combineShares, SEALING_KEY_BYTES, type Share, splitKey } from './shares.ts';
