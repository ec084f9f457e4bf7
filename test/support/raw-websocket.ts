// A WebSocket client that sends any frames it is told, right or wrong, and collects those that come.

import { RawConnection, type RawResponse } from './raw-http.js'

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

export interface Frame {
  readonly fin: boolean
  readonly rsv: number
  readonly opcode: number
  readonly masked: boolean
  readonly payload: Buffer
}

export interface FrameOptions {
  readonly fin?: boolean
  /** The three reserved bits as a number, RSV1 = 4. */
  readonly rsv?: number
  readonly masked?: boolean
}

export interface HandshakeOptions {
  readonly method?: string
  readonly path?: string
  /** Added to, or (same lower-case name) put in the place of, those of a good handshake; null leaves one out. */
  readonly headers?: Readonly<Record<string, string | null>>
}

/** A frame as a client sends it: masked unless told otherwise. */
export function clientFrame(opcode: number, payload: string | Uint8Array = '', options: FrameOptions = {}): Buffer {
  const { fin = true, rsv = 0, masked = true } = options
  const data = Buffer.from(payload)
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode]
  const mask = masked ? 0x80 : 0
  if (data.length < 126) head.push(mask | data.length)
  else if (data.length < 65_536) head.push(mask | 126, data.length >> 8, data.length & 0xff)
  else head.push(mask | 127, 0, 0, 0, 0, data.length >>> 24, (data.length >> 16) & 0xff, (data.length >> 8) & 0xff, data.length & 0xff)
  if (!masked) return Buffer.concat([Uint8Array.from(head), data])
  const key = [0x12, 0x9a, 0x00, 0xff]
  return Buffer.concat([Uint8Array.from(head), Uint8Array.from(key), data.map((byte, index) => byte ^ (key[index % 4] ?? 0))])
}

/** The payload of a close frame. */
export function closePayload(code: number, reason = ''): Buffer {
  return Buffer.concat([Uint8Array.of(code >> 8, code & 0xff), Buffer.from(reason)])
}

/** The bytes of an opening handshake. */
export function handshakeRequest(options: HandshakeOptions = {}): string {
  const headers: Record<string, string | null> = {
    host: 'test',
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...options.headers,
  }
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}\r\n`]))
  return `${options.method ?? 'GET'} ${options.path ?? '/'} HTTP/1.1\r\n${lines.join('')}\r\n`
}

export class RawWebSocket {
  readonly connection: RawConnection
  /** What the server answered to the handshake. */
  readonly handshake: Omit<RawResponse, 'body'>

  private constructor(connection: RawConnection, handshake: Omit<RawResponse, 'body'>) {
    this.connection = connection
    this.handshake = handshake
  }

  /** Rejects unless the server switches protocols. */
  static async open(port: number, options: HandshakeOptions = {}, host?: string): Promise<RawWebSocket> {
    const connection = await RawConnection.open(port, host)
    await connection.send(handshakeRequest(options))
    const handshake = await connection.readHead()
    if (handshake.status !== 101) throw new Error(`the handshake was answered with ${handshake.status}`)
    return new RawWebSocket(connection, handshake)
  }

  async send(opcode: number, payload?: string | Uint8Array, options?: FrameOptions): Promise<void> {
    await this.connection.send(clientFrame(opcode, payload, options))
  }

  async close(code: number, reason?: string): Promise<void> {
    await this.send(opcodes.close, closePayload(code, reason))
  }

  /** Rejects when the connection ends without one. */
  async nextFrame(): Promise<Frame> {
    const [first = 0, second = 0] = await this.connection.readBytes(2)
    let length = second & 0x7f
    if (length === 126) length = (await this.connection.readBytes(2)).readUInt16BE()
    else if (length === 127) length = Number((await this.connection.readBytes(8)).readBigUInt64BE())
    const payload = Buffer.from(await this.connection.readBytes(length))
    return { fin: (first & 0x80) !== 0, rsv: (first >> 4) & 7, opcode: first & 15, masked: (second & 0x80) !== 0, payload }
  }

  /** The next frame, which must be a close frame: its code and reason. Frames before it are skipped. */
  async nextClose(): Promise<{ code: number; reason: string }> {
    for (;;) {
      const { opcode, payload } = await this.nextFrame()
      if (opcode === opcodes.close) {
        return { code: payload.length < 2 ? 1005 : payload.readUInt16BE(), reason: payload.toString('utf8', 2) }
      }
    }
  }

  destroy(): void {
    this.connection.destroy()
  }
}
