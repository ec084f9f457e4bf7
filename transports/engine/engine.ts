// What an HTTP engine is: sockets in, requests and messages out, in terms that node:http + ws and uWebSockets.js share.
//
// Promised by every engine:
// - Callbacks go to an owner object (no closures per request) and are never made from inside a call of yours.
// - `onGone` and `onClose` come exactly once (each says when).
// - No method throws after the peer has gone; it answers `gone` or does nothing.
// - Engines queue nothing beyond what the kernel refused of the last write: after `full`, wait for `onDrain`.

/**
 * What became of a write. `ok`: write on. `full`: it was taken, but write no more before onDrain (a write before that is
 * `refused` and nothing of it is sent). `gone`: the peer is not there any more.
 */
export type Sent = 'ok' | 'full' | 'refused' | 'gone'

/** Why a request's or stream's peer has gone: it closed, it was too slow (headers, body, or a stalled reader), or it broke the protocol. */
export type Gone = 'closed' | 'timeout' | 'protocol'

/** A response head made once and checked then: no CR, LF or NUL, no framing headers (content-length, transfer-encoding, connection). */
export interface Head {
  readonly status: number
  readonly headers: readonly (readonly [name: string, value: string])[]
}

/** Borrowed: valid only until the route function that got it returns. Read what you need at once. */
export interface RequestHead {
  /** Upper case. */
  readonly method: string
  /** As it came, not decoded, without the query. */
  readonly path: string
  /** As it came, without `?`; '' when there is none. */
  readonly query: string
  /** HTTP/1.0, or the client asked for `Connection: close`: this connection ends with the response. */
  readonly closing: boolean
  /** The peer has shown a certificate of an authority in `TlsMaterial.clientCa`. */
  readonly verified: boolean
  /** '' when absent; of several lines all, with commas, where it is a list that proxies add to. `name` in lower case. */
  header(name: string): string
  /** Of the peer of the connection, as text; '' when unknown (unix socket). */
  remoteAddress(): string
}

export interface ExchangeOwner {
  /** The whole body (yours to keep), or null when it was longer than the limit: then answer (413), the connection is closed afterwards. */
  onBody?(exchange: Exchange, body: Buffer | null): void
  /** The stream can be written again. */
  onDrain?(exchange: Exchange): void
  /** The peer has gone before the response ended. Exactly once, never after `respond`, `finish` or `abort`. */
  onGone(exchange: Exchange, why: Gone): void
}

/** One request and its response. Either `respond` once, or `openStream`, `write` any number of times, `finish`. */
export interface Exchange {
  owner: ExchangeOwner | null
  readonly gone: boolean
  /** Only inside the route function, at most once; `limitBytes` bytes are still taken. */
  readBody(limitBytes: number): void
  /** `extra` headers are checked like a Head's (a bad one throws: a bug). Answers HEAD without a body. `close` ends the connection afterwards. */
  respond(head: Head, body: Uint8Array | string | null, extra?: Head['headers'], close?: boolean): void
  /**
   * HEAD is answered with that, and the exchange has ended. `filler`: what may be put between two chunks without meaning anything, for engines that send a backlog only along with
   * something more. Needed (a missing one throws: a bug) unless the content type is text/event-stream, where it is a comment.
   */
  openStream(head: Head, extra?: Head['headers'], filler?: string): void
  /** Sends all of `chunk` or nothing. */
  write(chunk: Uint8Array | string): Sent
  finish(): void
  /** Ends the connection without another word. */
  abort(): void
}

/** A WebSocket handshake. Answer it inside the route function or later, exactly once. */
export interface Upgrade {
  /** The subprotocols the client offers, in its order; copied, yours to keep. */
  readonly protocols: readonly string[]
  readonly gone: boolean
  /** `protocol`: the one chosen, '' for none. `owner.onOpen` follows, not from inside this call. */
  accept(owner: SocketOwner, protocol: string): void
  reject(head: Head, body: string | null, extra?: Head['headers']): void
  /** When the client leaves before an answer. */
  onGone: (() => void) | null
}

export interface SocketOwner {
  onOpen(socket: MessageSocket): void
  /** `data` is BORROWED: copy what you keep. Text has been checked to be UTF-8. */
  onMessage(socket: MessageSocket, data: Buffer, binary: boolean): void
  /** The peer answered a ping. */
  onPong(socket: MessageSocket): void
  onDrain(socket: MessageSocket): void
  /** Exactly once, also after a close of yours; `code` 1006 when there was no close frame. The socket is already unusable. */
  onClose(socket: MessageSocket, code: number, reason: string): void
}

export interface MessageSocket {
  owner: SocketOwner
  readonly protocol: string
  readonly gone: boolean
  /** Sends each payload as one message, all in one write to the kernel. All of them or none. */
  send(payloads: readonly Uint8Array[], binary: boolean): Sent
  ping(): void
  /** Close frame, then the connection ends (at the latest after closeTimeoutMs). */
  close(code: number, reason: string): void
  /** Ends the connection at once. */
  abort(): void
}

/** Where requests go. Both are called once a request; an exception in them is answered with a plain 500 and reported. */
export interface Routes {
  request(head: RequestHead, exchange: Exchange): void
  upgrade(head: RequestHead, upgrade: Upgrade): void
}

/** PEM, as text. */
export interface TlsMaterial {
  /** With its chain. */
  readonly cert: string
  readonly key: string
  /** Authorities; peers are asked for a certificate (see `RequestHead.verified`), but not cut off without one. */
  readonly clientCa: string | undefined
}

export interface ListenOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Largest WebSocket message; a longer one closes the socket with 1009 (where the engine can say so). */
  readonly maxMessageBytes: number
  /** Largest request head; a longer one is answered 431. */
  readonly maxHeaderBytes: number
  /** A request head must be there after this long, and a body too after its own. */
  readonly headersTimeoutMs: number
  readonly bodyTimeoutMs: number
  /** An idle connection between two requests. */
  readonly keepAliveMs: number
  /** A reader that takes nothing for this long after `full` is gone (`timeout`). */
  readonly stallTimeoutMs: number
  readonly closeTimeoutMs: number
  /** Connections beyond this are refused or closed at once. */
  readonly maxConnections: number
  /** permessage-deflate; off unless asked for (memory: see docs). */
  readonly deflate: boolean
  /** Undefined: no TLS. */
  readonly tls: TlsMaterial | undefined
  /** An exception from a route or an owner, which would else be lost. */
  onError(error: unknown): void
}

export interface Listener {
  readonly port: number
  /** Open connections, idle ones too. */
  readonly connections: number
  /** For connections from now on. Throws when it can't be used, or the listener has no TLS; what was there before stays. */
  renewTls(tls: TlsMaterial): void
  /** No new connections; the ones there go on. */
  stopAccepting(): void
  /** Ends what is left. */
  close(): Promise<void>
}

export interface Engine {
  readonly name: 'node' | 'uws'
  /** What this engine is known to do wrong or cannot do here, one line each; empty for `node`. */
  readonly knownFaults: readonly string[]
  /** Rejects when the address can't be had, or the engine can't do what the options ask for. */
  listen(options: ListenOptions, routes: Routes): Promise<Listener>
}
