import { describe, expect, it } from 'vitest';
import { createProgressBar } from '../../../src/cli/progress.ts';
import { formatTable } from '../../../src/cli/table.ts';
import { createFakeTerminal } from '../../support/terminal.ts';

describe('a progress bar', () => {
  it.each([{}, { isTTY: false }])('is silent where stderr is no terminal: %j', (kind) => {
    const terminal = createFakeTerminal(kind);
    const bar = createProgressBar(terminal, 'detecting');
    bar.update(0.5, 'half');
    bar.update(1, 'done');
    bar.end();
    expect(terminal.out() + terminal.err()).toBe('');
  });

  it('is drawn on stderr of a terminal, in one line of its width, and removed at the end', () => {
    const terminal = createFakeTerminal({ isTTY: true, columns: 40 });
    const bar = createProgressBar(terminal, 'detecting');
    bar.update(1, 'height 1031830 and much more than fits');
    const drawn = terminal.err();
    expect(drawn).toContain('detecting █');
    expect(drawn).not.toContain('\n');
    expect(drawn.replace('\r\u001b[2K', '').length).toBeLessThan(40);
    bar.end();
    expect(terminal.err().slice(drawn.length)).toBe('\r\u001b[2K');
    expect(terminal.out()).toBe('');
  });

  it.each([-1, 2, Number.NaN])('draws a fraction of %d without failing', (fraction) => {
    const terminal = createFakeTerminal({ isTTY: true });
    createProgressBar(terminal, 'x').update(fraction, '');
    expect(terminal.err()).toContain('%');
  });
});

describe('a table', () => {
  it('has columns as wide as they must be, numbers to the right, and no trailing blanks', () => {
    const table = formatTable(
      ['name', 'n', 'note'],
      [
        ['a', '1', ''],
        ['longer', '-100', 'x'],
      ],
    );
    expect(table).toBe(['name    n     note', '──────  ────  ────', 'a          1', 'longer  -100  x', ''].join('\n'));
  });

  it('without rows is its header', () => {
    expect(formatTable(['a', 'bc'], [])).toBe('a  bc\n─  ──\n');
  });
});
