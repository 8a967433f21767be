// Which chain ids are main networks. Users of those have something to lose, so simulated TDX is impossible there.

/** Namada numbers its main network by genesis hash: "namada.5f5de2dd1b88cba30586420"; test networks have names. */
const PATTERNS: readonly RegExp[] = [/^namada\.[0-9a-f]+$/, /main-?net/];

/** Main networks of other chains with a masp or a shielded pool, or that a Namada relayer may be pointed at. */
const NAMES: ReadonlySet<string> = new Set([
  'celestia',
  'cosmoshub-4',
  'noble-1',
  'nym-1',
  'osmosis-1',
  'penumbra-1',
  'secret-4',
  'zcash',
]);

/** Case does not matter: nobody may slip by with "Namada.5F5...". */
export function isMainnet(chainId: string): boolean {
  const id = chainId.trim().toLowerCase();
  return NAMES.has(id) || PATTERNS.some((pattern) => pattern.test(id));
}
