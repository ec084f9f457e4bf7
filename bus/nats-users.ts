// The attached users of this process: attaching, reading what was lost, looking for losses that nothing else shows.

import type { Msg, Subscription } from 'nats'
import { type Attachment, BusError, type UserSink } from './bus.js'
import type { NatsConnection } from './nats-connection.js'
import { readCrowd } from './nats-crowd.js'
import type { InboxReader } from './nats-inbox-reader.js'
import type { JetStreamApi } from './nats-jetstream.js'
import { LightSubscriptions } from './nats-light-subscription.js'
import { backoffMs, Limiter, sleep } from './nats-limiter.js'
import type { Partition } from './nats-partition.js'
import { subjects } from './nats-streams.js'
import { type EntryKeeper, UserEntry } from './nats-user-entry.js'
import { partitionOf, userToken } from './user-token.js'

const HEALS_LIMIT = 256
const HEAL_PAGE = 256
const SWEEP_TICK_MS = 1_000
const EPOCH_CHECK_MS = 1_000

export class NatsUsers implements EntryKeeper {
  /** By subject. */
  readonly entries = new Map<string, UserEntry>()
  gaps = 0
  healedCount = 0
  duplicates = 0
  readonly #data: NatsConnection
  readonly #api: JetStreamApi
  readonly #reader: InboxReader
  readonly #partitions: readonly Partition[]
  readonly #subscriptions: LightSubscriptions
  readonly #heals = new Limiter(HEALS_LIMIT)
  /** Compares a partition's epoch with the server's; set by the owner. */
  checkEpoch: (partition: Partition) => Promise<void> = () => Promise.resolve()
  readonly #sweepTimer: NodeJS.Timeout
  #sweep: Iterator<UserEntry> | undefined
  #crowd: Subscription | undefined
  #sweepDue = 0
  #epochDue = 0

  /** `data`: the connection of the subscriptions; `api` speaks over the same one, so that what it says of the leader comes after them. */
  constructor(data: NatsConnection, api: JetStreamApi, reader: InboxReader, partitions: readonly Partition[]) {
    this.#data = data
    this.#api = api
    this.#reader = reader
    this.#partitions = partitions
    this.#subscriptions = new LightSubscriptions(data.client)
    this.#sweepTimer = setInterval(() => this.#sweepTick(), SWEEP_TICK_MS)
  }

  get light(): boolean {
    return this.#subscriptions.light
  }

  async attach(user: string, sink: UserSink): Promise<Attachment> {
    const token = userToken(user)
    const subject = subjects.user(token)
    if (this.entries.has(subject)) throw new BusError('rejected', 'the user is attached already')
    const entry = new UserEntry(user, subject, this.#partition(token), this, sink)
    // With the first user: a process that attaches nobody needs none of these messages.
    this.#crowd ??= this.#data.client.subscribe(subjects.crowd, { callback: (error, message) => this.#toCrowd(error, message) })
    this.entries.set(subject, entry)
    this.#subscriptions.add(entry)
    try {
      await this.#join(entry, subjects.inbox(entry.partition.index, token))
      return entry
    } catch (error) {
      entry.detach()
      throw error
    }
  }

  detach(entry: UserEntry): void {
    if (this.entries.get(entry.subject) === entry) this.entries.delete(entry.subject)
    this.#subscriptions.remove(entry)
  }

  heal(entry: UserEntry): void {
    this.gaps++
    this.#heal(entry).catch((error) => this.onError(error, 'heal'))
  }

  repeated(entry: UserEntry): void {
    this.duplicates++
    this.suspect(entry.partition)
  }

  refused(entry: UserEntry, error: Error): void {
    entry.detach()
    this.onError(error, 'subscription')
  }

  dropLive(user: string, seq: number): boolean {
    return this.#data.options.testHooks?.dropLive?.(user, seq) === true
  }

  onError(error: unknown, what: string): void {
    this.#data.options.onError(error, what)
  }

  /** Something does not fit the epoch we know. Asks at most once a second. */
  suspect(partition: Partition): void {
    partition.check ??= setTimeout(
      () => {
        partition.check = undefined
        this.checkEpoch(partition).catch((error) => this.#lookFailed(error))
      },
      Math.max(0, partition.checkedAt + EPOCH_CHECK_MS - performance.now()),
    )
  }

  stop(): void {
    clearInterval(this.#sweepTimer)
    this.#crowd?.unsubscribe()
    for (const partition of this.#partitions) clearTimeout(partition.check)
    for (const entry of [...this.entries.values()]) entry.detach()
  }

  /** An exception in here would stop the client's reader. */
  #toCrowd(error: Error | null, message: Msg): void {
    try {
      if (error !== null) {
        // The client has closed it; whoever attaches next tries again.
        this.#crowd = undefined
        throw error
      }
      const { tokens, data } = readCrowd(message.data)
      // Only of the data, and only for somebody: what is kept of it must not keep the list, nor the socket's buffer.
      let copy: Buffer | undefined
      for (const token of tokens) {
        const entry = this.entries.get(subjects.user(token))
        if (entry === undefined) continue
        copy ??= Buffer.from(data)
        entry.pushed(copy)
      }
    } catch (problem) {
      this.onError(problem, 'message to many users')
    }
  }

  /**
   * First the subscription is in place, then the leader is asked for the last message: what was stored before is in the
   * answer, what comes after arrives live. Both on one connection: on two, the question could overtake the subscription.
   */
  async #join(entry: UserEntry, inbox: string): Promise<void> {
    const deadline = performance.now() + this.#data.options.requestTimeoutMs
    for (;;) {
      const { generation } = this.#data
      const { epoch } = entry.partition
      await this.#data.subscribed(deadline)
      const last = await this.#api.lastSequence(entry.partition.stream, inbox)
      if (entry.held !== 'joining') throw new BusError('rejected', 'detached, or not allowed to subscribe')
      if (this.#crowd === undefined) throw new BusError('rejected', `not allowed to subscribe to ${subjects.crowd}`)
      if (generation === this.#data.generation && epoch === entry.partition.epoch) return entry.joined(last)
    }
  }

  async #heal(entry: UserEntry): Promise<void> {
    for (let attempt = 1; entry.held === 'healing'; attempt++) {
      try {
        const deadline = performance.now() + this.#data.options.requestTimeoutMs
        if (await this.#heals.run(deadline, () => this.#readMissing(entry, deadline))) {
          this.healedCount++
          return entry.release()
        }
      } catch (error) {
        if (!(error instanceof BusError) || error.code === 'rejected') this.onError(error, 'heal')
        await sleep(backoffMs(attempt, 100, 5_000))
      }
    }
  }

  /** True: level with the store, and nothing happened meanwhile that would need another look. */
  async #readMissing(entry: UserEntry, deadline: number): Promise<boolean> {
    await this.#data.subscribed(deadline)
    if (entry.held !== 'healing') return false
    entry.healing()
    const { generation } = this.#data
    const { epoch, stream, index } = entry.partition
    const subject = `in.${index}.${entry.subject.slice(2)}`
    // Before the first message there is none that could prove that nothing was evicted: a full inbox is the sign then.
    const full = this.#data.options.inboxMaxMessages + 1
    if (entry.last === 0 && (await this.#api.countOf(stream, subject)) >= full) entry.lost('evicted')
    for (;;) {
      const page = await this.#reader.read({ stream, subject }, entry.last, HEAL_PAGE)
      if (entry.held !== 'healing' || entry.partition.epoch !== epoch) return false
      entry.healed(page)
      if (!page.more) return generation === this.#data.generation && entry.held === 'healing'
    }
  }

  /** A lost last message shows only at the next one; so each user is looked at once in sweepSeconds, evenly spread. */
  #sweepTick(): void {
    if (!this.#data.connected || this.entries.size === 0) return
    const perTick = SWEEP_TICK_MS / 1_000 / this.#data.options.sweepSeconds
    this.#epochDue += this.#partitions.length * perTick
    this.#sweepDue = Math.min(this.#sweepDue + this.entries.size * perTick, this.entries.size)
    for (; this.#epochDue >= 1; this.#epochDue--) {
      const longest = this.#partitions.reduce((a, b) => (b.checkedAt < a.checkedAt ? b : a))
      this.suspect(longest)
    }
    for (; this.#sweepDue >= 1; this.#sweepDue--) {
      const entry = this.#nextToSweep()
      if (entry?.held === undefined && entry !== undefined) this.#look(entry).catch((error) => this.#lookFailed(error))
    }
  }

  #nextToSweep(): UserEntry | undefined {
    for (let round = 0; round < 2; round++) {
      this.#sweep ??= this.entries.values()
      const next = this.#sweep.next()
      if (next.done !== true) return next.value
      this.#sweep = undefined
    }
    return undefined
  }

  async #look(entry: UserEntry): Promise<void> {
    const { partition } = entry
    const inbox = subjects.inbox(partition.index, entry.subject.slice(2))
    const last = await this.#api.directLast(partition.stream, inbox)
    if (last < entry.last) this.suspect(partition)
    if (last <= entry.last) return
    // It may be on its way: what the server sent before the answer is here after another round trip.
    await this.#data.flush()
    if (last > entry.last) entry.behind()
  }

  #lookFailed(error: unknown): void {
    if (!(error instanceof BusError) || error.code === 'rejected') this.onError(error, 'sweep')
  }

  #partition(token: string): Partition {
    const partition = this.#partitions[partitionOf(token, this.#partitions.length)]
    if (partition === undefined) throw new RangeError('partition')
    return partition
  }
}
