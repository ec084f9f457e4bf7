// Messages of a backend as HTTP requests: some kept connections, each with one request at a time. What has gathered in the meantime
// goes as one request where the server takes several messages at once, as a backend with much to say would do it.

import { connect, type Socket } from 'node:net'
import { type ResponseOwner, ResponseReader } from '../http-response.js'
import { EMPTY, join } from '../wire.js'
import type { Acknowledged, Sink, SinkMessage } from './sink.js'

/** How a server takes messages. */
export interface HttpDialect {
  /** Messages of one request, at the most. */
  readonly batchLimit: number
  /** Of one message at least. `headers`: whole lines, without Host and Content-Length. */
  request(batch: readonly SinkMessage[]): { readonly target: string; readonly headers: string; readonly body: string }
  /** Of an answer to a request of `count` messages: how many of them were taken. */
  taken(status: number, body: Buffer, count: number): number
}

const CONNECTIONS = 8

export async function openHttpLanes(url: string, dialect: HttpDialect, acknowledged: Acknowledged): Promise<Sink> {
  const port = Number(new URL(url).port)
  const lanes = await Promise.all(Array.from({ length: CONNECTIONS }, () => Lane.open(port, dialect, acknowledged)))
  return {
    publish: (message) => lanes[laneOf(message)]?.add(message),
    close: async () => {
      for (const lane of lanes) lane.close()
    },
  }
}

/** How often this is in an answer. */
export function occurrences(body: Buffer, of: Buffer): number {
  let count = 0
  for (let at = body.indexOf(of); at !== -1; at = body.indexOf(of, at + of.length)) count++
  return count
}

/** The same for all messages to somebody: they stay in order. */
function laneOf({ user, topic }: SinkMessage): number {
  let sum = 0
  for (const char of topic ?? user) sum = (sum * 31 + char.charCodeAt(0)) % 65_521
  return sum % CONNECTIONS
}

class Lane implements ResponseOwner {
  readonly #socket: Socket
  readonly #dialect: HttpDialect
  readonly #acknowledged: Acknowledged
  readonly #reader = new ResponseReader(this)
  #waiting: SinkMessage[] = []
  /** Messages of the request that is not answered yet. */
  #underWay = 0
  #status = 0
  #body = EMPTY

  private constructor(socket: Socket, dialect: HttpDialect, acknowledged: Acknowledged) {
    this.#socket = socket
    this.#dialect = dialect
    this.#acknowledged = acknowledged
    socket.on('data', (bytes) => this.#reader.receive(bytes))
    socket.on('close', () => this.#lost())
    socket.on('error', () => this.#lost())
  }

  static open(port: number, dialect: HttpDialect, acknowledged: Acknowledged): Promise<Lane> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => resolve(new Lane(socket, dialect, acknowledged)))
    })
  }

  add(message: SinkMessage): void {
    this.#waiting.push(message)
    if (this.#underWay === 0) this.#send()
  }

  close(): void {
    this.#socket.destroy()
  }

  head(status: number): void {
    this.#status = status
  }

  body(bytes: Buffer): void {
    this.#body = Buffer.from(join(this.#body, bytes))
  }

  end(): void {
    const count = this.#underWay
    const taken = this.#dialect.taken(this.#status, this.#body, count)
    this.#body = EMPTY
    this.#underWay = 0
    for (let i = 0; i < count; i++) this.#acknowledged(i < taken)
    if (this.#waiting.length > 0) this.#send()
  }

  #send(): void {
    const { batchLimit } = this.#dialect
    const batch = this.#waiting.slice(0, batchLimit)
    this.#waiting = this.#waiting.slice(batchLimit)
    this.#underWay = batch.length
    const { target, headers, body } = this.#dialect.request(batch)
    this.#socket.write(`POST ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  }

  /** The server has closed it: what waits is refused, so that the row says so. */
  #lost(): void {
    const count = this.#underWay + this.#waiting.length
    this.#underWay = 0
    this.#waiting = []
    for (let i = 0; i < count; i++) this.#acknowledged(false)
  }
}
