// Server-Sent Events of any server: the session is there with the head of the response. Settings: `target`, with a `{channel}`; `topic`.

import { type ResponseOwner, ResponseReader } from '../../http-response.js'
import { EMPTY, join, keep, type Wire, type WireHost, type WireOptions } from '../../wire.js'
import { targetFor } from './target.js'

const END_OF_EVENT = Buffer.from('\n\n')

export class EventStreamWire implements Wire, ResponseOwner {
  readonly #host: WireHost
  readonly #options: WireOptions
  #reader = new ResponseReader(this)
  #rest = EMPTY

  constructor(host: WireHost, options: WireOptions) {
    this.#host = host
    this.#options = options
  }

  start(): void {
    this.#reader = new ResponseReader(this)
    this.#rest = EMPTY
    this.#host.send(Buffer.from(`GET ${targetFor(this.#options)} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n`))
  }

  receive(bytes: Buffer): void {
    this.#reader.receive(bytes)
  }

  head(status: number): void {
    if (status === 200) this.#host.opened()
    else this.#host.ended(`HTTP ${status}`)
  }

  body(bytes: Buffer): void {
    const input = join(this.#rest, bytes)
    const end = input.lastIndexOf(END_OF_EVENT)
    const whole = end === -1 ? 0 : end + END_OF_EVENT.length
    this.#rest = keep(input, whole)
    if (whole > 0) this.#host.frames(input.subarray(0, whole))
  }

  end(): void {
    this.#host.ended('the stream ended')
  }
}
