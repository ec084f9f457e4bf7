// One connection to NATS: options, state, flushes shared by everybody who waits for one, answers by number.

import { randomBytes } from 'node:crypto'
import { type NatsConnection as Client, type ConnectionOptions, connect, Events, type Status } from 'nats'
import { BusError, type BusOptions } from './bus.js'
import { within } from './nats-limiter.js'
import { ReplyInbox } from './nats-reply-inbox.js'
import { writeOnceATurn } from './nats-turn-writes.js'
import { encodeToken } from './user-token.js'

const UNFLUSHED_LIMIT_BYTES = 16 * 1024 * 1024
const FLUSH_EVERY_BYTES = 1024 * 1024

export interface NatsBusOptions extends BusOptions {
  /** `nats://host:port`; user and password, or a token alone, before an `@` (the first one given counts for all). `tls://` for TLS. */
  readonly servers: readonly string[]
  /** Names the process to the server and in reply subjects, for example `gateway-<node>`. */
  readonly name: string
  /** Streams the users are spread over. Fixed for the life of a store: 16. */
  readonly partitions: number
  /** Of streams and buckets: 1 or 3. */
  readonly replicas: number
  readonly pingIntervalMs: number
  /** Each attached user is compared with the store once in this time. */
  readonly sweepSeconds: number
  /** For tests only. */
  readonly testHooks?: {
    /** True: this live delivery is dropped, as if it had been lost on the way. */
    dropLive?(user: string, seq: number): boolean
  }
}

export class NatsConnection {
  readonly inbox: ReplyInbox
  /** Prefix of reply subjects that only this connection listens to. */
  readonly inboxPrefix: string
  onDown: () => void = () => {}
  onUp: () => void = () => {}
  /** Called at each loss, before `onDown`. */
  readonly lossListeners = new Set<() => void>()
  /** The client gave up or was closed: there will be no more. */
  onClosed: (error: Error | undefined) => void = () => {}
  /** Grows with each loss of the connection: whoever waited can see that it was lost meanwhile. */
  generation = 0
  #state: 'up' | 'lost' | 'closed' = 'up'
  #flush: Promise<void> | undefined
  /** Sent without an answer to wait for, and not known to have reached the server. */
  #unflushedBytes = 0
  #sinceFlushBytes = 0
  readonly #waiting = new Set<() => void>()

  static async open(options: NatsBusOptions, role: 'data' | 'rpc'): Promise<NatsConnection> {
    // The first connection is waited for without end (a server may start later), but not in silence.
    const complain = setInterval(
      () => options.onError(new BusError('disconnected', 'no NATS server answers yet'), 'connect'),
      Math.max(1_000, options.requestTimeoutMs),
    )
    try {
      const client = await connect(clientOptions(options, role))
      writeOnceATurn(client)
      return new NatsConnection(client, options)
    } catch (error) {
      throw new BusError('disconnected', `NATS: ${error instanceof Error ? error.message : String(error)}`)
    } finally {
      clearInterval(complain)
    }
  }

  private constructor(
    readonly client: Client,
    readonly options: NatsBusOptions,
  ) {
    this.inboxPrefix = `_INBOX.${encodeToken(options.name)}.${randomBytes(9).toString('hex')}`
    this.inbox = new ReplyInbox(this)
    this.#watch().catch((error) => options.onError(error, 'status'))
    client.closed().then(
      (error) => {
        this.#lost()
        this.#state = 'closed'
        this.#wake()
        this.onClosed(error instanceof Error ? error : undefined)
      },
      (error) => options.onError(error, 'closed'),
    )
  }

  /** Changes only together with `onDown` and `onUp`. While false nothing is sent: the client would silently drop it. */
  get connected(): boolean {
    return this.#state === 'up'
  }

  /**
   * At most once: false when there is no connection, or when too much is on its way already (the client itself has no limit).
   * `data` is written later, in a microtask: a caller whose buffer may be used again gives a copy.
   */
  send(subject: string, data: Uint8Array): boolean {
    if (this.#state !== 'up' || this.#unflushedBytes > UNFLUSHED_LIMIT_BYTES) return false
    this.client.publish(subject, data)
    this.#unflushedBytes += data.length + subject.length
    this.#sinceFlushBytes += data.length + subject.length
    if (this.#sinceFlushBytes > FLUSH_EVERY_BYTES) {
      const bytes = this.#sinceFlushBytes
      const { generation } = this
      this.#sinceFlushBytes = 0
      this.client.flush().then(
        () => {
          if (generation === this.generation) this.#unflushedBytes -= bytes
        },
        () => {}, // the connection was lost, which resets the count
      )
    }
    return true
  }

  /** Everything sent before has reached the server. Callers of one tick share one round trip. Rejects when the connection is lost. */
  flush(): Promise<void> {
    this.#flush ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        this.#flush = undefined
        if (this.#state !== 'up') reject(new BusError('disconnected'))
        else this.client.flush().then(resolve, () => reject(new BusError('disconnected')))
      })
    })
    return this.#flush
  }

  /** Resolves when there is a connection. Throws `disconnected` at the deadline. */
  async whenConnected(deadline: number): Promise<void> {
    if (this.#state === 'up') return
    if (this.#state === 'closed') throw new BusError('disconnected', 'the bus is closed')
    let wake: () => void = () => {}
    const up = new Promise<void>((resolve) => {
      wake = resolve
      this.#waiting.add(wake)
    })
    try {
      await within(deadline, up, () => new BusError('disconnected'))
      if (!this.connected) throw new BusError('disconnected')
    } finally {
      this.#waiting.delete(wake)
    }
  }

  /** Connected, and all subscriptions made so far are in place at the server. Throws `disconnected` at the deadline. */
  async subscribed(deadline: number): Promise<void> {
    for (;;) {
      await this.whenConnected(deadline)
      try {
        return await within(deadline, this.flush(), () => new BusError('disconnected'))
      } catch (error) {
        if (this.#state === 'closed' || performance.now() >= deadline) throw error
      }
    }
  }

  async close(): Promise<void> {
    this.onDown = () => {}
    this.onUp = () => {}
    this.onClosed = () => {}
    this.#lost()
    this.#state = 'closed'
    this.#wake()
    this.inbox.close()
    await this.client.close()
  }

  async #watch(): Promise<void> {
    for await (const status of this.client.status()) {
      try {
        this.#changed(status)
      } catch (error) {
        this.options.onError(error, 'status')
      }
    }
  }

  #changed(status: Status): void {
    if (status.type === Events.Disconnect) this.#lost()
    else if (status.type === Events.Reconnect && this.#state === 'lost') {
      this.#state = 'up'
      this.#wake()
      this.onUp()
    } else if (status.type === Events.Error) {
      const context = status.permissionContext
      this.options.onError(
        new BusError('rejected', `NATS: ${status.data}${context ? ` ${context.operation} ${context.subject}` : ''}`),
        'status',
      )
    }
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
  }

  #lost(): void {
    if (this.#state !== 'up') return
    this.#state = 'lost'
    this.generation++
    this.#unflushedBytes = 0
    this.#sinceFlushBytes = 0
    this.inbox.connectionLost()
    for (const listener of [...this.lossListeners]) listener()
    this.onDown()
  }
}

function clientOptions(options: NatsBusOptions, role: string): ConnectionOptions {
  const urls = options.servers.map((server) => new URL(server.includes('://') ? server : `nats://${server}`))
  const login = urls.find((url) => url.username !== '')
  const user = decodeURIComponent(login?.username ?? '')
  return {
    servers: urls.map((url) => `${url.hostname}:${url.port || '4222'}`),
    name: `${options.name}-${role}`,
    ...(login === undefined ? {} : login.password === '' ? { token: user } : { user, pass: decodeURIComponent(login.password) }),
    ...(urls.some((url) => url.protocol === 'tls:') ? { tls: {} } : {}),
    waitOnFirstConnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 1_000,
    reconnectJitterTLS: 1_000,
    pingInterval: options.pingIntervalMs,
    maxPingOut: 2,
    timeout: options.requestTimeoutMs,
    noAsyncTraces: true,
    noEcho: false,
  }
}
