// What goes between the engine's thread and a worker. Keys are not in it: they stay in the shared memory of their
// tiles, which a worker reads once per unit.

/** Rows of one tile. */
export interface RowsInTile {
  readonly memory: SharedArrayBuffer;
  readonly rowBytes: number;
  readonly rows: Uint16Array;
}

export interface WorkRequest {
  readonly id: number;
  /** 111 bytes each. */
  readonly flags: Uint8Array;
  readonly tiles: readonly RowsInTile[];
}

export type WorkerMessage =
  /** Loaded and warmed up. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly id: number; readonly undecodable: Uint8Array; readonly matches: Uint8Array }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string };

export interface WorkerStart {
  readonly module: WebAssembly.Module;
}
