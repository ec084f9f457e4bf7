// A carrier is somewhere to write until it ends: a WebSocket, an SSE response, one held request. A poll is a stream whose
// write answers `spent`; nothing else in the gateway knows that polling exists.

import type { CloseReason } from './close-reason.js'
import type { Outbound } from './outbound.js'

/** A frame and the cursor that goes with it in this session. */
export interface Delivery {
  readonly outbound: Outbound
  readonly cursor: string
  /** Of the frame in its session; 0: a greeting, which has none. */
  readonly number: number
  /** Position in the inbox as of it. */
  readonly inbox: number
}

/** A frame outside the count of a session's frames. */
export function uncounted(outbound: Outbound, cursor: string): Delivery {
  return { outbound, cursor, number: 0, inbox: 0 }
}

/**
 * `more`: write on. `full`: taken; wait for `Session.drained`. `spent`: taken, and it can carry no more.
 * `gone`: not taken; nobody is there any more.
 */
export type Written = 'more' | 'full' | 'spent' | 'gone'

/** For metrics and for people: how the client is connected. */
export const TRANSPORTS = ['websocket', 'sse', 'keepalive', 'longpoll', 'bosh', 'xmpp-websocket'] as const
export type Transport = (typeof TRANSPORTS)[number]

export interface Carrier {
  readonly transport: Transport
  /** A poll's wait, in milliseconds since the epoch; Infinity for a socket. `ping` is called then at the latest. */
  readonly expiresAtMs: number
  /** Encodes and hands to the engine now; never keeps, never throws, never calls the session back from inside. */
  write(batch: readonly Delivery[]): Written
  /** A sign of life: SSE comment, WebSocket ping (`gone` if the last one was not answered), an empty poll answer (`spent`). */
  ping(): Written
  /** The session has another carrier now. Ends this one. */
  release(): void
  /** Ends it, saying why as well as the transport can. Idempotent, never throws, never calls back from inside. */
  end(reason: CloseReason): void
}
