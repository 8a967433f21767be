// A progress bar on a terminal, silence elsewhere.

import type { Terminal } from './command.ts';

export interface ProgressBar {
  /** @param fraction 0 to 1. */
  update(fraction: number, note: string): void;
  /** Removes the bar. */
  end(): void;
}

const BAR_CHARS = 30;
const REDRAW_MS = 80;

export function createProgressBar(terminal: Terminal, label: string): ProgressBar {
  const { stderr } = terminal;
  if (!stderr.isTTY) return { update: () => undefined, end: () => undefined };
  let drawnAt = Number.NEGATIVE_INFINITY;
  return {
    update(fraction, note) {
      const now = performance.now();
      if (now - drawnAt < REDRAW_MS && fraction < 1) return;
      drawnAt = now;
      const done = Math.round(Math.min(1, Math.max(0, fraction)) * BAR_CHARS);
      const bar = '█'.repeat(done) + '░'.repeat(BAR_CHARS - done);
      const line = `${label} ${bar} ${String(Math.floor(fraction * 100)).padStart(3)} %  ${note}`;
      stderr.write(`\r\u001b[2K${line.slice(0, (stderr.columns ?? 100) - 1)}`);
    },
    end() {
      stderr.write('\r\u001b[2K');
    },
  };
}
