// What applications see: frames, states, events and options of the client.

import type { Environment } from './environment.js'
import type { HoldwireError } from './errors.js'

export type TransportName = 'websocket' | 'sse' | 'poll'
export type PresenceStatus = 'online' | 'away' | 'dnd' | 'offline'

/** Opaque: "up to and including the frame that carried it". Missing in the replies that `POST /send` answers. */
interface Positioned {
  readonly cursor?: string
}

export interface HelloFrame extends Positioned {
  readonly type: 'hello'
  readonly session: string
  readonly user: string
  readonly device?: string
  /** A cursor was given and everything after it follows. */
  readonly recovered: boolean
  readonly pingSeconds: number
  readonly resumeSeconds: number
}

export interface MessageFrame extends Positioned {
  readonly type: 'message'
  readonly id: string
  /** Missing: a backend that named no sender. */
  readonly from?: string
  /** Missing: addressed to the user. */
  readonly topic?: string
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly data: unknown
  readonly ephemeral?: boolean
}

export interface PresenceFrame extends Positioned {
  readonly type: 'presence'
  readonly user: string
  readonly status: PresenceStatus
  readonly note?: string
}

/** One contact, as `roster.get()` lists it. */
export interface RosterItem {
  readonly user: string
  readonly name?: string
  readonly groups?: readonly string[]
  readonly subscription: 'none' | 'to' | 'from' | 'both'
  /** `subscribe`: asked for, not answered yet. */
  readonly ask?: string
}

export interface RosterFrame extends Positioned, RosterItem {
  readonly type: 'roster'
  /** `request`: the user asks to see your presence; answer with `roster.approve` or `roster.deny`. */
  readonly op: 'request' | 'set' | 'remove'
}

export interface ReplyFrame extends Positioned {
  readonly type: 'reply'
  readonly ref: string
  readonly ok: boolean
  readonly result?: unknown
  readonly error?: { readonly code: string; readonly message: string }
}

/** Some messages can't be recovered any more: fetch the state from your backend. */
export interface GapFrame extends Positioned {
  readonly type: 'gap'
  readonly reason: string
}

export interface DrainFrame extends Positioned {
  readonly type: 'drain'
  readonly retryAfterMs: number
}

export interface CloseFrame extends Positioned {
  readonly type: 'close'
  readonly code: string
  readonly reason: string
  readonly retryAfterMs?: number
}

export type ServerFrame = HelloFrame | MessageFrame | PresenceFrame | RosterFrame | ReplyFrame | GapFrame | DrainFrame | CloseFrame

export interface MessageOptions {
  /** Idempotency: unique per sender and recipient. Default: one is made, so that a repeat is delivered once. */
  readonly id?: string
  readonly ttlSeconds?: number
  readonly ephemeral?: boolean
}

export interface HistoryQuery {
  /** Messages after it, oldest first. */
  readonly cursor?: string
  /** Or the last ones before it. With neither: the newest. */
  readonly before?: string
  readonly limit?: number
}

export interface HistoryPage {
  /** Oldest first. */
  readonly messages: readonly MessageFrame[]
  readonly cursor: string
}

/** What `send` takes; `ref` is the client's business. */
export type ClientFrame =
  | ({ readonly type: 'message'; readonly to: string; readonly data: unknown } & MessageOptions)
  | ({ readonly type: 'message'; readonly topic: string; readonly data: unknown } & MessageOptions)
  | { readonly type: 'presence'; readonly status: PresenceStatus; readonly note?: string }
  | {
      readonly type: 'roster'
      readonly op: 'get' | 'set' | 'remove' | 'subscribe' | 'approve' | 'deny'
      readonly user?: string
      readonly name?: string
      readonly groups?: readonly string[]
    }
  | { readonly type: 'subscribe' | 'unsubscribe'; readonly topic: string }
  | ({ readonly type: 'history' } & HistoryQuery)
  | { readonly type: 'auth'; readonly token: string }
  | { readonly type: 'ping' }

/** Why a connection ended, or is waiting: `code` is a word of the server's error table, or one of the client's own (`network`, `token`). */
export interface EndReason {
  readonly code: string
  readonly reason: string
}

export type State =
  /** `connect()` has returned; the first attempt begins in the next microtask. Register handlers now. */
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting'; readonly transport: TransportName }
  | {
      readonly kind: 'open'
      readonly transport: TransportName
      readonly user: string | undefined
      readonly device: string | undefined
      /** The server continues where this client stopped: nothing is missing. */
      readonly recovered: boolean
    }
  /** The next attempt begins at `until` (milliseconds since the epoch). */
  | { readonly kind: 'waiting'; readonly until: number; readonly reason: EndReason }
  /** For good: `close()` was called (code `client`), or the server said a word that trying again can't change. */
  | { readonly kind: 'closed'; readonly reason: EndReason }

export interface Events {
  state: State
  /** Each message exactly once, in order. It counts as handled when the handlers have returned. */
  message: MessageFrame
  presence: PresenceFrame
  roster: RosterFrame
  gap: GapFrame
  /** What went wrong beside the connection: `handler` (one of yours threw), `token` (the token function failed), `frame` (not understood). */
  error: HoldwireError
}

export interface SendOptions {
  /** Rejects with `timeout` when no reply came until then. Infinity: never. Default: the connection's `sendTimeoutMs`. */
  readonly timeoutMs?: number
}

export interface ConnectOptions {
  /** Where the server is: `https://push.example.com`, with a path if it lives below one; in a page it may be relative. */
  readonly url: string
  /** Names the user where the server runs with `auth: dev`. */
  readonly user?: string
  /** A JWT, or a function that gets one; the function is called again before the token expires. */
  readonly token?: string | (() => string | Promise<string>)
  /** Stable id of this device (at most 64 characters): the delivery position is kept for each. */
  readonly device?: string
  /** In order of preference. Default: websocket, sse, poll. */
  readonly transports?: readonly TransportName[]
  /** Where to go on: what `connection.cursor` was. */
  readonly cursor?: string
  /** How long a reply to `send` may take, over reconnects too. Default 30,000. */
  readonly sendTimeoutMs?: number
  /** Frames that wait for their reply at most; more are refused with `queue_full`. Default 1,000. */
  readonly maxPending?: number
  /** Server's hold of a poll. Default 25. */
  readonly pollWaitSeconds?: number
  /** `close`: each poll ends its TCP connection (the classic long-poll). Default `keep-alive`. */
  readonly pollConnection?: 'keep-alive' | 'close'
  /** An attempt without a sign of life for this long has failed. Default 10,000. */
  readonly connectTimeoutMs?: number
  /** Waits are drawn evenly from 0 to min(maxMs, baseMs × 2ⁿ). Default 500 and 30,000. */
  readonly backoff?: { readonly baseMs: number; readonly maxMs: number }
  /** Failures of one transport in a row before the next one is tried. Default 2. */
  readonly failuresBeforeFallback?: number
  /** On a fallback transport a better one is tried after this long, then half as often each time it fails. Default 300,000. */
  readonly upgradeAfterMs?: number
  /** What the client takes from its surroundings; default: globalThis. */
  readonly environment?: Partial<Environment>
}
