// Reads the PromQL of alerts and dashboards: as much of the language as they use, strictly, so that a slip is found
// without a Prometheus. Types of values are not checked; promtool does where there is one
// (test/unit/deploy/tools.test.ts).

export interface Selector {
  readonly metric: string;
  readonly matchers: readonly Matcher[];
}

export interface Matcher {
  readonly label: string;
  readonly operator: '=' | '!=' | '=~' | '!~';
  readonly value: string;
}

export interface Expression {
  readonly selectors: readonly Selector[];
  /** Labels of `by`, `without`, `on` and `ignoring`. */
  readonly labels: readonly string[];
  /** Labels the result may have; undefined where no aggregation says. */
  readonly grouping: readonly string[] | undefined;
}

const AGGREGATIONS = ['sum', 'max', 'min', 'count', 'avg'] as const;
/** With whether the argument is a range. */
const FUNCTIONS: Readonly<Record<string, 'range' | 'instant' | 'none'>> = {
  rate: 'range',
  increase: 'range',
  changes: 'range',
  max_over_time: 'range',
  abs: 'instant',
  timestamp: 'instant',
  time: 'none',
};
const BINARY = [
  ['or'],
  ['and', 'unless'],
  ['==', '!=', '<=', '>=', '<', '>'],
  ['+', '-'],
  ['*', '/', '%'],
] as const satisfies readonly (readonly string[])[];

const TOKEN =
  /\s*(?:([a-zA-Z_:][\w:]*)|("(?:[^"\\]|\\.)*")|(\d+(?:ms|[smhdwy])\b)|(\d+(?:\.\d+)?)|([=!]~|[=!<>]=|[-+*/%<>=(){}[\],]))/y;

interface Token {
  readonly kind: 'word' | 'string' | 'duration' | 'number' | 'sign';
  readonly text: string;
}

const KINDS = ['word', 'string', 'duration', 'number', 'sign'] as const;

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  const pattern = new RegExp(TOKEN);
  const end = text.trimEnd().length;
  while (pattern.lastIndex < end) {
    const at = pattern.lastIndex;
    const match = pattern.exec(text);
    if (!match) throw new Error(`PromQL: nothing fits at ${JSON.stringify(text.slice(at, at + 20))} of ${text}`);
    const found = KINDS.findIndex((_, i) => match[i + 1] !== undefined);
    tokens.push({ kind: KINDS[found]!, text: match[found + 1]! });
  }
  return tokens;
}

/** @throws Error what is wrong with the expression. */
export function readPromql(text: string): Expression {
  const tokens = tokensOf(text);
  const selectors: Selector[] = [];
  const labels: string[] = [];
  let grouping: readonly string[] | undefined;
  let at = 0;
  const peek = (): string | undefined => tokens[at]?.text;
  const fail = (what: string): never => {
    throw new Error(`PromQL: ${what} at token ${at} (${peek() ?? 'the end'}) of ${text}`);
  };
  const take = (expected?: string): Token => {
    const token = tokens[at];
    if (!token || (expected !== undefined && token.text !== expected)) return fail(`${expected ?? 'more'} expected`);
    at += 1;
    return token;
  };
  const takeOf = (kind: Token['kind']): string =>
    tokens[at]?.kind === kind ? take().text : fail(`a ${kind} expected`);

  function list(): string[] {
    const names: string[] = [];
    take('(');
    while (peek() !== ')') {
      names.push(takeOf('word'));
      if (peek() !== ')') take(',');
    }
    take(')');
    labels.push(...names);
    return names;
  }

  function matcher(): Matcher {
    const label = takeOf('word');
    const operator = take().text;
    if (!['=', '!=', '=~', '!~'].includes(operator)) fail('an operator of a matcher expected');
    return { label, operator: operator as Matcher['operator'], value: JSON.parse(takeOf('string')) as string };
  }

  /** @returns whether it is a range. */
  function selector(metric: string): boolean {
    const matchers: Matcher[] = [];
    if (peek() === '{') {
      take('{');
      while (peek() !== '}') {
        matchers.push(matcher());
        if (peek() !== '}') take(',');
      }
      take('}');
    }
    selectors.push({ metric, matchers });
    if (peek() !== '[') return false;
    take('[');
    takeOf('duration');
    take(']');
    return true;
  }

  function call(name: string): void {
    const wants = FUNCTIONS[name]!;
    take('(');
    if (wants !== 'none' && binary(0) !== (wants === 'range')) fail(`${name} takes another kind of argument`);
    take(')');
  }

  function aggregation(): void {
    const clause = () => {
      if (peek() !== 'by' && peek() !== 'without') return;
      const by = take().text === 'by';
      const names = list();
      if (by) grouping = names;
    };
    clause();
    take('(');
    if (binary(0)) fail('an aggregation of a range');
    take(')');
    clause();
    grouping ??= [];
  }

  function operand(): boolean {
    const token = take();
    if (token.kind === 'number') return false;
    if (token.text === '-') return operand();
    if (token.text === '(') {
      const range = binary(0);
      take(')');
      return range;
    }
    if (token.kind !== 'word') return fail('an operand expected');
    if ((AGGREGATIONS as readonly string[]).includes(token.text)) aggregation();
    else if (Object.hasOwn(FUNCTIONS, token.text)) call(token.text);
    else if (peek() === '(') return fail(`there is no function ${token.text} here`);
    else return selector(token.text);
    return false;
  }

  /** @returns whether the value is a range. */
  function binary(level: number): boolean {
    if (level === BINARY.length) return operand();
    let range = binary(level + 1);
    while (peek() !== undefined && (BINARY[level] as readonly string[]).includes(peek()!)) {
      take();
      if (peek() === 'bool') take();
      if (peek() === 'on' || peek() === 'ignoring') {
        take();
        list();
      }
      if (binary(level + 1) || range) fail('an operator between ranges');
      range = false;
    }
    return range;
  }

  if (binary(0)) fail('a range as the result');
  if (at < tokens.length) fail('the end expected');
  return { selectors, labels, grouping };
}
