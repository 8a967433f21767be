// What one client may ask for, and what the server holds for all of them.

/** Per client and minute. Look-ups are cheap; a wallet that polls each block needs ten. */
export const LOOK_UPS_PER_MINUTE = 600;
/** A registration costs a durable write on several nodes and a place in every detection from then on. */
export const REGISTRATIONS_PER_MINUTE = 60;
/** A certificate makes the node verify up to 32 signatures and ask other members; a client shows it once. */
export const CERTIFICATES_PER_MINUTE = 30;
/** The most holders there can be enter a share in a minute; guessing one is hopeless at any rate. */
export const RECOVERY_SHARES_PER_MINUTE = 60;
/** Costs a signature check at most; an operator sends one for each machine that is lost. */
export const LEAVES_PER_MINUTE = 10;
/** A quote is shared by all who wait, but a client needs one per session only. */
export const ATTESTATIONS_PER_MINUTE = 30;

/** Connections at once: each costs some 50 KB; beyond it new ones are refused by the kernel's accept queue. */
export const CONNECTIONS_MAX = 4_096;
/** A request line and headers take no longer on any link worth serving; slower ones hold a socket for nothing. */
export const HEADERS_TIMEOUT_MS = 10_000;
/** A request with its body, from the first byte. */
export const REQUEST_TIMEOUT_MS = 20_000;
/** An idle connection that is kept for the next request; above the long poll. */
export const KEEP_ALIVE_TIMEOUT_MS = 72_000;
/** Clients counted for rate limits at once: about 200 bytes each. */
export const RATE_CLIENTS_MAX = 50_000;

/** Connections of the admin listener at once: a Prometheus or two, some consoles. */
export const ADMIN_CONNECTIONS_MAX = 64;
