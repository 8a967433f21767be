// What may come from outside, at most. Sizes of real documents stand beside each number.

/** Clouds pad quotes to 8,000 bytes; the QE authentication data alone could be 64 KiB by its length field. */
export const QUOTE_BYTES_MAX = 16_384;
/** Intel's quoting enclave puts 0 or 32 bytes here; ours names a simulated platform. */
export const QE_AUTH_BYTES_MAX = 1_024;
/** Three certificates in PEM are 3,700 bytes. */
export const PEM_CHAIN_BYTES_MAX = 16_384;
/** Leaf, intermediate, root. */
export const CHAIN_CERTIFICATES_MAX = 3;
/** A PCK certificate is 1,270 bytes. */
export const CERTIFICATE_BYTES_MAX = 4_096;
/** Intel's platform CRL is 3,400 bytes with 90 entries; this has room for 25,000. */
export const CRL_BYTES_MAX = 1_048_576;
/** A TCB info is 6,300 bytes with nine levels; it grows by one level a year or so. */
export const TCB_INFO_BYTES_MAX = 131_072;
/** A QE identity is 461 bytes. */
export const QE_IDENTITY_BYTES_MAX = 32_768;
/** A whole collateral file: two CRLs as hex, two JSON texts escaped once, three chains. */
export const COLLATERAL_BYTES_MAX = 4_718_592;
/** Levels in one signed document; nine are the most seen. */
export const TCB_LEVELS_MAX = 256;
/** Advisories of one level; eleven are the most seen. */
export const ADVISORIES_MAX = 256;
/** Different PCK chains remembered: one per platform; a cluster has at most some hundreds. */
export const CACHED_CHAINS_MAX = 1_024;
/** Different collateral remembered: one per platform kind and update, and the early ones. */
export const CACHED_COLLATERALS_MAX = 32;
/** Different attestation keys remembered: one per platform, new with each reinstallation of its quoting enclave. */
export const CACHED_ATTESTATION_KEYS_MAX = 4_096;
