// Reads deploy/prometheus/alerts.yml: the few forms of YAML it is written in, and nothing else.

export interface AlertRule {
  readonly group: string;
  readonly alert: string;
  readonly expr: string;
  readonly for: string | undefined;
  readonly severity: string;
  readonly summary: string;
  readonly runbook: string;
}

/** @throws Error with the line that is in another form. */
export function readAlertRules(text: string): AlertRule[] {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  let at = 0;
  const take = (pattern: RegExp): string => {
    const match = pattern.exec(lines[at] ?? '');
    if (!match) throw new Error(`${pattern} expected, found ${lines[at] ?? 'the end'}`);
    at += 1;
    return match[1] ?? '';
  };
  const takeWhile = (pattern: RegExp): string[] => {
    const taken: string[] = [];
    while (pattern.test(lines[at] ?? '')) taken.push(take(pattern));
    return taken;
  };
  const rules: AlertRule[] = [];
  take(/^groups:$/);
  while (at < lines.length) {
    const group = take(/^ {2}- name: ([a-z-]+)$/);
    take(/^ {4}rules:$/);
    while (/^ {6}- alert: /.test(lines[at] ?? '')) {
      const alert = take(/^ {6}- alert: ([A-Za-z]+)$/);
      take(/^ {8}expr: >-$/);
      const expr = takeWhile(/^ {10}(\S.*)$/).join(' ');
      const [duration] = takeWhile(/^ {8}for: (\d+[mhd])$/);
      const severity = take(/^ {8}labels: \{ severity: (critical|warning) \}$/);
      take(/^ {8}annotations:$/);
      const summary = take(/^ {10}summary: "([^"]+)"$/);
      const runbook = take(/^ {10}runbook: (\S+)$/);
      rules.push({ group, alert, expr, for: duration, severity, summary, runbook });
    }
  }
  return rules;
}
