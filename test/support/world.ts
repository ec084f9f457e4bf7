// A whole Holdwire in this process, on free ports of loopback, for tests that talk to it over real sockets.

import { pino } from 'pino'
import type { Test } from 'tap'
import { loadConfig } from '../../gateway/config.js'
import type { Running } from '../../gateway/running.js'
import { startHoldwire } from '../../gateway/serve.js'
import { type Answer, http, type RequestOptions } from './http-client.js'
import { leakIn } from './leaks.js'
import {
  type EventClient,
  type Kind,
  type OpenOptions,
  openClient,
  openSocket,
  path,
  type SocketClient,
  startClient,
  type WireClient,
} from './wire-client.js'

export type EngineName = 'node' | 'uws'

let users = 0

export class World {
  readonly engine: EngineName
  readonly running: Running
  readonly port: number
  readonly #clients: WireClient[] = []
  #stopping: Promise<void> | undefined = undefined
  #phase: 'on' | 'over' = 'on'

  /** Stopped with the test. Flags are those of the command line; those here only make it fit for tests. */
  static async start(t: Test, engine: EngineName, flags: readonly string[] = []): Promise<World> {
    const fit = ['--client-port', '0', '--internal-port', '0', '--engine', engine, '--drain-seconds', '0']
    const config = loadConfig({ argv: [...fit, ...flags], env: {} })
    const lines: string[] = []
    // At the lowest level, and with nothing taken out: no secret may get as far as the log.
    const write = (line: string): void => {
      const leak = leakIn(line, config)
      if (leak !== undefined) lines.push(leak)
      else if (line.startsWith('{"level":"error"') || line.startsWith('{"level":"fatal"')) lines.push(line)
    }
    const log = pino({ level: 'trace', formatters: { level: (level) => ({ level }) } }, { write })
    const world = new World(engine, await startHoldwire(config, 'serve', log))
    t.teardown(async () => {
      await world.stop()
      // Nothing a client does is an error of the server's.
      if (lines.length > 0) throw new Error(`the server logged errors:\n${lines.join('')}`)
    })
    return world
  }

  private constructor(engine: EngineName, running: Running) {
    this.engine = engine
    this.running = running
    this.port = running.clientPort ?? 0
  }

  /** A user nobody else has. */
  user(name: string): string {
    return `${name}-${++users}`
  }

  async open(kind: Kind, query: Readonly<Record<string, string>>, options: OpenOptions = {}): Promise<WireClient> {
    const client = await openClient(this.port, kind, { ...options, query })
    return this.#keep(client)
  }

  /** Does not wait for the first frame. */
  start(kind: Kind, query: Readonly<Record<string, string>>, options: OpenOptions = {}): WireClient {
    const client = startClient(this.port, kind, { ...options, query })
    return this.#keep(client)
  }

  async socket(
    query: Readonly<Record<string, string>>,
    kind: 'websocket' | 'protobuf' = 'websocket',
    headers: Readonly<Record<string, string>> = {},
  ): Promise<SocketClient> {
    const client = await openSocket(this.port, { query, headers }, kind)
    return this.#keep(client)
  }

  async events(query: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>> = {}): Promise<EventClient> {
    return (await this.open('sse', query, { headers })) as EventClient
  }

  http(base: string, query: Readonly<Record<string, string>> = {}, options: RequestOptions = {}): Promise<Answer> {
    return http(this.port, path(base, query), options)
  }

  /** POST /send. */
  post(session: unknown, body: unknown): Promise<Answer> {
    return this.http('/send', { session: String(session) }, { method: 'POST', body: JSON.stringify(body) })
  }

  /** On the internal port. */
  api(method: string, target: string, body?: unknown): Promise<Answer> {
    return http(this.running.internalPort, target, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
  }

  /** Its id, once it is stored or handed over. */
  async push(user: string, data: unknown, extra: object = {}): Promise<string> {
    const { status, text } = await this.api('POST', '/api/v1/push', { to: { user }, data, ...extra })
    if (status !== 200) throw new Error(`push was answered ${status} ${text}`)
    return (JSON.parse(text) as { id: string }).id
  }

  /** Value of a metric, with its labels as they are printed; 0 when it is not there. */
  async metric(name: string): Promise<number> {
    const { text } = await this.api('GET', '/metrics')
    const line = text.split('\n').find((one) => one.startsWith(`${name} `))
    return Number(line?.slice(name.length + 1) ?? 0)
  }

  /** Stops as a process does that is told to, with its clients still there. */
  leave(): Promise<void> {
    this.#stopping ??= this.running.stop()
    return this.#stopping
  }

  /** To be dropped in the end, or at once after it: a case that has failed may still be opening some. */
  #keep<T extends WireClient>(client: T): T {
    if (this.#phase === 'on') this.#clients.push(client)
    else client.drop()
    return client
  }

  /** Its clients vanish first, unless it has left already. */
  stop(): Promise<void> {
    this.#phase = 'over'
    for (const client of this.#clients) client.drop()
    return this.leave()
  }
}

/** Resolves when `look` finds something. For what no frame tells of. */
export async function eventually<T>(look: () => Promise<T | undefined>, what: string, withinMs = 15_000): Promise<T> {
  const until = Date.now() + withinMs
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (Date.now() > until) throw new Error(`not in ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
