// Certificates that users show to a node which does not know their registration: who names holders by receipts that
// verify gets the registration fetched from them. Public data; nothing in it is believed beyond that.

import { fromBase64Url } from '../core/bytes.ts';
import { type Certificate, confirmationBy, decodeCertificate } from '../core/certificate.ts';
import { isKithError, KithError } from '../core/errors.ts';
import type { ClusterId, NodeId, RegId } from '../core/ids.ts';
import type { RosterEntry } from '../core/roster.ts';
import type { OperationRef } from '../replication/index.ts';
import type { CertificateAnswer } from './service.ts';

export interface CertificatesDeps {
  readonly clusterId: ClusterId;
  readonly roster: () => readonly RosterEntry[];
  /** Whether the registration is known here, live or not. */
  readonly knows: (id: RegId) => boolean;
  /**
   * Puts a registration on the list of what is fetched from others.
   * @param holders members that gave receipts, the one the user sent it to first.
   * @returns false if the list is full.
   */
  readonly want: (ref: OperationRef, holders: readonly NodeId[]) => boolean;
}

/** @throws KithError `bad-certificate`, `other-cluster`, `wrong-registration`, `no-holder`, `wants-full`. */
export function presentCertificate(deps: CertificatesDeps, id: RegId, encoded: string): CertificateAnswer {
  const { clusterId, regId, opId, receipts } = read(encoded);
  if (clusterId !== deps.clusterId) throw new KithError('other-cluster', 'the certificate is of another cluster');
  if (regId !== id) throw new KithError('wrong-registration', 'the certificate is for another registration');
  // Known here: no signature needs to be looked at.
  if (deps.knows(id)) return { id, status: 'known' };
  const { nodeIds } = confirmationBy(receipts, { clusterId, opId }, deps.roster(), 0);
  if (nodeIds.length === 0) {
    throw new KithError('no-holder', 'no receipt in the certificate is by a member of the roster for this operation');
  }
  if (!deps.want({ opId, regId }, nodeIds)) {
    throw new KithError('wants-full', 'too many registrations are being fetched from other members');
  }
  return { id, status: 'wanted' };
}

function read(encoded: string): Certificate {
  try {
    return decodeCertificate(fromBase64Url(encoded));
  } catch (cause) {
    if (!isKithError(cause)) throw cause;
    throw new KithError('bad-certificate', cause.message, { cause });
  }
}
