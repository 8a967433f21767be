// `kith attest verify`: a quote and its collateral from files, verified as a node would, at any moment.

import type { Command } from 'commander';
import {
  type AcceptedQuote,
  attestationPolicyShape,
  COLLATERAL_BYTES_MAX,
  decide,
  explain,
  intelRoot,
  NO_COLLATERAL_SEEN,
  POLICY_CODES,
  type PolicyDecision,
  parseCollateral,
  QUOTE_BYTES_MAX,
  VERIFICATION_CODES,
  verifyQuote,
} from '../attestation/index.ts';
import { KithError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { systemClock } from '../core/system.ts';
import { addCommand, EXIT, integerOption, type Outcome } from './command.ts';
import { readBytesFile, readTextFile } from './files.ts';

interface VerifyOptions {
  quote: string;
  collateral: string;
  at?: number;
  root?: string;
  policy?: string;
  height?: number;
  allowDebug?: boolean;
}

/** A root certificate is 660 bytes. */
const ROOT_BYTES_MAX = 4_096;
const POLICY_BYTES_MAX = 1_048_576;
/** The end of the year 9999. */
const TIME_MAX = 253_402_300_799;

export function addAttestCommands(program: Command): void {
  const group = program.command('attest').description('TDX quotes, offline');
  addCommand<VerifyOptions>(
    group,
    'verify',
    'verify a TDX quote; prints the verdict as JSON and exits 0 if it is accepted, 1 if it is rejected',
    (command) =>
      command
        .requiredOption('--quote <file>', 'the quote, binary')
        .requiredOption('--collateral <file>', 'its collateral, JSON')
        .option('--at <unix>', 'verify as of this moment (unix seconds); default: now', integerOption(0, TIME_MAX))
        .option('--root <der>', "trust this root certificate instead of Intel's")
        .option('--policy <file>', 'also decide by this attestation policy, JSON')
        .option('--height <height>', 'chain height for the policy', integerOption(0, Number.MAX_SAFE_INTEGER))
        .option('--allow-debug', 'accept trust domains in debug mode')
        .addHelpText('after', `\n${codesText()}`),
    verify,
  );
}

function codesText(): string {
  const table = (codes: Record<string, string>) =>
    Object.entries(codes).map(([code, sentence]) => `  ${code.padEnd(26)}${sentence}\n`);
  return [
    'Codes of a rejection:\n',
    ...table(VERIFICATION_CODES),
    '\nCodes of a rejection by policy:\n',
    ...table(POLICY_CODES),
  ].join('');
}

async function verify(options: VerifyOptions): Promise<Outcome> {
  const quote = await readBytesFile(options.quote, 16 * QUOTE_BYTES_MAX);
  const collateralText = await readTextFile(options.collateral, COLLATERAL_BYTES_MAX);
  const anchor = options.root === undefined ? intelRoot() : await readBytesFile(options.root, ROOT_BYTES_MAX);
  const policy = options.policy === undefined ? undefined : await readPolicy(options.policy);
  const nowSeconds = options.at ?? Math.floor(systemClock.now() / 1000);

  let collateral: ReturnType<typeof parseCollateral>;
  try {
    collateral = parseCollateral(collateralText);
  } catch (error) {
    if (error instanceof KithError) return rejected(error.code, error.message);
    throw error;
  }
  const verdict = verifyQuote({ quote, collateral, anchor, nowSeconds, allowDebug: options.allowDebug === true });
  if (verdict.kind === 'refused') return rejected(verdict.code, verdict.message);
  if (!policy) return accepted(verdict);
  const decision = decide(policy, verdict, {
    nowSeconds,
    height: options.height,
    newestCollateral: NO_COLLATERAL_SEEN,
    operator: undefined,
    // Who names a development root means it.
    allowSimulated: options.root !== undefined,
  });
  return decision.kind === 'denied' ? rejected(decision.code, decision.message, decision) : accepted(verdict, decision);
}

async function readPolicy(path: string) {
  return attestationPolicyShape.parse(parseJson(await readTextFile(path, POLICY_BYTES_MAX), path), path);
}

function rejected(code: string, message: string, decision?: PolicyDecision): Outcome {
  const json = { result: 'reject', code, message, ...(decision ? { policy: decision.rules } : {}) };
  return { json, text: textOf(json, decision), exitCode: EXIT.failed };
}

function accepted(quote: AcceptedQuote, decision?: PolicyDecision): Outcome {
  const { tcbStatus, advisories, fmspc, ppid, measurements, attributes } = quote;
  const json = {
    result: 'accept',
    tcbStatus,
    advisories,
    fmspc,
    ppid,
    debug: attributes.debug,
    measurements,
    platform: quote.platform,
    pceId: quote.pceId,
    tcbDate: quote.tcbDate,
    behind: quote.behind,
    tdAttributes: attributes.raw,
    xfam: quote.xfam,
    teeTcbSvn: quote.teeTcbSvn,
    reportData: Buffer.from(quote.reportData).toString('hex'),
    evaluationNumber: quote.evaluationNumber,
    quoteVersion: quote.quoteVersion,
    bodyVersion: quote.bodyVersion,
    simulated: quote.development,
    ...(decision ? { policy: decision.rules } : {}),
  };
  return { json, text: textOf(json, decision) };
}

/** The verdict is for programs first: the same document, laid out, and what policy said in words behind it. */
function textOf(json: object, decision: PolicyDecision | undefined): string {
  if (!decision) return `${JSON.stringify(json, undefined, 2)}\n`;
  const { policy: _rules, ...facts } = json as { policy?: unknown };
  return `${JSON.stringify(facts, undefined, 2)}\n${explain(decision)}`;
}
