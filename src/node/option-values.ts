// Readers of option values: each returns the value or throws a plain Error that says what is expected.

/** Longer values are mistakes: paths end at 4,096. */
const TEXT_CHARS_MAX = 4_096;

export function readableText(text: string): string {
  if (text === '') throw new Error('expected a value, got an empty one');
  if (text.length > TEXT_CHARS_MAX) throw new Error(`expected at most ${TEXT_CHARS_MAX} characters`);
  if ([...text].some((character) => character < ' ')) throw new Error('expected no control characters');
  return text;
}

export interface HostPort {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

/** "127.0.0.1:8080", "[::1]:8080" or "localhost:8080". */
export function hostPort(text: string): HostPort {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) throw new Error('expected HOST:PORT, an IPv6 host in brackets, the port up to 65535');
  return { host: match[1] ?? match[2] ?? '', port };
}

export function url(text: string): string {
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  if (parsed?.protocol !== 'http:' && parsed?.protocol !== 'https:') throw new Error('expected an http or https URL');
  return text;
}

export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value) || value < min || value > max) {
      throw new Error(`expected a whole number from ${min} to ${max}`);
    }
    return value;
  };
}

export function oneOf<const T extends string>(...choices: readonly T[]): (text: string) => T {
  return (text) => {
    const choice = choices.find((candidate) => candidate === text);
    if (choice === undefined) throw new Error(`expected one of ${choices.join(', ')}`);
    return choice;
  };
}

/** An address or a range of addresses: "10.0.0.0/8", "::1". */
export function networkRange(text: string): string {
  const match = /^([0-9.]+|[0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(text);
  const version6 = text.includes(':');
  const bits = match?.[2] === undefined ? 0 : Number(match[2]);
  const octets = match?.[1]?.split('.') ?? [];
  const plausible = version6 || (octets.length === 4 && octets.every((octet) => octet !== '' && Number(octet) <= 255));
  if (!match || !plausible || bits > (version6 ? 128 : 32))
    throw new Error('expected an IP address or range in CIDR form');
  return text;
}

/** "operator/name", as a simulated platform is called. */
export function platformName(text: string): string {
  if (!/^[A-Za-z0-9._-]{1,64}\/[A-Za-z0-9._-]{1,64}$/.test(text)) {
    throw new Error('expected OPERATOR/NAME of letters, digits, dots, dashes and underscores');
  }
  return text;
}
