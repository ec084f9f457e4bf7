// After the connection of the subscriptions was lost: what came meanwhile is read once per partition, not once per user.
//
// The position up to which everything had come live is frozen at the loss (a live message after it would move it past the
// hole), and live messages wait in their entries until the replay is through.

import { BusError } from './bus.js'
import type { NatsConnection } from './nats-connection.js'
import type { JetStreamApi } from './nats-jetstream.js'
import { backoffMs, sleep } from './nats-limiter.js'
import type { Partition } from './nats-partition.js'
import { PullConsumer } from './nats-pull-consumer.js'
import { ensureStream, epochOf, inboxStream, largestStoredBytes } from './nats-streams.js'
import type { UserEntry } from './nats-user-entry.js'
import type { NatsUsers } from './nats-users.js'

/** Reading one message of the replay costs about a fiftieth of asking for one user. */
const MESSAGES_PER_USER = 50
/** Whatever it is that fails, reading user by user does without it. */
const BULK_ATTEMPTS = 3
const BATCH = 4_000
const SILENCE_MS = 1_500
const PER_USER_LIMIT = 256
/** Of payloads kept until the end of a partition's replay. */
const LIMIT_BYTES = 32 * 1024 * 1024
const PARTITIONS_AT_ONCE = 4
/** Messages this close to their expiry may have gone. */
const AGE_MARGIN_MS = 10_000

export class Replay {
  readonly #data: NatsConnection
  readonly #api: JetStreamApi
  readonly #partitions: readonly Partition[]
  readonly #users: NatsUsers
  #lostAt: number | undefined

  constructor(data: NatsConnection, api: JetStreamApi, partitions: readonly Partition[], users: NatsUsers) {
    this.#data = data
    this.#api = api
    this.#partitions = partitions
    this.#users = users
    users.checkEpoch = async (partition) => {
      await this.#checkEpoch(partition)
    }
  }

  /** The connection was lost just now. */
  freeze(): void {
    this.#lostAt ??= performance.now()
    for (const partition of this.#partitions) partition.frozen ??= partition.high
    for (const entry of this.#users.entries.values()) entry.connectionLost()
  }

  /** The connection is back. True: all is replayed (or being healed user by user); false: it was lost again. */
  async run(): Promise<boolean> {
    const { generation } = this.#data
    const isCurrent = () => generation === this.#data.generation && this.#data.connected
    const rest = [...this.#partitions]
    const work = async () => {
      for (let partition = rest.shift(); partition !== undefined; partition = rest.shift()) {
        for (let attempt = 1; isCurrent(); attempt++) {
          try {
            await this.#replay(partition, isCurrent, attempt <= BULK_ATTEMPTS)
            break
          } catch (error) {
            if (!(error instanceof BusError) || error.code === 'rejected') this.#data.options.onError(error, 'replay')
            await sleep(backoffMs(attempt, 50, 1_000))
          }
        }
      }
    }
    await Promise.all(Array.from({ length: PARTITIONS_AT_ONCE }, work))
    if (isCurrent()) this.#lostAt = undefined
    return isCurrent()
  }

  async #replay(partition: Partition, isCurrent: () => boolean, mayBulk: boolean): Promise<void> {
    await this.#data.subscribed(performance.now() + this.#data.options.requestTimeoutMs)
    const last = await this.#checkEpoch(partition)
    if (!isCurrent()) return
    const entries = new Map<string, UserEntry>()
    for (const entry of this.#users.entries.values()) {
      if (entry.partition === partition && entry.held === 'replaying') entries.set(entry.subject, entry)
    }
    const from = partition.frozen ?? partition.high
    if (entries.size > 0 && last > from) {
      const isCheaper = last - from < MESSAGES_PER_USER * entries.size
      if (mayBulk && isCheaper && !this.#maybeExpired()) await this.#bulk(partition, from, last, entries, isCurrent)
      else for (const entry of entries.values()) entry.skipReplay()
    }
    if (!isCurrent()) return
    partition.frozen = undefined
    partition.high = Math.max(partition.high, last)
    for (const entry of entries.values()) if (entry.held === 'replaying') entry.release()
  }

  async #bulk(partition: Partition, from: number, last: number, entries: Map<string, UserEntry>, isCurrent: () => boolean): Promise<void> {
    // As long as a user has no more messages than the inbox keeps, none of them was evicted.
    const perUser = Math.min(PER_USER_LIMIT, this.#data.options.inboxMaxMessages)
    const prefix = `in.${partition.index}.`.length
    let seen = from
    let bytes = 0
    for (let attempt = 1; seen < last && isCurrent(); attempt++) {
      if (attempt > 10) throw new BusError('timeout', 'the replay does not get on')
      let left = 0
      const before = seen
      const consumer = await PullConsumer.create({
        connection: this.#data,
        api: this.#api,
        stream: partition.stream,
        config: { deliver_policy: 'by_start_sequence' as never, opt_start_seq: seen + 1 },
        largestBytes: largestStoredBytes(this.#data.options),
        onMessage: (message, { seq, pending }) => {
          seen = seq
          left = pending
          const entry = entries.get(`u.${message.subject.slice(prefix)}`)
          bytes += entry === undefined ? 0 : message.data.length
          if (bytes > LIMIT_BYTES) entry?.skipReplay()
          else entry?.replayed({ seq, data: Buffer.from(message.data) }, perUser)
        },
      })
      try {
        left = consumer.pending
        while (seen < last && left > 0 && (await consumer.fetch(Math.min(left, BATCH), 0, SILENCE_MS)) === 'complete');
      } finally {
        consumer.stop()
      }
      if (seen > before) attempt = 0
      else if (seen < last && (await this.#api.message(partition.stream, { seq: seen + 1, next_by_subj: '>' })) === undefined) return
      else if (seen < last) await sleep(Math.min(50, 1 << attempt))
    }
  }

  /** A message stored after the loss may be older than the inbox keeps it. */
  #maybeExpired(): boolean {
    const lostForMs = performance.now() - (this.#lostAt ?? performance.now())
    return lostForMs + AGE_MARGIN_MS >= this.#data.options.inboxMaxAgeSeconds * 1_000
  }

  /** Last sequence of the stream. Makes the stream if it is gone; tells the users if it is another one than before. */
  async #checkEpoch(partition: Partition): Promise<number> {
    const info = await ensureStream(this.#api, inboxStream(this.#data.options, partition.index))
    const epoch = epochOf(info)
    partition.checkedAt = performance.now()
    if (epoch !== partition.epoch) {
      partition.epoch = epoch
      partition.high = info.state.last_seq
      if (partition.frozen !== undefined) partition.frozen = info.state.last_seq
      for (const entry of this.#users.entries.values()) if (entry.partition === partition) entry.reset()
    }
    return info.state.last_seq
  }
}
