// Every reason for which an operation is not taken. Reasons are stable: HTTP maps them to statuses, clients match them.

export type RefusalReason =
  /** Signed for another cluster. */
  | 'other-cluster'
  /** The registration id is not the hash of inner and public key. */
  | 'wrong-registration-id'
  /** The signature is not by the public key over these fields. */
  | 'wrong-signature'
  /** Signed at a height the cluster has not reached. The only refusal that passes with time. */
  | 'version-in-future'
  /** Signed longer ago than one lifetime. */
  | 'version-too-old'
  /** Expires at or before the height it is signed or received at. */
  | 'expiry-in-past'
  /** Expires more than one lifetime after it is signed. */
  | 'expiry-too-far'
  /** A revoke must be remembered for exactly one lifetime. */
  | 'revoke-expiry'
  /** A renewal reaches further than one lifetime after its register: register again instead. */
  | 'expiry-beyond-register'
  /** The birthday is above the height of signing. */
  | 'birthday-beyond-tip'
  /** n is outside 1 to 20. */
  | 'n-out-of-range'
  /** The keys of the payload are no canonical detection key. */
  | 'bad-keys'
  /** The payload is not the one that was signed. */
  | 'wrong-payload'
  /** A register without payload. */
  | 'payload-missing'
  /** A payload with something that is no register. */
  | 'payload-unexpected'
  /** Renew or revoke of something not registered here. */
  | 'unknown-registration'
  /** Renewal of a revoked registration. */
  | 'revoked'
  /** Renewal of an expired registration. */
  | 'expired'
  /** A newer operation with other content is in force. */
  | 'superseded';

/** An expected outcome, hence a value. `detail` is one line: what was wrong and what is expected. */
export interface Refusal {
  readonly kind: 'refused';
  readonly reason: RefusalReason;
  readonly detail: string;
}

export const refuse = (reason: RefusalReason, detail: string): Refusal => ({ kind: 'refused', reason, detail });

/** Whether the same operation may be taken later, so that whoever brought it should keep it. */
export const passesWithTime = (reason: RefusalReason): boolean => reason === 'version-in-future';
