// Requests and answers as they cross the port to an upstream. Whoever implements it does the network and nothing else.

export interface WireRequest {
  readonly method: 'GET' | 'POST';
  /** Path and query, from the root. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export interface WireResponse {
  readonly status: number;
  readonly body: Uint8Array;
}

/** One upstream. */
export interface Transport {
  /** For errors and logs: a URL without credentials. */
  readonly name: string;
  /**
   * @param options.bytesMax a longer body must not be read.
   * @throws KithError `upstream-unreachable` or `answer-too-large`, or the signal's reason.
   */
  request(request: WireRequest, options: { signal: AbortSignal; bytesMax: number }): Promise<WireResponse>;
}
