// Server-Sent Events as a benchmark client reads them.

import { type ResponseOwner, ResponseReader } from './http-response.js'
import { EMPTY, isHello, join, keep, type Wire, type WireHost, type WireOptions } from './wire.js'

const END_OF_EVENT = Buffer.from('\n\n')
const ID = Buffer.from('id: ')
const LINE_END = 10

export class SseWire implements Wire, ResponseOwner {
  readonly #host: WireHost
  readonly #options: WireOptions
  #reader: ResponseReader
  #phase: 'greeting' | 'open' = 'greeting'
  #rest = EMPTY
  #lastEventId = ''

  constructor(host: WireHost, options: WireOptions) {
    this.#host = host
    this.#options = options
    this.#reader = new ResponseReader(this)
  }

  start(): void {
    this.#reader = new ResponseReader(this)
    this.#phase = 'greeting'
    this.#rest = EMPTY
    const resume = this.#lastEventId === '' ? '' : `Last-Event-ID: ${this.#lastEventId}\r\n`
    this.#host.send(
      Buffer.from(
        `GET /sse?user=${encodeURIComponent(this.#options.user)} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n${resume}\r\n`,
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
    this.#remember(events)
    if (this.#phase === 'greeting' && isHello(events)) {
      this.#phase = 'open'
      this.#host.opened()
    }
    this.#host.frames(events)
  }

  end(): void {
    this.#host.ended('the stream ended')
  }

  /** An id stands at the beginning of a line; data has no line ends. */
  #remember(events: Buffer): void {
    let at = events.lastIndexOf(ID)
    while (at > 0 && events[at - 1] !== LINE_END) at = events.lastIndexOf(ID, at - 1)
    if (at >= 0) this.#lastEventId = events.toString('latin1', at + ID.length, events.indexOf(LINE_END, at))
  }
}
