// Nchan's long polls: each answer is one message, and its Last-Modified and Etag in the next request ask for the one after it. What is
// published in between waits in the channel's buffer. Settings: `target`, with a `{channel}`; `topic`; `connection`: `close` for a
// connection of its own for each poll; `wait`: `0` to ask for the channel's oldest message again and again, which is there.

import { type ResponseOwner, ResponseReader } from '../../http-response.js'
import { EMPTY, join, type Wire, type WireHost, type WireOptions } from '../../wire.js'
import { targetFor } from './target.js'

export class NchanPollWire implements Wire, ResponseOwner {
  readonly #host: WireHost
  readonly #options: WireOptions
  readonly #target: string
  #reader = new ResponseReader(this)
  #phase: 'new' | 'open' = 'new'
  #status = 0
  #body = EMPTY
  /** Lines that say which message was the last. */
  #position = ''

  constructor(host: WireHost, options: WireOptions) {
    this.#host = host
    this.#options = options
    this.#target = targetFor(options)
  }

  start(): void {
    this.#reader = new ResponseReader(this)
    this.#body = EMPTY
    this.#poll()
    if (this.#phase === 'open') return
    // Nothing is answered before there is a message; the buffer keeps what comes before the server has seen the request.
    this.#phase = 'open'
    this.#host.opened()
  }

  receive(bytes: Buffer): void {
    this.#reader.receive(bytes)
  }

  head(status: number, text: string): void {
    this.#status = status
    const modified = /\r\nlast-modified: *([^\r]+)/i.exec(text)?.[1]
    const tag = /\r\netag: *([^\r]+)/i.exec(text)?.[1]
    if (status === 200 && modified !== undefined && tag !== undefined && this.#options.settings.wait !== '0') {
      this.#position = `If-Modified-Since: ${modified}\r\nIf-None-Match: ${tag}\r\n`
    }
  }

  body(bytes: Buffer): void {
    this.#body = Buffer.from(join(this.#body, bytes))
  }

  end(): void {
    const body = this.#body
    this.#body = EMPTY
    // 408, or 304 in later versions: nothing came for so long.
    if (this.#status !== 200 && this.#status !== 408 && this.#status !== 304) {
      this.#host.ended(`HTTP ${this.#status}`)
      return
    }
    if (this.#status === 200) this.#host.frames(body)
    if (this.#options.settings.connection === 'close') this.#host.reconnect()
    else this.#poll()
  }

  #poll(): void {
    const close = this.#options.settings.connection === 'close' ? 'Connection: close\r\n' : ''
    this.#host.send(Buffer.from(`GET ${this.#target} HTTP/1.1\r\nHost: 127.0.0.1\r\n${close}${this.#position}\r\n`))
  }
}
