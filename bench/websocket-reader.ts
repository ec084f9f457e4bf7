// The client side of a WebSocket (RFC 6455), permessage-deflate (RFC 7692) included: handshake and frames, no socket.

import { constants, inflateRawSync } from 'node:zlib'
import { EMPTY, join, keep } from './wire.js'

export interface WebSocketOwner {
  send(bytes: Buffer): void
  /** The server has switched protocols. */
  upgraded(): void
  /** A whole message; borrowed. */
  message(payload: Buffer): void
  ended(why: string): void
}

export interface WebSocketRequest {
  /** Path and query. */
  readonly target: string
  readonly protocol?: string
  /** Offers permessage-deflate as browsers do: with context takeover. */
  readonly deflate?: boolean
}

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

const END_OF_HEAD = Buffer.from('\r\n\r\n')
/** What a sender leaves away at the end of a message (RFC 7692 §7.2.1). */
const DEFLATE_TAIL = Buffer.from([0, 0, 0xff, 0xff])
const WINDOW_BYTES = 32 * 1024
const MESSAGE_LIMIT_BYTES = 16 * 1024 * 1024

export class WebSocketReader {
  readonly #owner: WebSocketOwner
  readonly #deflate: 'takeover' | 'none'
  #phase: 'upgrading' | 'open' = 'upgrading'
  #rest = EMPTY
  /** Of a message in several frames, and whether it is compressed. */
  #parts: Buffer[] = []
  #compressed = false
  /** What was inflated last: later messages refer to it. Undefined: the server begins anew with each. */
  #window: Buffer | undefined = EMPTY

  constructor(owner: WebSocketOwner, { target, protocol, deflate = false }: WebSocketRequest) {
    this.#owner = owner
    this.#deflate = deflate ? 'takeover' : 'none'
    const head = [
      `GET ${target} HTTP/1.1`,
      'Host: 127.0.0.1',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ]
    if (protocol !== undefined) head.push(`Sec-WebSocket-Protocol: ${protocol}`)
    if (deflate) head.push('Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits')
    owner.send(Buffer.from(`${head.join('\r\n')}\r\n\r\n`))
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
      if (!this.#accepts(input.toString('latin1', 0, end))) return
      this.#phase = 'open'
      at = end + END_OF_HEAD.length
      this.#owner.upgraded()
    }
    while (at + 2 <= input.length) {
      const short = input.readUInt8(at + 1)
      const header = short < 126 ? 2 : short === 126 ? 4 : 10
      if (at + header > input.length) break
      const length = short < 126 ? short : short === 126 ? input.readUInt16BE(at + 2) : Number(input.readBigUInt64BE(at + 2))
      const end = at + header + length
      if (end > input.length) break
      this.#frame(input.readUInt8(at), input.subarray(at + header, end))
      at = end
    }
    this.#rest = keep(input, at)
  }

  #accepts(head: string): boolean {
    const status = head.slice(9, 12)
    if (status !== '101') {
      this.#owner.ended(`HTTP ${status}`)
      return false
    }
    const extension = /\r\nsec-websocket-extensions: *([^\r]*)/i.exec(head)?.[1] ?? ''
    if (this.#deflate === 'takeover' && !extension.includes('permessage-deflate')) {
      this.#owner.ended('permessage-deflate was not accepted')
      return false
    }
    if (extension.includes('server_no_context_takeover')) this.#window = undefined
    return true
  }

  #frame(first: number, payload: Buffer): void {
    const opcode = first & 0x0f
    switch (opcode) {
      case OPCODE.ping:
        this.#owner.send(clientFrame(OPCODE.pong, payload))
        return
      case OPCODE.close:
        this.#owner.ended(`close ${payload.length >= 2 ? payload.readUInt16BE(0) : 1005}`)
        return
      case OPCODE.pong:
        return
      default:
    }
    if (opcode !== OPCODE.continuation) this.#compressed = (first & 0x40) !== 0
    const final = (first & 0x80) !== 0
    if (!final || this.#parts.length > 0) {
      this.#parts.push(Buffer.from(payload))
      if (!final) return
    }
    const whole = this.#parts.length > 0 ? Buffer.concat(this.#parts) : payload
    this.#parts = []
    this.#owner.message(this.#compressed ? this.#inflated(whole) : whole)
  }

  #inflated(payload: Buffer): Buffer {
    const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: MESSAGE_LIMIT_BYTES }
    const data = Buffer.concat([payload, DEFLATE_TAIL])
    const window = this.#window
    if (window === undefined) return inflateRawSync(data, options)
    const message = inflateRawSync(data, window.length > 0 ? { ...options, dictionary: window } : options)
    this.#window = Buffer.concat([window, message]).subarray(-WINDOW_BYTES)
    return message
  }
}

/** At most 65,535 bytes. Masked, as a client must, with zeroes, which leave the payload as it is (RFC 6455 §5.3 asks for randomness against proxies; there is none). */
export function clientFrame(opcode: number, payload: Buffer): Buffer {
  const long = payload.length > 125
  const head = Buffer.alloc(long ? 8 : 6)
  head[0] = 0x80 | opcode
  head[1] = 0x80 | (long ? 126 : payload.length)
  if (long) head.writeUInt16BE(payload.length, 2)
  return Buffer.concat([head, payload])
}
