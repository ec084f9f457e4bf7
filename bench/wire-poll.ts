// The keep-alive long connection as a benchmark client uses it: each answer is followed by the next poll on the same connection.

import { type ResponseOwner, ResponseReader } from './http-response.js'
import { cursorIn, EMPTY, isHello, join, type Wire, type WireHost, type WireOptions } from './wire.js'

export class PollWire implements Wire, ResponseOwner {
  readonly #host: WireHost
  readonly #options: WireOptions
  readonly #reader: ResponseReader
  #phase: 'greeting' | 'open' = 'greeting'
  #status = 0
  #body = EMPTY

  constructor(host: WireHost, options: WireOptions) {
    this.#host = host
    this.#options = options
    this.#reader = new ResponseReader(this)
  }

  start(): void {
    this.#poll('')
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
    if (this.#phase === 'greeting' && isHello(body)) {
      this.#phase = 'open'
      this.#host.opened()
    }
    this.#host.frames(body)
    this.#poll(`&cursor=${cursor}&wait=${this.#options.waitSeconds}`)
  }

  #poll(more: string): void {
    this.#host.send(Buffer.from(`GET /poll?user=${encodeURIComponent(this.#options.user)}${more} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`))
  }
}
