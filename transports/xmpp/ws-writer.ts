// What goes out over the WebSocket of an XMPP stream, one element a message; and what its client is known to have received.

import type { MessageSocket } from '../engine/engine.js'

/** Messages that may wait for a socket that takes no more. */
const WAITING_LIMIT = 1024

export class SocketWriter {
  readonly #socket: MessageSocket
  readonly #sentBytes: (bytes: number) => void
  /** Undefined: the socket takes more. Else what waits until it has drained. */
  #waiting: Buffer[] | undefined = undefined
  /** The client was heard of since the last `probe`. */
  #heard = true
  /** Last frame that was written, and what it was when the ping was sent that is not answered yet. */
  #written = 0
  #pinged: number | undefined = undefined
  #received = 0

  constructor(socket: MessageSocket, sentBytes: (bytes: number) => void) {
    this.#socket = socket
    this.#sentBytes = sentBytes
  }

  get gone(): boolean {
    return this.#socket.gone
  }

  /** The client's WebSocket has got every frame that was written here. */
  get allReceived(): boolean {
    return this.#received >= this.#written
  }

  /** `overrun`: the client takes nothing, and too much waits already. */
  send(texts: readonly string[]): 'more' | 'full' | 'gone' | 'overrun' {
    if (this.#socket.gone) return 'gone'
    const payloads = texts.map((text) => Buffer.from(text))
    if (this.#waiting === undefined) return this.#put(payloads)
    if (this.#waiting.length + payloads.length > WAITING_LIMIT) return 'overrun'
    this.#waiting.push(...payloads)
    return 'full'
  }

  /** The last words; lost if the socket takes no more. */
  close(texts: readonly string[], code: number, reason: string): void {
    if (this.#socket.gone) return
    if (this.#waiting === undefined && texts.length > 0) this.#put(texts.map((text) => Buffer.from(text)))
    this.#socket.close(code, reason)
  }

  /** Whether the socket takes more again. */
  drained(): boolean {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting !== undefined && waiting.length > 0) this.#put(waiting)
    return this.#waiting === undefined && !this.#socket.gone
  }

  // ---- is the client there, and what does it have -----------------------------------------------------------------

  heard(): void {
    this.#heard = true
  }

  /** False: nothing was heard of the client since the last time. */
  probe(): boolean {
    if (this.#socket.gone || !this.#heard) return false
    this.#heard = false
    if (this.#pinged === undefined) this.#ping()
    return true
  }

  /** A frame was written whose arrival is to be found out: pongs come in order with what was received (RFC 6455 §5.5.2). */
  track(frame: number): void {
    this.#written = frame
    if (this.#pinged === undefined && this.#waiting === undefined) this.#ping()
  }

  /** The last frame that the client's WebSocket has got. */
  pong(): number {
    this.#heard = true
    this.#received = Math.max(this.#received, this.#pinged ?? 0)
    this.#pinged = undefined
    this.ensurePing()
    return this.#received
  }

  /** Goes on asking as long as there is something to know. */
  ensurePing(): void {
    if (this.#pinged === undefined && this.#waiting === undefined && !this.allReceived && !this.#socket.gone) this.#ping()
  }

  #ping(): void {
    this.#pinged = this.#written
    this.#socket.ping()
  }

  #put(payloads: readonly Buffer[]): 'more' | 'full' | 'gone' {
    const sent = this.#socket.send(payloads, false)
    if (sent === 'refused' || sent === 'gone') return 'gone'
    let bytes = 0
    for (const payload of payloads) bytes += payload.length
    this.#sentBytes(bytes)
    if (sent === 'ok') return 'more'
    this.#waiting = []
    return 'full'
  }
}
