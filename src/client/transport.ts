// What the client needs of the network: one request, one answer, bounded.

export interface ClientRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  /** JSON. */
  readonly body?: string;
}

export interface ClientResponse {
  readonly status: number;
  readonly body: string;
  /** Seconds after which the node invites to try again. */
  readonly retryAfterSeconds: number | undefined;
}

export interface ClientTransport {
  /**
   * @param options.bytesMax longest body accepted.
   * @throws KithError `node-unreachable`, `bad-answer` (too long), or the signal's reason.
   */
  request(request: ClientRequest, options: { signal: AbortSignal; bytesMax: number }): Promise<ClientResponse>;
}
