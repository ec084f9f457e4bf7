// A WebSocket on which messages are text frames and nothing else is said. Settings: `target`, with a `{channel}`; `topic`; `greeting`:
// `on` when the session is there with the first message, which is none.

import { type WebSocketOwner, WebSocketReader } from '../../websocket-reader.js'
import type { Wire, WireHost, WireOptions } from '../../wire.js'
import { targetFor } from './target.js'

export class PlainWebSocketWire implements Wire, WebSocketOwner {
  readonly #host: WireHost
  readonly #options: WireOptions
  #reader: WebSocketReader | undefined
  #phase: 'greeting' | 'open' = 'greeting'

  constructor(host: WireHost, options: WireOptions) {
    this.#host = host
    this.#options = options
  }

  start(): void {
    this.#phase = 'greeting'
    this.#reader = new WebSocketReader(this, { target: targetFor(this.#options) })
  }

  receive(bytes: Buffer): void {
    this.#reader?.receive(bytes)
  }

  send(bytes: Buffer): void {
    this.#host.send(bytes)
  }

  upgraded(): void {
    if (this.#options.settings.greeting !== 'on') this.#open()
  }

  message(payload: Buffer): void {
    if (this.#phase === 'greeting') this.#open()
    else this.#host.frames(payload)
  }

  ended(why: string): void {
    this.#host.ended(why)
  }

  #open(): void {
    this.#phase = 'open'
    this.#host.opened()
  }
}
