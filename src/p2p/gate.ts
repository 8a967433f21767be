// The door for strangers: how many connections may be open that have not attested yet, and how fast one host may
// open them. What it remembers is bounded.

import type { Clock } from '../core/ports.ts';
import { HANDSHAKE_BURST, HANDSHAKE_INTERVAL_MS, type MeshLimits } from './limits.ts';

/** Hosts remembered; a flood from more of them shares one allowance. */
const HOSTS_MAX = 1_024;
const OTHERS = 'others';

export interface Gate {
  /** Lets one stranger in, or says why not. Call `leave` when it has attested or is gone. */
  enter(host: string): { kind: 'in'; leave(): void } | { kind: 'refused'; message: string };
}

interface Host {
  strangers: number;
  tokens: number;
  refilledMs: number;
}

export function createGate(
  deps: { clock: Clock },
  limits: Pick<MeshLimits, 'strangersMax' | 'strangersPerHostMax'>,
): Gate {
  const { clock } = deps;
  const hosts = new Map<string, Host>();
  let strangers = 0;

  function refill(host: Host): Host {
    const gained = Math.floor((clock.monotonic() - host.refilledMs) / HANDSHAKE_INTERVAL_MS);
    host.tokens = Math.min(HANDSHAKE_BURST, host.tokens + gained);
    host.refilledMs += gained * HANDSHAKE_INTERVAL_MS;
    return host;
  }

  function forgetIdle(): void {
    for (const [name, host] of hosts) {
      if (host.strangers === 0 && refill(host).tokens === HANDSHAKE_BURST) hosts.delete(name);
    }
  }

  function hostOf(name: string): Host {
    if (!hosts.has(name) && hosts.size >= HOSTS_MAX) forgetIdle();
    const key = hosts.has(name) || hosts.size < HOSTS_MAX ? name : OTHERS;
    const known = hosts.get(key);
    if (known) return refill(known);
    const host = { strangers: 0, tokens: HANDSHAKE_BURST, refilledMs: clock.monotonic() };
    hosts.set(key, host);
    return host;
  }

  return {
    enter(name) {
      const host = hostOf(name);
      if (host.tokens === 0) return { kind: 'refused', message: 'too many handshakes from this host' };
      if (strangers >= limits.strangersMax) return { kind: 'refused', message: 'too many peers attest at the moment' };
      if (host.strangers >= limits.strangersPerHostMax) {
        return { kind: 'refused', message: 'too many peers of this host attest at the moment' };
      }
      host.tokens--;
      host.strangers++;
      strangers++;
      let inside = true;
      const leave = () => {
        if (!inside) return;
        inside = false;
        host.strangers--;
        strangers--;
      };
      return { kind: 'in', leave };
    },
  };
}
