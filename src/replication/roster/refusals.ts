// Why a statement is not taken, by anybody who holds the same.

export const ROSTER_REFUSALS = {
  'other-cluster': 'it is of another cluster',
  'other-genesis': 'this cluster id has two geneses',
  'no-genesis': 'there is no genesis yet',
  'bad-founders': 'a genesis names two founders, ascending, on two platforms',
  unbacked: 'a genesis of one founder is allowed in unbacked clusters only',
  'unknown-parent': 'a statement it comes after is not known',
  'wrong-roster': 'the roster hash is not that of the roster it comes after',
  'old-roster': 'its signers do not hold what this node has held for more than 1,000 blocks',
  'bad-signature': 'a signature is not valid',
  'signed-twice': 'a signer counts once',
  'wrong-signer': 'it is signed by somebody who may not',
  'not-signed-by-itself': 'a joiner must sign its own join',
  'no-majority': 'its signers are no majority of the roster',
  'wrong-replaces': 'it must replace the member on its platform, or itself on another, and nobody else',
  'no-survivor': 'nobody of the roster is left: that is another founding',
  'join-suffices': 'those left of the roster can take in nodes one by one',
  'not-signed-by-all': 'every platform of the roster must sign, by its member or by who replaces that',
  'not-witnessed': 'this node does not see for itself that a majority of its signers are where it says',
  'already-member': 'it is on the roster as it is',
  'not-a-member': 'the place it ends is not on the roster',
  'roster-full': 'the roster has no room',
  'too-many-statements': 'this node keeps no more statements',
} as const satisfies Record<string, string>;

export type RosterRefusalReason = keyof typeof ROSTER_REFUSALS;
