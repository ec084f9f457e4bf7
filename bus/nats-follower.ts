// Follows a bucket: every entry there is, then every change, over lost connections and servers that come back.

import type { Msg } from 'nats'
import { BusError, type Follower } from './bus.js'
import { decodeKey, encodeKey, isDeleted } from './nats-bucket-key.js'
import type { NatsConnection } from './nats-connection.js'
import type { JetStreamApi } from './nats-jetstream.js'
import { headerText } from './nats-light-subscription.js'
import { backoffMs, sleep, within } from './nats-limiter.js'
import { type Delivered, PullConsumer } from './nats-pull-consumer.js'
import { epochOf } from './nats-streams.js'

const BATCH = 256
const WAIT_MS = 10_000
const SILENCE_MS = 3_000
const POLL_LIMIT_MS = 50
const EXPIRY_RETRY_MS = 500

export class BucketFollower implements Follower {
  readonly #connection: NatsConnection
  readonly #api: JetStreamApi
  readonly #stream: string
  readonly #prefix: string
  readonly #ttlMs: number
  readonly #onChange: (key: string, value: Uint8Array | undefined) => void
  readonly #onStop: () => void
  /** Keys with a value, and when it expires (of Date.now()); oldest write first, so the first one expires first. */
  readonly #known = new Map<string, number>()
  /** Keys from before the bucket was made anew, as long as they have not been seen in the new one. */
  readonly #stale = new Set<string>()
  #seen = 0
  #epoch: string | undefined
  #consumer: PullConsumer | undefined
  #expiry: NodeJS.Timeout | undefined
  #state: 'starting' | 'following' | 'stopped' = 'starting'
  #started: () => void = () => {}

  constructor(
    connection: NatsConnection,
    api: JetStreamApi,
    stream: string,
    prefix: string,
    ttlSeconds: number,
    onChange: (key: string, value: Uint8Array | undefined) => void,
    onStop: () => void,
  ) {
    this.#connection = connection
    this.#api = api
    this.#stream = stream
    this.#prefix = prefix
    this.#ttlMs = ttlSeconds * 1_000
    this.#onChange = onChange
    this.#onStop = onStop
  }

  /** Resolves when the present entries were handed over. Throws BusError when that takes too long. */
  async start(): Promise<void> {
    const started = new Promise<void>((resolve) => {
      this.#started = resolve
    })
    this.#run().catch((error) => this.#connection.options.onError(error, 'follow'))
    const deadline = performance.now() + this.#connection.options.requestTimeoutMs
    await within(deadline, started, () => new BusError(this.#connection.connected ? 'timeout' : 'disconnected'))
  }

  async caughtUp(): Promise<void> {
    const { last_seq: target } = (await this.#api.streamInfo(this.#stream)).state
    const deadline = performance.now() + this.#connection.options.requestTimeoutMs
    for (let attempt = 0; this.#seen < target; attempt++) {
      if (this.#state === 'stopped') throw new BusError('disconnected', 'no longer following')
      if (performance.now() >= deadline) throw new BusError(this.#connection.connected ? 'timeout' : 'disconnected')
      const before = this.#seen
      await sleep(Math.min(POLL_LIMIT_MS, 1 << attempt))
      // The last message may have expired before it got here: then there is nothing to wait for.
      if (this.#seen === before && attempt % 8 === 7 && (await this.#nothingAfter(before))) return
    }
  }

  stop(): void {
    if (this.#state === 'stopped') return
    this.#state = 'stopped'
    clearTimeout(this.#expiry)
    this.#consumer?.stop()
    this.#onStop()
  }

  async #run(): Promise<void> {
    for (let attempt = 1; this.#isRunning(); attempt++) {
      try {
        await this.#connection.whenConnected(performance.now() + WAIT_MS)
        const consumer = await this.#resume()
        attempt = 0
        while (this.#isRunning() && (await consumer.fetch(BATCH, WAIT_MS, SILENCE_MS)) !== 'broken');
      } catch (error) {
        if (!(error instanceof BusError) || error.code === 'rejected') this.#connection.options.onError(error, 'follow')
      } finally {
        this.#consumer?.stop()
        this.#consumer = undefined
      }
      if (this.#isRunning()) await sleep(backoffMs(attempt + 1, 20, 2_000))
    }
  }

  /** A method, so that the compiler does not take the state for constant over an await. */
  #isRunning(): boolean {
    return this.#state !== 'stopped'
  }

  /** A consumer that goes on where the last one ended, or from the start in a bucket that was made anew. */
  async #resume(): Promise<PullConsumer> {
    const epoch = epochOf(await this.#api.streamInfo(this.#stream))
    if (epoch !== this.#epoch) {
      this.#epoch = epoch
      this.#seen = 0
      for (const key of this.#known.keys()) this.#stale.add(key)
    }
    const consumer = await PullConsumer.create({
      connection: this.#connection,
      api: this.#api,
      stream: this.#stream,
      config:
        this.#seen === 0
          ? { deliver_policy: 'last_per_subject' as never, filter_subject: `${this.#prefix}>` }
          : { deliver_policy: 'by_start_sequence' as never, opt_start_seq: this.#seen + 1 },
      largestBytes: this.#connection.client.info?.max_payload ?? 0,
      onMessage: (message, delivered) => this.#received(message, delivered),
    })
    this.#consumer = consumer
    if (!this.#isRunning()) consumer.stop()
    else if (consumer.pending === 0) this.#level()
    return consumer
  }

  #received(message: Msg, { seq, storedAt, pending }: Delivered): void {
    if (!this.#isRunning()) return
    const key = decodeKey(message.subject.slice(this.#prefix.length))
    this.#seen = seq
    this.#stale.delete(key)
    if (isDeleted(headerText(message))) this.#gone(key)
    else {
      // Deleted first, so that it moves to the end.
      this.#known.delete(key)
      this.#known.set(key, Date.now() + this.#ttlMs - Math.max(0, Date.now() - storedAt))
      this.#tell(key, Buffer.from(message.data))
      if (this.#ttlMs > 0) this.#armExpiry(0)
    }
    if (pending === 0) this.#level()
  }

  /** Everything there was has been handed over. */
  #level(): void {
    for (const key of this.#stale) this.#gone(key)
    this.#stale.clear()
    if (this.#state === 'starting') this.#state = 'following'
    this.#started()
  }

  #gone(key: string): void {
    if (this.#known.delete(key)) this.#tell(key, undefined)
  }

  /** Servers before 2.11 say nothing when an entry expires. One timer, for the entry that expires first. */
  #armExpiry(leastMs: number): void {
    const [first] = this.#known
    if (first === undefined || (this.#expiry !== undefined && leastMs === 0)) return
    clearTimeout(this.#expiry)
    this.#expiry = setTimeout(
      () => {
        this.#expire(first[0]).then(
          (retryMs) => {
            this.#expiry = undefined
            if (this.#isRunning()) this.#armExpiry(retryMs)
          },
          (error) => this.#connection.options.onError(error, 'expiry'),
        )
      },
      Math.max(leastMs, first[1] - Date.now()),
    )
  }

  /** The clocks may differ, so the leader has the last word. Returns the least pause before the next look. */
  async #expire(key: string): Promise<number> {
    const expiresAt = this.#known.get(key)
    if (expiresAt === undefined || expiresAt > Date.now()) return 1
    try {
      const message = await this.#api.message(this.#stream, { last_by_subj: this.#prefix + encodeKey(key) })
      if (this.#isRunning() && message === undefined && this.#known.get(key) === expiresAt) this.#gone(key)
      return message === undefined ? 1 : Math.max(EXPIRY_RETRY_MS, this.#ttlMs / 10)
    } catch (error) {
      if (!(error instanceof BusError)) throw error
      return Math.max(EXPIRY_RETRY_MS, this.#ttlMs / 10)
    }
  }

  async #nothingAfter(seq: number): Promise<boolean> {
    return (await this.#api.message(this.#stream, { seq: seq + 1, next_by_subj: `${this.#prefix}>` })) === undefined
  }

  #tell(key: string, value: Uint8Array | undefined): void {
    try {
      this.#onChange(key, value)
    } catch (error) {
      this.#connection.options.onError(error, 'follow')
    }
  }
}
