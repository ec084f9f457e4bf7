// WebSocket as a benchmark client speaks it (RFC 6455).

import { cursorIn, EMPTY, isHello, join, keep, type Wire, type WireHost, type WireOptions } from './wire.js'

const END_OF_HEAD = Buffer.from('\r\n\r\n')
const OPCODE = { text: 1, close: 8, ping: 9, pong: 10 }

export class WebSocketWire implements Wire {
  readonly #host: WireHost
  readonly #options: WireOptions
  #phase: 'upgrading' | 'greeting' | 'open' = 'upgrading'
  #rest = EMPTY
  #unacknowledged = 0

  constructor(host: WireHost, options: WireOptions) {
    this.#host = host
    this.#options = options
  }

  start(): void {
    const head = [
      `GET /ws?user=${encodeURIComponent(this.#options.user)} HTTP/1.1`,
      'Host: 127.0.0.1',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ]
    this.#host.send(Buffer.from(`${head.join('\r\n')}\r\n\r\n`))
  }

  receive(bytes: Buffer): void {
    const input = join(this.#rest, bytes)
    let at = 0
    if (this.#phase === 'upgrading') {
      const end = input.indexOf(END_OF_HEAD)
      if (end === -1) {
        this.#rest = keep(input, 0)
        return
      }
      const status = input.toString('latin1', 9, 12)
      if (status !== '101') {
        this.#host.ended(`HTTP ${status}`)
        return
      }
      this.#phase = 'greeting'
      at = end + END_OF_HEAD.length
    }
    while (at + 2 <= input.length) {
      const short = input.readUInt8(at + 1)
      const header = short < 126 ? 2 : short === 126 ? 4 : 10
      if (at + header > input.length) break
      const length = short < 126 ? short : short === 126 ? input.readUInt16BE(at + 2) : Number(input.readBigUInt64BE(at + 2))
      const end = at + header + length
      if (end > input.length) break
      this.#frame(input.readUInt8(at) & 0x0f, input.subarray(at + header, end))
      at = end
    }
    this.#rest = keep(input, at)
  }

  #frame(opcode: number, payload: Buffer): void {
    switch (opcode) {
      case OPCODE.ping:
        this.#host.send(clientFrame(OPCODE.pong, payload))
        return
      case OPCODE.close:
        this.#host.ended(`close ${payload.length >= 2 ? payload.readUInt16BE(0) : 1005}`)
        return
      case OPCODE.text:
        break
      default:
        return
    }
    if (this.#phase === 'greeting' && isHello(payload)) {
      this.#phase = 'open'
      this.#host.opened()
    }
    this.#host.frames(payload)
    if (++this.#unacknowledged < this.#options.ackEvery) return
    this.#unacknowledged = 0
    const cursor = cursorIn(payload)
    if (cursor !== undefined) this.#host.send(clientFrame(OPCODE.text, Buffer.from(`{"type":"ack","cursor":"${cursor}"}`)))
  }
}

/** At most 65,535 bytes. Masked, as a client must, with zeroes, which leave the payload as it is (RFC 6455 §5.3 asks for randomness against proxies; there is none). */
function clientFrame(opcode: number, payload: Buffer): Buffer {
  const long = payload.length > 125
  const head = Buffer.alloc(long ? 8 : 6)
  head[0] = 0x80 | opcode
  head[1] = 0x80 | (long ? 126 : payload.length)
  if (long) head.writeUInt16BE(payload.length, 2)
  return Buffer.concat([head, payload])
}
