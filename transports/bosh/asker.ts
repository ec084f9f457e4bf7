// Where the answer of a BOSH request goes: a client of this node, or another node that relays for its own.

export interface BoshAnswer {
  /** 200, but for errors told to clients of old (XEP-0124 §17.1). */
  readonly status: number
  readonly contentType: string
  readonly body: Uint8Array
  /** The client's next request should come over another connection, to another node. */
  readonly close: boolean
}

export interface Asker {
  /** Nobody waits for the answer any more. */
  readonly gone: boolean
  /** Who is told that the client has gone before it was answered. Set by whoever keeps the asker. */
  holder: AskerHolder | undefined
  /** Once. `drop`: the connection is closed without a word. Does nothing when the client has gone. */
  settle(answer: BoshAnswer | 'drop'): void
}

export interface AskerHolder {
  askerGone(asker: Asker): void
}

/** How a request came. */
export interface Origin {
  readonly ip: string
  /** Over TLS, as far as is known. */
  readonly secure: boolean
}
