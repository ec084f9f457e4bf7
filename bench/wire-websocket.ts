// Holdwire's protocol over a WebSocket, in JSON, as a benchmark client speaks it. Settings: `topic`, to subscribe to before the
// session counts as open; `deflate`: `on`.

import { clientFrame, OPCODE, type WebSocketOwner, WebSocketReader } from './websocket-reader.js'
import { cursorIn, isHello, type Wire, type WireHost, type WireOptions } from './wire.js'

const SUBSCRIBED = Buffer.from('"ref":"topic"')

export class WebSocketWire implements Wire, WebSocketOwner {
  readonly #host: WireHost
  readonly #options: WireOptions
  #reader: WebSocketReader | undefined
  #phase: 'greeting' | 'subscribing' | 'open' = 'greeting'
  #cursor = ''
  #unacknowledged = 0

  constructor(host: WireHost, options: WireOptions) {
    this.#host = host
    this.#options = options
  }

  start(): void {
    const { user, settings } = this.#options
    this.#phase = 'greeting'
    const resume = this.#cursor === '' ? '' : `&cursor=${this.#cursor}`
    this.#reader = new WebSocketReader(this, {
      target: `/ws?user=${encodeURIComponent(user)}${resume}`,
      deflate: settings.deflate === 'on',
    })
  }

  receive(bytes: Buffer): void {
    this.#reader?.receive(bytes)
  }

  send(bytes: Buffer): void {
    this.#host.send(bytes)
  }

  upgraded(): void {
    // The session is there when it has said hello.
  }

  ended(why: string): void {
    this.#host.ended(why)
  }

  message(payload: Buffer): void {
    // Frames end with their cursor; the data before it may be long.
    this.#cursor = cursorIn(payload, Math.max(0, payload.length - CURSOR_REACH)) ?? cursorIn(payload) ?? this.#cursor
    this.#greet(payload)
    this.#host.frames(payload)
    if (++this.#unacknowledged < this.#options.ackEvery) return
    this.#unacknowledged = 0
    this.#say(`{"type":"ack","cursor":"${this.#cursor}"}`)
  }

  leave(): void {
    if (this.#phase !== 'greeting') this.#host.send(clientFrame(OPCODE.close, NORMAL_CLOSURE))
  }

  #greet(payload: Buffer): void {
    if (this.#phase === 'greeting' && isHello(payload)) {
      const { topic } = this.#options.settings
      this.#phase = topic === undefined ? 'open' : 'subscribing'
      if (topic !== undefined) this.#say(JSON.stringify({ type: 'subscribe', topic, ref: 'topic' }))
    } else if (this.#phase === 'subscribing' && payload.includes(SUBSCRIBED)) {
      if (!payload.includes(OK)) this.#host.ended(`not subscribed: ${payload.toString('utf8', 0, 200)}`)
      this.#phase = 'open'
    } else return
    if (this.#phase === 'open') this.#host.opened()
  }

  #say(text: string): void {
    this.#host.send(clientFrame(OPCODE.text, Buffer.from(text)))
  }
}

/** 1000 (RFC 6455 §7.4.1). */
const NORMAL_CLOSURE = Buffer.from([0x03, 0xe8])
const OK = Buffer.from('"ok":true')
/** A cursor has at most 128 bytes. */
const CURSOR_REACH = 160
