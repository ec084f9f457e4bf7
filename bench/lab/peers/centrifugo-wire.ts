// Centrifugo's client protocol in JSON over a WebSocket: a connection token names the user and the channels that the server subscribes
// it to. Settings: `secret` of the token, `topic`.

import { clientFrame, OPCODE, type WebSocketOwner, WebSocketReader } from '../../websocket-reader.js'
import type { Wire, WireHost, WireOptions } from '../../wire.js'
import { hs256 } from './hs256.js'
import { channelFor } from './target.js'

const CONNECTED = Buffer.from('"connect":{')
const FAILED = Buffer.from('"error":{')
const PING = Buffer.from('{}')
/** A ping has two bytes, with a line end three. */
const PING_LIMIT_BYTES = 3

export class CentrifugoWire implements Wire, WebSocketOwner {
  readonly #host: WireHost
  readonly #options: WireOptions
  #reader: WebSocketReader | undefined
  #phase: 'connecting' | 'open' = 'connecting'

  constructor(host: WireHost, options: WireOptions) {
    this.#host = host
    this.#options = options
  }

  start(): void {
    this.#phase = 'connecting'
    this.#reader = new WebSocketReader(this, { target: '/connection/websocket' })
  }

  receive(bytes: Buffer): void {
    this.#reader?.receive(bytes)
  }

  send(bytes: Buffer): void {
    this.#host.send(bytes)
  }

  upgraded(): void {
    const { user, settings } = this.#options
    const token = hs256({ sub: user, channels: [channelFor(this.#options)] }, settings.secret ?? '')
    this.#say(Buffer.from(JSON.stringify({ id: 1, connect: { token } })))
  }

  message(payload: Buffer): void {
    if (payload.length <= PING_LIMIT_BYTES && payload.subarray(0, PING.length).equals(PING)) {
      this.#say(PING)
    } else if (this.#phase === 'connecting') this.#connected(payload)
    else this.#host.frames(payload)
  }

  ended(why: string): void {
    this.#host.ended(why)
  }

  #connected(payload: Buffer): void {
    if (payload.includes(FAILED) || !payload.includes(CONNECTED)) {
      this.#host.ended(`not connected: ${payload.toString('utf8', 0, 200)}`)
      return
    }
    this.#phase = 'open'
    this.#host.opened()
  }

  #say(payload: Buffer): void {
    this.#host.send(clientFrame(OPCODE.text, payload))
  }
}
