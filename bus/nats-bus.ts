// The bus on NATS: puts the parts together and keeps the one state they share.
//
// Two connections: `data` carries the users' subscriptions (and is the one a slow process loses), `rpc` everything else.

import {
  type AskOptions,
  type Attachment,
  type Bucket,
  type BucketOptions,
  type Bus,
  BusError,
  type BusState,
  type BusStats,
  type InboxPage,
  type PublishAck,
  type PublishOptions,
  type RequestOptions,
  type Unsubscribe,
  type UserSink,
} from './bus.js'
import { AckInbox } from './nats-ack-inbox.js'
import { NatsBucket } from './nats-bucket.js'
import { type NatsBusOptions, NatsConnection } from './nats-connection.js'
import { CROWD, crowdMessages } from './nats-crowd.js'
import { type InboxPlace, InboxReader } from './nats-inbox-reader.js'
import { JetStreamApi } from './nats-jetstream.js'
import { sleep } from './nats-limiter.js'
import { Partition } from './nats-partition.js'
import { Replay } from './nats-replay.js'
import { NatsRpc } from './nats-rpc.js'
import { ensureStream, epochOf, inboxStream, subjects } from './nats-streams.js'
import { NatsUsers } from './nats-users.js'
import { PublishFailures } from './publish-failures.js'
import { encodeToken, partitionOf, userToken } from './user-token.js'

export type { NatsBusOptions } from './nats-connection.js'

/** Of a message id as it is on the stream, without the recipient. */
const ID_LIMIT = 1_024
const PLAIN_ID = /^[\x21-\x24\x26-\x7e]+$/
const WINDOW_MARGIN_MS = 5_000
const CLOSE_MS = 5_000
const CLOSE_POLL_MS = 10

/**
 * Connects (waits for the first server without end, saying so to `onError`), and makes or compares the streams. Throws
 * BusError `disconnected` when the login is refused, `rejected` when a stream has other settings.
 */
export async function connectNats(options: NatsBusOptions): Promise<Bus> {
  const data = await NatsConnection.open(options, 'data')
  let rpc: NatsConnection | undefined
  try {
    rpc = await NatsConnection.open(options, 'rpc')
    const largest = inboxStream(options, 0).max_msg_size ?? 0
    const maxPayload = rpc.client.info?.max_payload ?? largest
    if (maxPayload < largest) throw new BusError('rejected', `max_payload of the server is ${maxPayload}, wanted at least ${largest}`)
    const api = new JetStreamApi(rpc)
    const partitions = await Promise.all(
      Array.from({ length: options.partitions }, async (_, index) => {
        const info = await ensureStream(api, inboxStream(options, index))
        return new Partition(index, epochOf(info), info.state.last_seq)
      }),
    )
    return new NatsBus(options, data, rpc, api, partitions)
  } catch (error) {
    await data.close()
    await rpc?.close()
    throw error
  }
}

class NatsBus implements Bus {
  readonly kind = 'nats'
  #state: BusState = 'up'
  #closing: Promise<void> | undefined
  readonly #options: NatsBusOptions
  readonly #data: NatsConnection
  readonly #rpc: NatsConnection
  readonly #api: JetStreamApi
  readonly #partitions: readonly Partition[]
  readonly #acks: AckInbox
  readonly #reader: InboxReader
  readonly #users: NatsUsers
  readonly #replay: Replay
  readonly #calls: NatsRpc
  readonly #failures = new PublishFailures()
  readonly #buckets = new Map<string, NatsBucket>()
  readonly #stateHandlers = new Set<(state: BusState) => void>()
  /** Of the subscriptions: lost · back, but what was missed is still being replayed · all there. */
  #live: 'lost' | 'replaying' | 'level' = 'level'

  constructor(options: NatsBusOptions, data: NatsConnection, rpc: NatsConnection, api: JetStreamApi, partitions: readonly Partition[]) {
    this.#options = options
    this.#data = data
    this.#rpc = rpc
    this.#api = api
    this.#partitions = partitions
    this.#acks = new AckInbox(rpc)
    this.#reader = new InboxReader(rpc, api, (stream) => this.#suspect(stream))
    const dataApi = new JetStreamApi(data)
    this.#users = new NatsUsers(data, dataApi, this.#reader, partitions)
    this.#replay = new Replay(data, dataApi, partitions, this.#users)
    this.#calls = new NatsRpc(rpc)
    this.#watch(data, rpc)
    if (!this.#users.light)
      options.onError(new Error('this version of nats has other internals: subscriptions cost 1.1 KB each'), 'connect')
  }

  get state(): BusState {
    return this.#state
  }

  async publish(user: string, id: string, data: Uint8Array, options: PublishOptions = {}): Promise<PublishAck> {
    return this.#publish(user, id, Buffer.from(data), options)
  }

  async #publish(user: string, id: string, data: Uint8Array, options: PublishOptions): Promise<PublishAck> {
    const token = userToken(user)
    this.#check(data)
    const partition = this.#partition(token)
    const subject = subjects.inbox(partition.index, token)
    const headers = [`Nats-Msg-Id: ${messageId(id, token)}`]
    // A retry after the duplicate window would be stored again.
    const windowMs = this.#options.duplicateWindowSeconds * 1_000 - WINDOW_MARGIN_MS
    const timeoutMs = Math.min(options.timeoutMs ?? this.#options.requestTimeoutMs, windowMs)
    try {
      return await this.#acks.publish(partition.lane, subject, headers, data, timeoutMs)
    } catch (error) {
      this.#failures.note(error)
      throw error
    }
  }

  async publishMany(
    users: readonly string[],
    id: string,
    data: Uint8Array,
    options: PublishOptions = {},
  ): Promise<PromiseSettledResult<PublishAck>[]> {
    const acks: Promise<PublishAck>[] = []
    const copy = Buffer.from(data)
    for (const user of users) {
      await this.#acks.room(copy.length)
      const ack = this.#publish(user, id, copy, options)
      ack.catch(() => {}) // until allSettled looks at it
      acks.push(ack)
    }
    return Promise.allSettled(acks)
  }

  push(user: string, data: Uint8Array): boolean {
    const token = userToken(user)
    if (data.length > this.#options.maxMessageBytes) throw new BusError('too_large')
    return this.#state !== 'closed' && this.#rpc.send(subjects.user(token), Buffer.from(data))
  }

  pushMany(users: readonly string[], data: Uint8Array): number {
    const tokens = users.map(userToken)
    if (data.length > this.#options.maxMessageBytes) throw new BusError('too_large')
    if (this.#state === 'closed') return 0
    let sent = 0
    if (tokens.length < CROWD) {
      const copy = Buffer.from(data)
      while (sent < tokens.length && this.#rpc.send(subjects.user(tokens[sent] ?? ''), copy)) sent++
      return sent
    }
    const limit = this.#rpc.client.info?.max_payload ?? Number.POSITIVE_INFINITY
    for (const { users: count, message } of crowdMessages(tokens, data, limit)) {
      if (!this.#rpc.send(subjects.crowd, message)) break
      sent += count
    }
    return sent
  }

  async attach(user: string, sink: UserSink): Promise<Attachment> {
    this.#checkOpen()
    return this.#users.attach(user, sink)
  }

  async read(user: string, after: number, limit: number): Promise<InboxPage> {
    this.#checkOpen()
    return this.#reader.read(this.#place(user), after, limit)
  }

  async isWhole(user: string): Promise<boolean> {
    this.#checkOpen()
    // The stream keeps one more than the limit: with that one there may have been others before.
    const { stream, subject } = this.#place(user)
    return (await this.#api.countOf(stream, subject)) <= this.#options.inboxMaxMessages
  }

  async readBefore(user: string, before: number, limit: number): Promise<InboxPage> {
    this.#checkOpen()
    return this.#reader.readBefore(this.#place(user), before, limit)
  }

  async epoch(user: string): Promise<string> {
    this.#checkOpen()
    return this.#partition(userToken(user)).epoch
  }

  async ask(user: string, data: Uint8Array, options: AskOptions = {}): Promise<Uint8Array[] | 'offline' | 'unknown'> {
    this.#checkOpen()
    return this.#calls.ask(user, data, options.timeoutMs ?? this.#options.requestTimeoutMs, options)
  }

  async request(address: string, data: Uint8Array, options: RequestOptions = {}): Promise<Uint8Array> {
    this.#checkOpen()
    return this.#calls.request(address, data, options.timeoutMs ?? this.#options.requestTimeoutMs)
  }

  async serve(address: string, handler: (data: Uint8Array) => Promise<Uint8Array> | Uint8Array, queue?: string): Promise<Unsubscribe> {
    this.#checkOpen()
    return this.#calls.serve(address, handler, queue)
  }

  signal(topic: string, data: Uint8Array): void {
    if (this.#state !== 'closed') this.#calls.signal(topic, data)
  }

  async onSignal(topic: string, handler: (data: Uint8Array, topic: string) => void): Promise<Unsubscribe> {
    this.#checkOpen()
    return this.#calls.onSignal(topic, handler)
  }

  async bucket(name: string, options: BucketOptions = {}): Promise<Bucket> {
    this.#checkOpen()
    const bucket = await NatsBucket.open(this.#rpc, this.#api, this.#acks, name, options)
    const open = this.#buckets.get(name) ?? bucket
    this.#buckets.set(name, open)
    return open
  }

  onState(handler: (state: BusState) => void): Unsubscribe {
    // A function of its own for each registration: the same handler may be registered twice.
    const registered = (state: BusState) => handler(state)
    this.#stateHandlers.add(registered)
    return () => this.#stateHandlers.delete(registered)
  }

  stats(): BusStats {
    return {
      attached: this.#users.entries.size,
      gaps: this.#users.gaps,
      healed: this.#users.healedCount,
      duplicatesDropped: this.#users.duplicates,
      inFlight: this.#acks.inFlight + this.#calls.inFlight,
      publishFailures: this.#failures.counts,
    }
  }

  async close(deadlineMs: number = CLOSE_MS): Promise<void> {
    this.#closing ??= this.#close(deadlineMs)
    await this.#closing
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#setState('closed')
    const deadline = performance.now() + deadlineMs
    while (this.#acks.inFlight + this.#calls.inFlight > 0 && performance.now() < deadline) await sleep(CLOSE_POLL_MS)
    await this.#end()
  }

  async #end(): Promise<void> {
    for (const bucket of this.#buckets.values()) bucket.close()
    this.#users.stop()
    this.#acks.close()
    await Promise.all([this.#data.close(), this.#rpc.close()])
  }

  #watch(data: NatsConnection, rpc: NatsConnection): void {
    data.onDown = () => {
      this.#live = 'lost'
      this.#replay.freeze()
      this.#settleState()
    }
    data.onUp = () => {
      this.#live = 'replaying'
      this.#replay.run().then(
        (level) => {
          if (level) this.#live = 'level'
          this.#settleState()
        },
        (error) => this.#options.onError(error, 'replay'),
      )
    }
    rpc.onDown = () => this.#settleState()
    rpc.onUp = () => {
      this.#acks.resume()
      this.#settleState()
    }
    data.onClosed = rpc.onClosed = (error) => {
      if (this.#state === 'closed') return
      this.#options.onError(error ?? new BusError('disconnected', 'NATS closed the connection for good'), 'closed')
      this.close(0).catch((problem) => this.#options.onError(problem, 'closed'))
    }
  }

  #settleState(): void {
    if (this.#state !== 'closed') this.#setState(this.#rpc.connected && this.#data.connected && this.#live === 'level' ? 'up' : 'down')
  }

  #setState(state: BusState): void {
    if (state === this.#state) return
    this.#state = state
    for (const handler of [...this.#stateHandlers]) {
      try {
        handler(state)
      } catch (error) {
        this.#options.onError(error, 'state handler')
      }
    }
  }

  #suspect(stream: string): void {
    for (const partition of this.#partitions) if (partition.stream === stream) this.#users.suspect(partition)
  }

  #check(data: Uint8Array): void {
    this.#checkOpen()
    if (data.length > this.#options.maxMessageBytes) throw new BusError('too_large')
  }

  #checkOpen(): void {
    if (this.#state === 'closed') throw new BusError('disconnected', 'the bus is closed')
  }

  #place(user: string): InboxPlace {
    const token = userToken(user)
    const { stream, index } = this.#partition(token)
    return { stream, subject: subjects.inbox(index, token) }
  }

  #partition(token: string): Partition {
    const partition = this.#partitions[partitionOf(token, this.#partitions.length)]
    if (partition === undefined) throw new RangeError('partition')
    return partition
  }
}

/** The recipient is in it because the duplicate window is a stream's, not a subject's. Visible ASCII without `%` is left as it is. */
function messageId(id: string, token: string): string {
  const encoded = PLAIN_ID.test(id) ? id : encodeToken(id)
  if (encoded.length === 0 || encoded.length > ID_LIMIT) throw new BusError('rejected', `a message id has 1 to ${ID_LIMIT} characters`)
  return `${encoded}:${token}`
}
