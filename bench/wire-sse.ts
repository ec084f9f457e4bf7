// Server-Sent Events as a benchmark client reads them.

import { type ResponseOwner, ResponseReader } from './http-response.js'
import { EMPTY, isHello, join, keep, type Wire, type WireHost, type WireOptions } from './wire.js'

const END_OF_EVENT = Buffer.from('\n\n')

export class SseWire implements Wire, ResponseOwner {
  readonly #host: WireHost
  readonly #options: WireOptions
  readonly #reader: ResponseReader
  #phase: 'greeting' | 'open' = 'greeting'
  #rest = EMPTY

  constructor(host: WireHost, options: WireOptions) {
    this.#host = host
    this.#options = options
    this.#reader = new ResponseReader(this)
  }

  start(): void {
    this.#host.send(
      Buffer.from(
        `GET /sse?user=${encodeURIComponent(this.#options.user)} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n`,
      ),
    )
  }

  receive(bytes: Buffer): void {
    this.#reader.receive(bytes)
  }

  head(status: number): void {
    if (status !== 200) this.#host.ended(`HTTP ${status}`)
  }

  body(bytes: Buffer): void {
    const input = join(this.#rest, bytes)
    const end = input.lastIndexOf(END_OF_EVENT)
    const whole = end === -1 ? 0 : end + END_OF_EVENT.length
    this.#rest = keep(input, whole)
    if (whole === 0) return
    const events = input.subarray(0, whole)
    if (this.#phase === 'greeting' && isHello(events)) {
      this.#phase = 'open'
      this.#host.opened()
    }
    this.#host.frames(events)
  }

  end(): void {
    this.#host.ended('the stream ended')
  }
}
