// Step 10: does a cluster believe this quote? Every rule is looked at and answered in words, so that an operator
// sees all that is wrong at once.

import { fromHex } from '../../core/bytes.ts';
import { inWords } from '../tcb-level.ts';
import { formatIsoTime } from '../time.ts';
import type { AcceptedQuote } from '../verdict.ts';
import { type NewestCollateral, olderThanSeen } from './collateral-age.ts';
import type { AttestationPolicy, MeasurementSet } from './policy.ts';

export const POLICY_CODES = {
  'policy-measurement': 'no measurement set of the policy has these measurements at this height',
  'policy-debug': 'the trust domain is in debug mode',
  'policy-migratable': 'the trust domain can be migrated to another platform',
  'policy-perfmon': 'the trust domain shares performance counters with the host',
  'policy-service-td': 'a service trust domain is bound to it',
  'policy-sept-ve': 'SEPT_VE_DISABLE is not set: the host can inject exceptions',
  'policy-attributes': 'TDATTRIBUTES are not those of the policy',
  'policy-xfam': 'XFAM has bits the policy does not allow',
  'policy-tcb-status': 'the TCB status is not accepted, or its grace has ended',
  'policy-advisory': 'an advisory on the deny-list applies to the platform',
  'policy-evaluation-number': 'the collateral is from a TCB recovery older than the policy asks for',
  'policy-collateral-age': 'the collateral is older than some seen before',
  'policy-platform': 'the platform belongs to no operator of the configuration',
  'policy-development': 'a quote of a development root in a cluster that does not allow simulation',
} as const satisfies Record<string, string>;

export type PolicyCode = keyof typeof POLICY_CODES;

export interface PolicyContext {
  /** Unix seconds: the later of the local clock and the newest block's time. */
  readonly nowSeconds: number;
  /** Chain height at which measurement sets are looked up; undefined: sets with a bound are not believed. */
  readonly height: number | undefined;
  readonly newestCollateral: NewestCollateral;
  /** The listed operator of the quote's platform, if it has one. */
  readonly operator: string | undefined;
  readonly allowSimulated: boolean;
}

export interface RuleOutcome {
  readonly code: PolicyCode;
  readonly met: boolean;
  /** What was found, in words. */
  readonly text: string;
}

export type PolicyDecision =
  | { readonly kind: 'allowed'; readonly measurementSet: string; readonly rules: readonly RuleOutcome[] }
  | {
      readonly kind: 'denied';
      /** Of the first rule not met. */
      readonly code: PolicyCode;
      readonly message: string;
      readonly rules: readonly RuleOutcome[];
    };

/** Whether the policy believes a verified quote; pure. */
export function decide(policy: AttestationPolicy, quote: AcceptedQuote, context: PolicyContext): PolicyDecision {
  const set = policy.measurements.find((candidate) => matches(candidate, quote, context.height));
  const rules = [
    ...hardRules(quote, context),
    measurementRule(policy, quote, context, set),
    ...attributeRules(policy, quote),
    ...tcbRules(policy, quote, context),
    platformRule(policy, quote, context),
  ];
  const broken = rules.find(({ met }) => !met);
  if (broken) return { kind: 'denied', code: broken.code, message: broken.text, rules };
  return { kind: 'allowed', measurementSet: set!.name, rules };
}

/** The outcome of each rule, one line each. */
export function explain(decision: PolicyDecision): string {
  const lines = decision.rules.map(({ met, code, text }) => `${met ? 'met    ' : 'not met'} ${code}: ${text}`);
  const verdict = decision.kind === 'allowed' ? `allowed as ${decision.measurementSet}` : `denied: ${decision.code}`;
  return `${[...lines, verdict].join('\n')}\n`;
}

const rule = (code: PolicyCode, met: boolean, good: string, wrong: string): RuleOutcome => ({
  code,
  met,
  text: met ? good : wrong,
});

/** What no policy can allow. */
function hardRules(quote: AcceptedQuote, context: PolicyContext): RuleOutcome[] {
  const { debug, migratable, perfmon, septVeDisable } = quote.attributes;
  const service = quote.measurements.mrservicetd;
  return [
    rule(
      'policy-development',
      !quote.development || context.allowSimulated,
      quote.development ? 'a development root, which the cluster allows' : "Intel's root",
      'a development root, and the cluster does not allow simulation',
    ),
    rule('policy-debug', !debug, 'not in debug mode', 'in debug mode: the host reads its memory'),
    rule('policy-migratable', !migratable, 'not migratable', 'migratable: a migration agent could move its memory'),
    rule('policy-perfmon', !perfmon, 'no performance monitoring', 'performance monitoring is on'),
    rule(
      'policy-service-td',
      service === undefined || /^0*$/.test(service),
      service === undefined ? 'TD 1.0: none can be bound' : 'none is bound',
      'a service trust domain is bound (MRSERVICETD)',
    ),
    rule('policy-sept-ve', septVeDisable, 'SEPT_VE_DISABLE is set', 'SEPT_VE_DISABLE is not set'),
  ];
}

function matches(set: MeasurementSet, quote: AcceptedQuote, height: number | undefined): boolean {
  return sameMeasurements(set, quote) && isCurrent(set, height);
}

function sameMeasurements(set: MeasurementSet, { measurements }: AcceptedQuote): boolean {
  const fields = ['mrtd', 'rtmr0', 'rtmr1', 'rtmr2', 'rtmr3', 'mrseam', 'mrconfigid'] as const;
  return fields.every((field) => set[field] === undefined || set[field] === measurements[field]);
}

function isCurrent(set: MeasurementSet, height: number | undefined): boolean {
  if (set.fromHeight === undefined && set.untilHeight === undefined) return true;
  if (height === undefined) return false;
  return height >= (set.fromHeight ?? 0) && height <= (set.untilHeight ?? Number.MAX_SAFE_INTEGER);
}

function measurementRule(
  policy: AttestationPolicy,
  quote: AcceptedQuote,
  { height }: PolicyContext,
  set: MeasurementSet | undefined,
): RuleOutcome {
  const known = policy.measurements.find((candidate) => sameMeasurements(candidate, quote));
  const at = height === undefined ? 'without a known height' : `at height ${height}`;
  let wrong = 'no set of the policy has these measurements';
  if (policy.measurements.length === 0) wrong = 'the policy has no measurement sets: it denies all';
  else if (known) {
    wrong = `${known.name} is believed from ${known.fromHeight ?? 0} until ${known.untilHeight ?? 'ever'}, not ${at}`;
  }
  return rule('policy-measurement', set !== undefined, `the measurements of ${set?.name}`, wrong);
}

function attributeRules(policy: AttestationPolicy, quote: AcceptedQuote): RuleOutcome[] {
  const { raw } = quote.attributes;
  const allowed = fromHex(policy.xfamAllowed);
  const subset = fromHex(quote.xfam).every((byte, i) => (byte & ~allowed[i]!) === 0);
  return [
    rule(
      'policy-attributes',
      raw === policy.tdAttributes,
      `TDATTRIBUTES ${raw}`,
      `TDATTRIBUTES ${raw}, the policy asks for ${policy.tdAttributes}`,
    ),
    rule(
      'policy-xfam',
      subset,
      `XFAM ${quote.xfam}`,
      `XFAM ${quote.xfam}, the policy allows bits of ${policy.xfamAllowed}`,
    ),
  ];
}

function tcbRules(policy: AttestationPolicy, quote: AcceptedQuote, context: PolicyContext): RuleOutcome[] {
  const { tcbStatus, evaluationNumber } = quote;
  const grace = policy.grace.find(({ status }) => status === tcbStatus);
  const within = grace !== undefined && context.nowSeconds <= grace.until;
  const old = quote.behind.length > 0 ? `: ${inWords(quote.behind)}` : '';
  const denied = quote.advisories.filter((advisory) => policy.advisoriesDenied.includes(advisory));
  const stale = olderThanSeen(quote.collateral, context.newestCollateral);
  return [
    rule(
      'policy-tcb-status',
      tcbStatus === 'UpToDate' || within,
      tcbStatus === 'UpToDate' ? 'UpToDate' : `${tcbStatus}, accepted until ${grace && formatIsoTime(grace.until)}`,
      grace
        ? `${tcbStatus} was accepted until ${formatIsoTime(grace.until)}${old}`
        : `${tcbStatus} is not accepted${old}`,
    ),
    rule(
      'policy-advisory',
      denied.length === 0,
      'no advisory of the deny-list applies',
      `the policy denies ${denied.join(', ')}`,
    ),
    rule(
      'policy-evaluation-number',
      evaluationNumber >= policy.evaluationNumberMin,
      `TCB evaluation number ${evaluationNumber}`,
      `TCB evaluation number ${evaluationNumber}, the policy asks for ${policy.evaluationNumberMin}`,
    ),
    rule('policy-collateral-age', stale === undefined, 'no newer collateral was seen', stale ?? ''),
  ];
}

function platformRule(policy: AttestationPolicy, quote: AcceptedQuote, context: PolicyContext): RuleOutcome {
  const { operator } = context;
  return rule(
    'policy-platform',
    policy.platforms === 'any' || operator !== undefined,
    operator === undefined ? 'a platform of no listed operator' : `a platform of ${operator}`,
    `the platform ${quote.platform} belongs to no operator of the configuration`,
  );
}
