// Quotes and collateral of a simulated platform, behind the ports that the real ones have.

import type { Clock } from '../../core/ports.ts';
import type { CollateralSource } from '../collateral/source.ts';
import type { MeasurementSet } from '../policy/policy.ts';
import { createConfigfsSource } from '../providers/configfs.ts';
import type { QuoteSource } from '../providers/quote-source.ts';
import type { DevelopmentPki, SimulatedCollateralOptions, SimulatedPlatform } from './pki.ts';
import type { QuoteLayout } from './quote.ts';
import { SIMULATED_FMSPC } from './tcb.ts';
import { createSimulatedTsm } from './tsm.ts';

const ROOT = '/simulated/tsm/report';

/** Quotes of `platform` for a domain with these measurements, through the provider code of the real ones. */
export function createSimulatedSource(
  deps: { clock: Clock },
  platform: SimulatedPlatform,
  measurements: MeasurementSet,
  layout?: QuoteLayout,
): QuoteSource {
  const files = createSimulatedTsm(platform, measurements, ROOT, layout);
  return createConfigfsSource({ files, clock: deps.clock }, { root: ROOT, name: 'simulated' }, 'simulated');
}

/** Collateral of a development PKI. `options` are asked at each request, so that a test can make Intel move. */
export function createSimulatedCollateral(
  pki: DevelopmentPki,
  options: (update: 'standard' | 'early') => SimulatedCollateralOptions = () => ({}),
): CollateralSource {
  return {
    name: 'simulated',
    fetch: async ({ fmspc, update }) =>
      fmspc === SIMULATED_FMSPC ? pki.collateral({ fmspc, ...options(update) }) : undefined,
  };
}
