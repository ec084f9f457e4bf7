// What a transport is to the connection: one attempt to reach the server, from opening to its only end.

import type { Environment } from './environment.js'
import type { LinkEnd } from './errors.js'
import type { ServerFrame } from './types.js'

/** A frame on its way, written out once. */
export interface Outgoing {
  readonly ref: string
  readonly text: string
}

/** Callbacks are never made from inside the constructor or a method of the link, and none after `abort`, `close` or `onEnd`. */
export interface LinkOwner {
  /** The server has answered, if only by a comment or an empty poll. `cursor`: where it says we are. */
  onAlive(link: Link, cursor?: string): void
  onFrame(link: Link, frame: ServerFrame): void
  /** Exactly once, unless the link was ended from this side. */
  onEnd(link: Link, end: LinkEnd): void
}

export interface Link {
  /** In order. Frames without a reply when the link ends must be sent again on the next one. */
  send(frames: readonly Outgoing[]): void
  /** Everything up to `cursor` was handled. */
  ack(cursor: string): void
  /** The network may have changed: find out soon whether the server is still there. */
  check(): void
  /** Without a word; the session lives on at the server for its resume window. */
  abort(): void
  /** Leaves for good. True: the server was told, and ends the session. */
  close(): boolean
}

/** What links ask of the connection. */
export interface LinkContext {
  readonly environment: Environment
  readonly pollWaitSeconds: number
  readonly pollConnection: 'keep-alive' | 'close'
  /** Undefined before the first frame. */
  readonly cursor: string | undefined
  /** Undefined before the first hello. */
  readonly session: string | undefined
  readonly pingSeconds: number
  /** Query members that name the user (in dev) and the device. */
  readonly identity: Record<string, string | undefined>
  /** For the query of a WebSocket; elsewhere it goes into the headers. */
  readonly token: string | undefined
  /** `path` under the server's address with this query; `ws` in place of `http` for the path `ws`. */
  url(path: 'ws' | 'sse' | 'poll' | 'send', query: Record<string, string | undefined>): string
  /** The token, where headers can be set. */
  headers(): Record<string, string>
  /** A backoff for what a link repeats by itself; `failures`: in a row, from 1. */
  nextDelayMs(failures: number): number
}
