// Messages to Pushpin: a ZeroMQ PUSH socket (ZMTP 3.0 over TCP), which is its own way for backends with many messages; its HTTP control
// port ends the connection after each request. Nothing is acknowledged.

import { connect } from 'node:net'
import type { SinkTarget } from '../contender.js'
import type { Acknowledged, Sink, SinkMessage } from '../sink.js'
import { channelOf } from './channels.js'

/** Signature, version 3.0, mechanism NULL, not as a server. */
const GREETING = Buffer.concat([
  Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0]),
  Buffer.from('NULL'.padEnd(20, '\0')),
  Buffer.alloc(32),
])
const READY_SIGN = Buffer.from('\x05READY')
const COMMAND = 0x04
const LONG = 0x02
const SHORT_LIMIT_BYTES = 255
const READY = command('READY', 'Socket-Type', 'PUSH')
/** What follows is JSON. */
const JSON_MARK = 'J'
const TIMEOUT_MS = 5000

export async function connectPushSink({ url }: SinkTarget, acknowledged: Acknowledged): Promise<Sink> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), noDelay: true })
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no ZMTP handshake')), TIMEOUT_MS)
    let input: Buffer = Buffer.alloc(0)
    socket.once('error', reject)
    socket.on('data', (bytes: Buffer) => {
      input = Buffer.concat([input, bytes]).subarray(-1024)
      if (!input.includes(READY_SIGN)) return
      clearTimeout(timer)
      socket.removeAllListeners('data')
      resolve()
    })
    socket.write(Buffer.concat([GREETING, READY]))
  })
  let state: 'open' | 'closed' = 'open'
  socket.on('data', () => undefined)
  socket.on('close', () => {
    state = 'closed'
  })
  return {
    publish: (message) => {
      socket.write(frame(0, Buffer.from(`${JSON_MARK}${itemOf(message)}`)))
      acknowledged(state === 'open')
    },
    close: async () => {
      socket.destroySoon()
    },
  }
}

/** In the formats of both transports, of which the connection's own is taken. */
function itemOf(message: SinkMessage): string {
  const formats = { 'ws-message': { content: message.data }, 'http-stream': { content: `data: ${message.data}\n\n` } }
  return JSON.stringify({ channel: channelOf(message), formats })
}

function frame(flags: number, body: Buffer): Buffer {
  if (body.length <= SHORT_LIMIT_BYTES) return Buffer.concat([Buffer.from([flags, body.length]), body])
  const head = Buffer.alloc(9)
  head[0] = flags | LONG
  head.writeBigUInt64BE(BigInt(body.length), 1)
  return Buffer.concat([head, body])
}

function command(name: string, property: string, value: string): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(value.length)
  const short = (text: string) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)])
  return frame(COMMAND, Buffer.concat([short(name), short(property), length, Buffer.from(value)]))
}
