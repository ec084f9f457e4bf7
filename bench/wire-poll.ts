// Holdwire's polls as a benchmark client uses them: each answer is followed by the next request, on the same connection (keep-alive
// long connection) or on a new one (long polling). Settings: `connection`: `close` for the latter; `wait`: seconds, instead of what
// the options say.

import { type ResponseOwner, ResponseReader } from './http-response.js'
import { cursorIn, EMPTY, isHello, join, type Wire, type WireHost, type WireOptions } from './wire.js'

export class PollWire implements Wire, ResponseOwner {
  readonly #host: WireHost
  readonly #options: WireOptions
  readonly #each: 'same connection' | 'new connection'
  #reader: ResponseReader
  #phase: 'greeting' | 'open' = 'greeting'
  #status = 0
  #body = EMPTY
  #cursor = ''

  constructor(host: WireHost, options: WireOptions) {
    this.#host = host
    this.#options = options
    this.#each = options.settings.connection === 'close' ? 'new connection' : 'same connection'
    this.#reader = new ResponseReader(this)
  }

  start(): void {
    this.#reader = new ResponseReader(this)
    this.#body = EMPTY
    this.#poll()
  }

  receive(bytes: Buffer): void {
    this.#reader.receive(bytes)
  }

  head(status: number): void {
    this.#status = status
  }

  body(bytes: Buffer): void {
    this.#body = Buffer.from(join(this.#body, bytes))
  }

  end(): void {
    const body = this.#body
    this.#body = EMPTY
    // The cursor of the answer comes before its frames.
    const cursor = cursorIn(body)
    if (this.#status !== 200 || cursor === undefined) {
      this.#host.ended(`HTTP ${this.#status}`)
      return
    }
    this.#cursor = cursor
    if (this.#phase === 'greeting' && isHello(body)) {
      this.#phase = 'open'
      this.#host.opened()
    }
    this.#host.frames(body)
    if (this.#each === 'new connection') this.#host.reconnect()
    else this.#poll()
  }

  #poll(): void {
    const { user, waitSeconds, settings } = this.#options
    const more = this.#cursor === '' ? '' : `&cursor=${this.#cursor}&wait=${settings.wait ?? waitSeconds}`
    const close = this.#each === 'new connection' ? 'Connection: close\r\n' : ''
    this.#host.send(Buffer.from(`GET /poll?user=${encodeURIComponent(user)}${more} HTTP/1.1\r\nHost: 127.0.0.1\r\n${close}\r\n`))
  }
}
