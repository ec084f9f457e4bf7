// A listener for engine tests: routes by path, owners that write down what they are told, and waiting for that.

import type { Test } from 'tap'
import type {
  Engine,
  Exchange,
  ExchangeOwner,
  Gone,
  Listener,
  ListenOptions,
  MessageSocket,
  RequestHead,
  SocketOwner,
  Upgrade,
} from '../../transports/engine/engine.js'
import { defineHead } from '../../transports/engine/heads.js'
import { turns } from './raw-http.js'

export const plain = defineHead(200, [['content-type', 'text/plain']])
export const events = defineHead(200, [['content-type', 'text/event-stream']])

/** How long a test waits for something to be told. */
const PATIENCE_MS = 20_000

/** What was told, in order, one line each; and waiting for a line. */
export class Journal {
  readonly lines: string[] = []
  #waiting: { readonly line: string; readonly resolve: () => void } | null = null

  note(line: string): void {
    this.lines.push(line)
    if (this.#waiting?.line === line) this.#waiting.resolve()
  }

  count(line: string): number {
    return this.lines.filter((noted) => noted === line).length
  }

  /** Resolves when `line` was noted, before or from now on. */
  until(line: string): Promise<void> {
    if (this.lines.includes(line)) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not told "${line}", only ${JSON.stringify(this.lines)}`)), PATIENCE_MS)
      this.#waiting = {
        line,
        resolve: () => {
          clearTimeout(timer)
          resolve()
        },
      }
    })
  }

  /** What came until now and in some more turns of the event loop: to show that nothing else came. */
  async settled(): Promise<readonly string[]> {
    await turns(20)
    return this.lines
  }
}

/** Writes down what it is told; `inCall` shows a callback from inside a call of ours. */
export class ExchangeWitness implements ExchangeOwner {
  readonly journal = new Journal()
  body: Buffer | null = null

  onBody(exchange: Exchange, body: Buffer | null): void {
    this.body = body
    this.journal.note(body === null ? 'body too long' : `body ${body.length}`)
    this.answer(exchange, body)
  }

  onDrain(_exchange: Exchange): void {
    this.journal.note('drain')
  }

  onGone(_exchange: Exchange, why: Gone): void {
    this.journal.note(`gone ${why}`)
  }

  /** To be replaced by tests that answer otherwise. */
  answer(exchange: Exchange, body: Buffer | null): void {
    exchange.respond(body === null ? tooLarge : plain, body)
  }
}

const tooLarge = defineHead(413, [])

export class SocketWitness implements SocketOwner {
  readonly journal = new Journal()
  readonly messages: Buffer[] = []
  socket: MessageSocket | null = null

  onOpen(socket: MessageSocket): void {
    this.socket = socket
    this.journal.note('open')
  }

  onMessage(_socket: MessageSocket, data: Buffer, binary: boolean): void {
    this.messages.push(Buffer.from(data))
    this.journal.note(`${binary ? 'binary' : 'text'} ${data.length}`)
  }

  onPong(): void {
    this.journal.note('pong')
  }

  onDrain(): void {
    this.journal.note('drain')
  }

  onClose(_socket: MessageSocket, code: number, reason: string): void {
    this.journal.note(`close ${code}${reason === '' ? '' : ` ${reason}`}`)
    this.journal.note('closed')
  }
}

export type RequestRoute = (head: RequestHead, exchange: Exchange) => void
export type UpgradeRoute = (head: RequestHead, upgrade: Upgrade) => void

export interface EngineHost {
  readonly listener: Listener
  readonly port: number
  readonly errors: unknown[]
  /** What the next requests and handshakes go to. */
  request: RequestRoute
  upgrade: UpgradeRoute
}

export const patient: Omit<ListenOptions, 'onError'> = {
  host: '127.0.0.1',
  port: 0,
  maxMessageBytes: 1000,
  maxHeaderBytes: 8192,
  headersTimeoutMs: 20_000,
  bodyTimeoutMs: 20_000,
  keepAliveMs: 20_000,
  stallTimeoutMs: 20_000,
  closeTimeoutMs: 20_000,
  maxConnections: 1000,
  deflate: false,
  tls: undefined,
}

/** Listens on a free port until the test has ended. */
export async function startHost(t: Test, engine: Engine, options: Partial<ListenOptions> = {}): Promise<EngineHost> {
  const errors: unknown[] = []
  const host = {
    request: (_head: RequestHead, exchange: Exchange) => exchange.respond(plain, 'hello'),
    upgrade: (_head: RequestHead, upgrade: Upgrade) => upgrade.accept(new SocketWitness(), ''),
  }
  const listener = await engine.listen(
    { ...patient, onError: (error) => errors.push(error), ...options },
    { request: (head, exchange) => host.request(head, exchange), upgrade: (head, upgrade) => host.upgrade(head, upgrade) },
  )
  t.teardown(() => listener.close())
  return Object.assign(host, { listener, port: listener.port, errors })
}
