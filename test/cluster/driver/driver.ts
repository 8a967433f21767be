// What the scenarios of test/cluster need of machines: nodes that start, die, are cut off and lose disks, and a chain.
// Two implementations: real containers, and processes of this machine. Nobody waits here for anything but the act
// itself.

/** Which build a machine runs: that of the sources, or one of another measurement; `lying` claims the first. */
export type Build = 'now' | 'next' | 'lying';

export interface MachineOptions {
  /** As `--simulated-platform` says it: operator/name. */
  readonly platform: string;
  /** The folder of its disk, if it is not one of its own. */
  readonly disk?: string;
  readonly found?: boolean;
  /** Other machines it is told of. */
  readonly bootstrap: readonly string[];
}

export interface CommandResult {
  readonly exitCode: number | null;
  readonly out: string;
  readonly err: string;
}

/** The end of a machine's process: its exit code, null if it was killed. */
export type Ended = number | null;

export interface Driver {
  readonly kind: 'containers' | 'processes';
  /** Of this machine: where the keys of the cluster's holders are. No node sees it. */
  readonly keysFolder: string;
  /** Of this machine: the configuration that nodes are started with. */
  readonly clusterPath: string;
  readonly chainUrl: string;
  /** Runs `kith` where it sees the keys as the folder `keysHere`. */
  kith(build: Build, ...words: string[]): Promise<CommandResult>;
  readonly keysHere: string;

  /** A machine with ports and a disk, not started. */
  add(name: string, options: MachineOptions): Promise<void>;
  setBuild(name: string, build: Build): void;
  start(name: string): Promise<void>;
  /** At once, as by a loss of power. */
  kill(name: string): Promise<void>;
  /** As an operator does. */
  stop(name: string): Promise<Ended>;
  /** When the process ends by itself. */
  ended(name: string): Promise<Ended>;
  pause(name: string): Promise<void>;
  resume(name: string): Promise<void>;
  /** From all other machines; this test still reaches it. */
  disconnect(name: string): Promise<void>;
  connect(name: string): Promise<void>;
  /** A command inside the machine, as its operator would give it. */
  run(name: string, ...words: string[]): Promise<CommandResult>;

  url(name: string): string;
  adminUrl(name: string): string;
  /** Everything this machine has said in all its boots. */
  log(name: string): Promise<string>;
  /** Of this machine: the folder with its disk. */
  disk(name: string): string;
  /** Replaces the contents of one folder by those of another, owners included. */
  copyFolder(from: string, to: string): Promise<void>;
  emptyFolder(folder: string): Promise<void>;

  startChain(replayPath: string, ...words: string[]): Promise<void>;
  /** It answers nobody any more, and later goes on. */
  pauseChain(): Promise<void>;
  resumeChain(): Promise<void>;
  /** What went between machines so far; undefined where nothing can be captured. */
  traffic(): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
}

/** For all that a busy machine may take over one act. */
export const ACT_MS = 120_000;

/** How the build `lying` is made: whoever it looks at has a measurement it believes. */
export const LYING = {
  file: 'dist/attestation/policy/decide.js',
  pattern: 's/policy.measurements.find(.*;$/policy.measurements[0];/',
  result: 'policy.measurements\\[0\\];',
} as const;
