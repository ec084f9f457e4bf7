// One client of the load generator as its protocol sees it: bytes in, bytes out, no socket. As little work and memory as will do,
// so that one process can be ten thousand clients.

export interface WireHost {
  send(bytes: Buffer): void
  /** The session is there; again when it has come back on a new connection. */
  opened(): void
  /** One or more whole frames as they came. Each payload in them counts as a message. */
  frames(bytes: Buffer): void
  /** Another connection takes the place of this one: `start` is called when it is there. */
  reconnect(): void
  /** The server refused or ended it, or broke the protocol. */
  ended(why: string): void
}

export interface Wire {
  /** A connection is there: the first, or another one after `reconnect` or after a cut. Then the session is resumed. */
  start(): void
  /** `bytes` are borrowed. */
  receive(bytes: Buffer): void
  /** Says that the session is over for good, where that can be said before the connection is closed. */
  leave?(): void
}

export interface WireOptions {
  readonly user: string
  /** WebSocket: an acknowledgement is sent after so many messages. */
  readonly ackEvery: number
  /** Polls and BOSH: how long the server may hold a request. */
  readonly waitSeconds: number
  /** What else this kind of wire wants to know (`WireTarget.settings`). */
  readonly settings: Readonly<Record<string, string>>
}

export const EMPTY: Buffer = Buffer.alloc(0)

/** `rest` and then `bytes`, without a copy when there is no rest. */
export function join(rest: Buffer, bytes: Buffer): Buffer {
  return rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
}

/** A copy of what is left from `at` on. */
export function keep(bytes: Buffer, at: number): Buffer {
  return at >= bytes.length ? EMPTY : Buffer.from(bytes.subarray(at))
}

/** Text between `"cursor":"` and the next quote, from `from` on; cursors need no escaping. */
export function cursorIn(bytes: Buffer, from = 0): string | undefined {
  const at = bytes.indexOf(CURSOR, from)
  if (at === -1) return undefined
  const start = at + CURSOR.length
  return bytes.toString('latin1', start, bytes.indexOf(QUOTE, start))
}

export function isHello(bytes: Buffer): boolean {
  return bytes.includes(HELLO)
}

const CURSOR = Buffer.from('"cursor":"')
const HELLO = Buffer.from('"type":"hello"')
const QUOTE = 34
