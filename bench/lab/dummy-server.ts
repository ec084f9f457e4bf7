// A server of which everything is known: greets WebSocket clients, sends each an exact number of messages when it is told to, and
// delays, drops and repeats some of them. The generator has to see just that. In a process of its own.

import { createServer, type Socket } from 'node:net'
import { DurationHistogram } from '../duration-histogram.js'
import { nowUs, payloadText } from '../payload.js'
import { seededRandom } from '../random.js'

export interface DummyPlan {
  /** To each session. */
  readonly messages: number
  /** Between two messages to a session. */
  readonly intervalMs: number
  readonly delayMs: number
  /** Of the messages that are delayed: each so-many-th. 1: all. */
  readonly delayEvery: number
  /** Each so-many-th is not sent; 0: none. */
  readonly dropEvery: number
  /** Each so-many-th is sent twice; 0: none. */
  readonly repeatEvery: number
  readonly seed: number
}

export type DummyOrder = { readonly kind: 'go'; readonly plan: DummyPlan }

export type DummyReport =
  | { readonly kind: 'listening'; readonly port: number }
  | {
      readonly kind: 'done'
      readonly sent: number
      readonly dropped: number
      readonly repeated: number
      /** What the delays have really become, timers being what they are. */
      readonly delayP50Us: number
      readonly delayP99Us: number
    }

const HELLO = '{"type":"hello","session":"s","cursor":"c.0"}'
const END_OF_HEAD = '\r\n\r\n'

interface Client {
  readonly socket: Socket
  /** The last number it was sent. */
  k: number
}

interface Waiting {
  readonly dueUs: number
  readonly send: () => void
}

const clients = new Set<Client>()

function frame(text: string): Buffer {
  const payload = Buffer.from(text)
  const long = payload.length > 125
  const head = Buffer.alloc(long ? 4 : 2)
  head[0] = 0x81
  head[1] = long ? 126 : payload.length
  if (long) head.writeUInt16BE(payload.length, 2)
  return Buffer.concat([head, payload])
}

/** One plan, carried out for all clients there are. */
class Sending {
  readonly #plan: DummyPlan
  readonly #delays = new DurationHistogram()
  /** Over all clients, so that the planted share is exact. */
  #count = 0
  #sent = 0
  #dropped = 0
  #repeated = 0
  #left: number

  constructor(plan: DummyPlan) {
    this.#plan = plan
    this.#left = clients.size * plan.messages
    const random = seededRandom(plan.seed)
    for (const client of clients) this.#sendAll(client, random() * plan.intervalMs)
  }

  /** Delayed ones of a session must not overtake one another, as on a real connection: what follows waits too. */
  #sendAll(client: Client, startMs: number): void {
    const { messages, intervalMs } = this.#plan
    const waiting: Waiting[] = []
    const flush = () => {
      for (let [first] = waiting; first !== undefined && first.dueUs <= nowUs(); [first] = waiting) {
        waiting.shift()
        first.send()
        if (--this.#left === 0) this.#done()
      }
      const [next] = waiting
      if (next !== undefined) setTimeout(flush, Math.max(1, (next.dueUs - nowUs()) / 1000))
    }
    let made = 0
    const next = () => {
      made++
      waiting.push(this.#message(client, made === messages))
      if (waiting.length === 1) flush()
      if (made < messages) setTimeout(next, intervalMs)
    }
    setTimeout(next, startMs)
  }

  #message(client: Client, isLast: boolean): Waiting {
    const { dropEvery, repeatEvery, delayEvery, delayMs } = this.#plan
    this.#count++
    const k = ++client.k
    const intendedUs = nowUs()
    // The last one always comes: what is missing behind it could not be seen.
    const copies = this.#isEach(dropEvery) && !isLast ? 0 : this.#isEach(repeatEvery) ? 2 : 1
    const bytes = frame(`{"type":"message","id":"m${k}","data":${payloadText(k, intendedUs, 100)},"cursor":"c.${k}"}`)
    const send = () => {
      if (copies === 0) this.#dropped++
      else this.#delays.record(nowUs() - intendedUs)
      if (copies === 2) this.#repeated++
      for (let i = 0; i < copies; i++) client.socket.write(bytes)
      this.#sent += copies
    }
    return { dueUs: intendedUs + (this.#isEach(delayEvery) ? delayMs * 1000 : 0), send }
  }

  #isEach(every: number): boolean {
    return every > 0 && this.#count % every === 0
  }

  #done(): void {
    const { p50, p99 } = this.#delays.figures
    tell({ kind: 'done', sent: this.#sent, dropped: this.#dropped, repeated: this.#repeated, delayP50Us: p50, delayP99Us: p99 })
  }
}

function tell(report: DummyReport): void {
  process.send?.(report)
}

const server = createServer((socket) => {
  socket.setNoDelay()
  socket.on('error', () => socket.destroy())
  let head = ''
  const greet = (bytes: Buffer) => {
    head += bytes.toString('latin1')
    if (!head.includes(END_OF_HEAD)) return
    socket.off('data', greet)
    // What clients acknowledge is of no interest.
    socket.resume()
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
    socket.write(frame(HELLO))
    const client: Client = { socket, k: 0 }
    clients.add(client)
    socket.on('close', () => clients.delete(client))
  }
  socket.on('data', greet)
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  tell({ kind: 'listening', port: typeof address === 'object' && address !== null ? address.port : 0 })
})
process.on('message', ({ plan }: DummyOrder) => new Sending(plan))
process.on('disconnect', () => process.exit())
