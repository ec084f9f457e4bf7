// Socket.IO over a WebSocket from the beginning (`transports: ['websocket']`). Settings: `topic`.

import { clientFrame, OPCODE, type WebSocketOwner, WebSocketReader } from '../../websocket-reader.js'
import type { Wire, WireHost, WireOptions } from '../../wire.js'
import { answerTo } from './socketio-packets.js'

export class SocketioWire implements Wire, WebSocketOwner {
  readonly #host: WireHost
  readonly #options: WireOptions
  #reader: WebSocketReader | undefined

  constructor(host: WireHost, options: WireOptions) {
    this.#host = host
    this.#options = options
  }

  start(): void {
    this.#reader = new WebSocketReader(this, { target: '/socket.io/?EIO=4&transport=websocket' })
  }

  receive(bytes: Buffer): void {
    this.#reader?.receive(bytes)
  }

  send(bytes: Buffer): void {
    this.#host.send(bytes)
  }

  upgraded(): void {
    // The server speaks first.
  }

  message(payload: Buffer): void {
    const answer = answerTo(payload, this.#host, this.#options)
    if (answer !== undefined) this.#host.send(clientFrame(OPCODE.text, Buffer.from(answer)))
  }

  ended(why: string): void {
    this.#host.ended(why)
  }
}
