// What an operator (in trust's terms: the host) tells a node: flags over environment over file over defaults, each
// value with its origin. Nothing here can override the cluster configuration.

import { KithError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { hostPort, networkRange, oneOf, platformName, readableText, url, wholeNumber } from './option-values.ts';

export type ConfigurationErrorCode = 'bad-option';

/** How the text of an option becomes its value; throws a plain reason. */
type Parse<T> = (text: string) => T;

interface OptionOf<T> {
  readonly kind: 'single' | 'list' | 'switch';
  readonly parse: Parse<T>;
  readonly placeholder: string;
  readonly help: string;
}

const single = <T>(placeholder: string, parse: Parse<T>, help: string) =>
  ({ kind: 'single', parse, placeholder, help }) as const satisfies OptionOf<T>;
const many = <T>(placeholder: string, parse: Parse<T>, help: string) =>
  ({ kind: 'list', parse, placeholder, help }) as const satisfies OptionOf<T>;

/** Every option of `kith node`, by the name of its flag; the same name stands in the file, KITH_NAME in the environment. */
export const NODE_OPTIONS = {
  cluster: single('<file>', readableText, 'cluster configuration'),
  'data-dir': single('<dir>', readableText, 'where the node keeps its store'),
  http: single('<host:port>', hostPort, 'public API'),
  admin: single('<host:port>', hostPort, 'metrics and console; keep it private'),
  listen: single('<multiaddr>', readableText, 'where peers reach this node, as it binds'),
  announce: single('<multiaddr>', readableText, 'where peers reach this node, as they see it'),
  bootstrap: many('<multiaddr>', readableText, 'a member to begin with'),
  found: { kind: 'switch', parse: onOff, placeholder: '', help: 'found a new cluster with the first peer met' },
  'comet-rpc': many('<url>', url, 'CometBFT RPC of a chain node'),
  'masp-indexer': many('<url>', url, 'namada-masp-indexer'),
  'start-height': single(
    '<height>',
    wholeNumber(1, Number.MAX_SAFE_INTEGER),
    'first height to index on an empty store',
  ),
  quotes: single('<source>', oneOf('configfs', 'simulated'), 'where quotes come from: configfs or simulated'),
  'simulated-platform': single('<operator/name>', platformName, 'the platform that is simulated'),
  collateral: many('<url|dir>', readableText, "a PCCS, or a folder of collateral; default: Intel's service"),
  'log-level': single('<level>', oneOf('debug', 'info', 'warn', 'error'), 'debug, info, warn or error'),
  'rate-limit': single('<on|off>', onOff, 'limit what a client may ask for per minute'),
  'trust-proxy': single('<cidr>', networkRange, 'proxies whose X-Forwarded-For is believed'),
  'tls-cert': single('<file>', readableText, 'certificate of the public API, PEM'),
  'tls-key': single('<file>', readableText, 'its key, PEM'),
} as const;

export type OptionName = keyof typeof NODE_OPTIONS;
export const OPTION_NAMES = Object.keys(NODE_OPTIONS) as readonly OptionName[];

type ParsedOf<Name extends OptionName> = (typeof NODE_OPTIONS)[Name] extends { kind: 'list'; parse: Parse<infer T> }
  ? readonly T[]
  : (typeof NODE_OPTIONS)[Name] extends { parse: Parse<infer T> }
    ? T | undefined
    : never;

/** The values; undefined where nothing is set and there is no default. */
export type NodeConfiguration = { readonly [Name in OptionName]: ParsedOf<Name> };

export type Origin = 'flag' | 'environment' | 'file' | 'default' | 'unset';

export interface ResolvedConfiguration {
  readonly values: NodeConfiguration;
  readonly origins: Readonly<Record<OptionName, Origin>>;
  /** As they were written, for printing; `redact` them first. */
  readonly texts: Readonly<Record<OptionName, readonly string[]>>;
}

/** Values as written, in order; a switch is "on" or "off". */
export type OptionTexts = Partial<Record<OptionName, readonly string[]>>;

const DEFAULTS: OptionTexts = {
  'data-dir': ['./kith-data'],
  http: ['127.0.0.1:8080'],
  admin: ['127.0.0.1:0'],
  listen: ['/ip4/0.0.0.0/tcp/9000'],
  quotes: ['configfs'],
  'log-level': ['info'],
  'rate-limit': ['on'],
};

function onOff(text: string): boolean {
  if (text === 'on' || text === 'off') return text === 'on';
  throw new Error('expected on or off');
}

function fail(message: string): never {
  throw new KithError<ConfigurationErrorCode>('bad-option', message);
}

/** Name of an option in the environment. */
export const environmentName = (name: OptionName): string => `KITH_${name.toUpperCase().replaceAll('-', '_')}`;

/** The options a configuration file sets. @param source its name, for errors. */
export function parseConfigurationFile(text: string, source: string): OptionTexts {
  const value = parseJson(text, source);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    fail(`${source}: expected an object with the options as fields`);
  }
  const options: OptionTexts = {};
  for (const [name, given] of Object.entries(value)) {
    if (!isOption(name)) fail(`${source}: there is no option ${JSON.stringify(name.slice(0, 60))}`);
    options[name] = textsOf(given, `${source}: ${name}`, NODE_OPTIONS[name].kind);
  }
  return options;
}

const isOption = (name: string): name is OptionName => Object.hasOwn(NODE_OPTIONS, name);

function textsOf(given: unknown, where: string, kind: OptionOf<unknown>['kind']): string[] {
  if (kind === 'list' && Array.isArray(given)) return given.flatMap((item) => textsOf(item, where, 'single'));
  if (typeof given === 'boolean') return [given ? 'on' : 'off'];
  if (typeof given === 'number' || typeof given === 'string') return [String(given)];
  return fail(`${where}: expected ${kind === 'list' ? 'a list of texts' : 'a text, a number, true or false'}`);
}

/** The options set in the environment; other variables KITH_... are left alone: not all of them are of a node. */
export function readEnvironment(environment: Readonly<Record<string, string | undefined>>): OptionTexts {
  const byVariable = new Map(OPTION_NAMES.map((name) => [environmentName(name), name]));
  const options: OptionTexts = {};
  for (const [variable, text] of Object.entries(environment)) {
    const name = byVariable.get(variable);
    if (!name || text === undefined) continue;
    options[name] = NODE_OPTIONS[name].kind === 'list' ? text.split(',').filter((part) => part !== '') : [text];
  }
  return options;
}

/**
 * Merges the sources: for each option the strongest source that sets it wins as a whole.
 * @throws KithError `bad-option`: one line with the option, its origin, what is wrong and what is expected.
 */
export function resolveConfiguration(sources: {
  readonly flags: OptionTexts;
  readonly environment: OptionTexts;
  readonly file: OptionTexts;
}): ResolvedConfiguration {
  const values: Record<string, unknown> = {};
  const origins = {} as Record<OptionName, Origin>;
  const texts = {} as Record<OptionName, readonly string[]>;
  const ordered: [Origin, OptionTexts][] = [
    ['flag', sources.flags],
    ['environment', sources.environment],
    ['file', sources.file],
    ['default', DEFAULTS],
  ];
  for (const name of OPTION_NAMES) {
    const [origin, from] = ordered.find(([, options]) => options[name] !== undefined) ?? ['unset', {}];
    origins[name] = origin;
    texts[name] = from[name] ?? [];
    values[name] = parsedValue(name, origin, texts[name]);
  }
  const configuration = values as unknown as NodeConfiguration;
  checkTogether(configuration);
  return { values: configuration, origins, texts };
}

function parsedValue(name: OptionName, origin: Origin, texts: readonly string[]): unknown {
  const option: OptionOf<unknown> = NODE_OPTIONS[name];
  const label =
    origin === 'environment' ? environmentName(name) : origin === 'file' ? `${name} of the file` : `--${name}`;
  if (option.kind !== 'list' && texts.length > 1) fail(`${label} is given ${texts.length} times; it takes one value`);
  const parsed = texts.map((text) => {
    try {
      return option.parse(text);
    } catch (error) {
      return fail(`${label}: ${error instanceof Error ? error.message : String(error)}`);
    }
  });
  return option.kind === 'list' ? parsed : parsed[0];
}

function checkTogether(values: NodeConfiguration): void {
  if ((values['tls-cert'] === undefined) !== (values['tls-key'] === undefined)) {
    fail('--tls-cert and --tls-key belong together');
  }
  if (values['simulated-platform'] !== undefined && values.quotes !== 'simulated') {
    fail('--simulated-platform needs --quotes simulated');
  }
}

/** A value for printing: passwords in URLs are left out. */
export function redact(text: string): string {
  return text.replace(/^([a-z]+:\/\/)[^/@]*@/i, '$1[redacted]@');
}
