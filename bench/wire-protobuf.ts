// Holdwire's protocol over a WebSocket in protobuf (proto/frames.proto), as a benchmark client speaks it: fields are skipped, not
// decoded.

import { clientFrame, OPCODE, type WebSocketOwner, WebSocketReader } from './websocket-reader.js'
import type { Wire, WireHost, WireOptions } from './wire.js'

/** Fields of ServerFrame and ClientFrame. */
const HELLO_FIELD = 1
const CURSOR_FIELD = 15
const ACK_TAG = (3 << 3) | 2
const ACK_CURSOR_TAG = (1 << 3) | 2

export class ProtobufWire implements Wire, WebSocketOwner {
  readonly #host: WireHost
  readonly #options: WireOptions
  #reader: WebSocketReader | undefined
  #phase: 'greeting' | 'open' = 'greeting'
  #cursor = ''
  #unacknowledged = 0

  constructor(host: WireHost, options: WireOptions) {
    this.#host = host
    this.#options = options
  }

  start(): void {
    this.#phase = 'greeting'
    const resume = this.#cursor === '' ? '' : `&cursor=${this.#cursor}`
    this.#reader = new WebSocketReader(this, {
      target: `/ws?user=${encodeURIComponent(this.#options.user)}${resume}`,
      protocol: 'holdwire.v1+proto',
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
    const { field, cursor } = outlineOf(payload)
    if (cursor !== '') this.#cursor = cursor
    if (this.#phase === 'greeting' && field === HELLO_FIELD) {
      this.#phase = 'open'
      this.#host.opened()
    }
    this.#host.frames(payload)
    if (++this.#unacknowledged < this.#options.ackEvery) return
    this.#unacknowledged = 0
    const { length } = this.#cursor
    const head = Buffer.from([ACK_TAG, length + 2, ACK_CURSOR_TAG, length])
    this.#host.send(clientFrame(OPCODE.binary, Buffer.concat([head, Buffer.from(this.#cursor)])))
  }

  leave(): void {
    if (this.#phase !== 'greeting') this.#host.send(clientFrame(OPCODE.close, NORMAL_CLOSURE))
  }
}

/** 1000 (RFC 6455 §7.4.1). */
const NORMAL_CLOSURE = Buffer.from([0x03, 0xe8])

/** Which frame it is, and its cursor: both are fields with a length, the only kind there is in a ServerFrame. */
function outlineOf(frame: Buffer): { readonly field: number; readonly cursor: string } {
  let field = 0
  let cursor = ''
  for (let at = 0; at < frame.length; ) {
    const tag = frame.readUInt8(at++) >> 3
    let length = 0
    for (let shift = 0; at < frame.length; shift += 7) {
      const byte = frame.readUInt8(at++)
      length |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    if (tag === CURSOR_FIELD) cursor = frame.toString('latin1', at, at + length)
    else field = tag
    at += length
  }
  return { field, cursor }
}
