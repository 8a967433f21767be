// The frame every `kith` command stands in: options, the two output forms, exit codes, one-line errors.

import { type Command, CommanderError, InvalidArgumentError } from 'commander';
import { fromHex } from '../core/bytes.ts';
import { isKithError, KithError, messageOf, printable } from '../core/errors.ts';

/** Done; refused or failed for a stated reason; wrong usage. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Where a command writes. Results go to `stdout`, everything said on the way to `stderr`. */
export interface Terminal {
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number };
  /** Aborts when the user interrupts. */
  readonly signal: AbortSignal;
}

/** What a command found: the same facts as one JSON document and as text. */
export interface Outcome {
  readonly json: unknown;
  readonly text: string;
  readonly exitCode?: ExitCode;
}

/** The user asked for something that makes no sense as asked: exit code 2. */
export function usageError(message: string, code = 'usage'): KithError {
  const error = new KithError(code, message);
  usageErrors.add(error);
  return error;
}

const usageErrors = new WeakSet<KithError>();

export interface CommandContext {
  readonly terminal: Terminal;
  /** Whether the caller asked for JSON; progress is then kept off unless stderr is a terminal. */
  readonly json: boolean;
}

/**
 * Adds a command to `parent`. `describe` declares its options and arguments; `run` receives them.
 * Arguments come as commander parsed them; `run` checks what commander cannot.
 */
export function addCommand<Options extends object>(
  parent: Command,
  nameAndArguments: string,
  summary: string,
  describe: (command: Command) => void,
  run: (options: Options, context: CommandContext, ...args: string[]) => Promise<Outcome | undefined>,
): void {
  const command = parent.command(nameAndArguments).description(summary);
  describe(command);
  command.option('--json', 'print one JSON document on stdout');
  command.action(async (...received: unknown[]) => {
    const self = received.pop() as Command;
    const options = received.pop() as Options & { json?: boolean };
    const terminal = terminalOf(self);
    const json = options.json === true;
    const outcome = await run(options, { terminal, json }, ...(received as string[]));
    if (!outcome) return;
    terminal.stdout.write(json ? `${JSON.stringify(outcome.json)}\n` : outcome.text);
    if (outcome.exitCode !== undefined) reported.set(rootOf(self), outcome.exitCode);
  });
}

const terminals = new WeakMap<Command, Terminal>();
const reported = new WeakMap<Command, ExitCode>();

function rootOf(command: Command): Command {
  return command.parent ? rootOf(command.parent) : command;
}

function terminalOf(command: Command): Terminal {
  const terminal = terminals.get(rootOf(command));
  if (!terminal) throw new KithError('internal', 'a command ran outside runProgram');
  return terminal;
}

/** An option parser for whole numbers in a range. */
export function integerOption(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value) || value < min || value > max) {
      throw new InvalidArgumentError(`expected a whole number from ${min} to ${max}`);
    }
    return value;
  };
}

/** The bytes of a hex option of exactly `length` bytes. @throws KithError, as wrong usage; the value is not quoted. */
export function hexBytes(text: string, option: string, length: number): Uint8Array {
  try {
    const bytes = fromHex(text);
    if (bytes.length === length) return bytes;
  } catch (error) {
    if (!isKithError(error)) throw error;
  }
  throw usageError(`${option} must be ${2 * length} hex digits (${length} bytes)`);
}

/** Runs `kith` with the words after its name. Never throws and never exits the process. */
export async function runProgram(build: () => Command, argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const program = build();
  terminals.set(program, terminal);
  prepare(program, terminal);
  const wantsJson = argv.includes('--json');
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return reported.get(program) ?? EXIT.done;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.done;
      // A group without one of its commands: commander shows its help as an error.
      if (error.code === 'commander.help') {
        return fail(terminal, wantsJson, 'usage', 'which command? See --help for those there are', EXIT.usage);
      }
      const message = error.message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ');
      return fail(terminal, wantsJson, 'usage', `${message} (see --help)`, EXIT.usage);
    }
    if (isKithError(error)) {
      return fail(terminal, wantsJson, error.code, error.message, usageErrors.has(error) ? EXIT.usage : EXIT.failed);
    }
    const detail = error instanceof Error && error.stack ? `\n${error.stack}` : '';
    return fail(terminal, wantsJson, 'internal', `a fault in kith itself: ${messageOf(error)}${detail}`, EXIT.failed);
  }
}

function prepare(command: Command, terminal: Terminal): void {
  command.exitOverride();
  command.configureOutput({
    writeOut: (text) => terminal.stdout.write(text),
    // Commander writes its errors here before it throws them; runProgram says them once, in one line.
    writeErr: () => undefined,
  });
  command.allowExcessArguments(false);
  for (const sub of command.commands) prepare(sub, terminal);
}

/** Longer than any message with two paths of the longest kind; what is longer quotes something hostile. */
const ERROR_CHARS_MAX = 10_000;

function fail(terminal: Terminal, json: boolean, code: string, text: string, exitCode: ExitCode): ExitCode {
  // A fault of our own brings its stack; everything else is one line, whatever names it quotes.
  const message = code === 'internal' ? text : printable(text, ERROR_CHARS_MAX);
  terminal.stderr.write(`kith: ${message}\n`);
  if (json) terminal.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
  return exitCode;
}
