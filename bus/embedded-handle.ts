// One Bus on an embedded broker: checks, copies at the boundary, limits, and what ends when it closes.

import {
  type AskOptions,
  type Attachment,
  type Bucket,
  type BucketOptions,
  type Bus,
  BusError,
  type BusState,
  type BusStats,
  type Follower,
  type InboxPage,
  type PublishAck,
  type PublishOptions,
  type RequestOptions,
  type Unsubscribe,
  type UserSink,
} from './bus.js'
import { CallsInFlight } from './calls-in-flight.js'
import type { Clock } from './clock.js'
import type { BucketStore } from './embedded-bucket.js'
import { checkAddress, type Exchange } from './embedded-exchange.js'
import type { Inboxes } from './embedded-inbox.js'
import type { Live, LiveOwner } from './embedded-live.js'
import type { EmbeddedStore } from './embedded-store.js'
import { PublishFailures } from './publish-failures.js'
import type { TurnQueue } from './turn-queue.js'
import { isUserId } from './user-token.js'

/** Of requests, answers, signals, pushes and values; what nats-server takes by default. */
const PAYLOAD_LIMIT_BYTES = 1024 * 1024
/** Pushes and signals of one Bus that wait for their turn. */
const QUEUED_LIMIT_BYTES = 64 * 1024 * 1024
const ID_LIMIT_LENGTH = 1024
const CLOSE_DEADLINE_MS = 5000

/** What all handles of a broker share. */
export interface EmbeddedCore {
  readonly store: EmbeddedStore
  readonly inboxes: Inboxes
  readonly live: Live
  readonly exchange: Exchange
  readonly turns: TurnQueue
  readonly clock: Clock
  /** Acknowledgements wait for a disk: calls need a timer. */
  readonly durable: boolean
  readonly maxMessageBytes: number
  readonly maxInFlight: number
  readonly requestTimeoutMs: number
  readonly onError: (error: unknown, what: string) => void
}

export class EmbeddedHandle implements Bus {
  readonly kind = 'embedded'
  readonly #core: EmbeddedCore
  readonly #release: () => Promise<void>
  readonly #owner: LiveOwner = { reachable: true, attached: 0, gaps: 0, healed: 0, duplicatesDropped: 0 }
  #state: BusState = 'up'
  readonly #stateHandlers = new Set<(state: BusState) => void>()
  /** Ends of what is registered here, to be called when this Bus closes. */
  readonly #servers = new Set<Unsubscribe>()
  readonly #listeners = new Set<Unsubscribe>()
  readonly #calls: CallsInFlight
  readonly #failures = new PublishFailures()
  /** Publishes that wait for the bus to come back; in flight too. */
  #whenUp: (() => void)[] = []
  /** Requests being answered here. */
  #handling = 0
  #queuedBytes = 0
  #onQuiet: (() => void) | undefined
  #closing: Promise<void> | undefined

  /** `release` is called once, when this Bus has closed. */
  constructor(core: EmbeddedCore, release: () => Promise<void>) {
    this.#core = core
    this.#release = release
    this.#calls = new CallsInFlight(core.maxInFlight, core.clock, () => this.#checkQuiet())
  }

  get state(): BusState {
    return this.#state
  }

  async publish(user: string, id: string, data: Uint8Array, options?: PublishOptions): Promise<PublishAck> {
    return this.#publish(user, id, copy(data), options)
  }

  async publishMany(
    users: readonly string[],
    id: string,
    data: Uint8Array,
    options?: PublishOptions,
  ): Promise<PromiseSettledResult<PublishAck>[]> {
    const results: PromiseSettledResult<PublishAck>[] = []
    const owned = copy(data)
    // Half of the places: one message to everybody must not keep all others out.
    const places = Math.ceil(this.#core.maxInFlight / 2)
    let next = 0
    const lane = async () => {
      for (let at = next++; at < users.length; at = next++) {
        await this.#calls.place(places)
        const [result] = await Promise.allSettled([this.#publish(users[at] ?? '', id, owned, options)])
        results[at] = result
      }
      this.#calls.passOn()
    }
    await Promise.all(Array.from({ length: Math.min(users.length, places) }, lane))
    return results
  }

  push(user: string, data: Uint8Array): boolean {
    checkUser(user)
    if (data.length > this.#core.maxMessageBytes) return false
    if (this.#state === 'up' && !this.#core.live.has(user)) return true
    return this.#queue(data, (owned) => this.#core.live.ephemeral(user, owned))
  }

  pushMany(users: readonly string[], data: Uint8Array): number {
    for (const user of users) checkUser(user)
    const { live, maxMessageBytes } = this.#core
    if (data.length > maxMessageBytes) throw new BusError('too_large', `a message has at most ${maxMessageBytes} bytes`)
    const attached = users.filter((user) => live.has(user))
    if (this.#state === 'up' && attached.length === 0) return users.length
    const queued = this.#queue(data, (owned) => {
      for (const user of attached) live.ephemeral(user, owned)
    })
    return queued ? users.length : 0
  }

  async attach(user: string, sink: UserSink): Promise<Attachment> {
    checkUser(user)
    this.#checkUp()
    const { live, store } = this.#core
    const attachment = live.attach(this.#owner, user, sink, store.epoch)
    if (attachment === undefined) throw new BusError('rejected', 'this bus is attached to the user already')
    return attachment
  }

  async read(user: string, after: number, limit: number): Promise<InboxPage> {
    return (await this.#inboxesFor(user)).read(user, after, limit)
  }

  async isWhole(user: string): Promise<boolean> {
    return !(await this.#inboxesFor(user)).evictedAfter(user, 0)
  }

  async readBefore(user: string, before: number, limit: number): Promise<InboxPage> {
    return (await this.#inboxesFor(user)).readBefore(user, before, limit)
  }

  async epoch(user: string): Promise<string> {
    checkUser(user)
    this.#checkUp()
    return this.#core.store.epoch
  }

  /** Sinks answer at once, so nothing has to be waited for: `timeoutMs` and `collectMs` have no effect here. */
  async ask(user: string, data: Uint8Array, options?: AskOptions): Promise<Uint8Array[] | 'offline' | 'unknown'> {
    checkUser(user)
    checkPayload(data)
    this.#checkUp()
    const owned = copy(data)
    return this.#calls.call(undefined, (resolve) => {
      this.#core.turns.add(() => {
        const answers = this.#core.live.ask(user, owned)
        if (answers === undefined) resolve('offline')
        else resolve(answers.length === 0 ? 'unknown' : answers.slice(0, options?.expect).map(copy))
      })
    })
  }

  async request(address: string, data: Uint8Array, options?: RequestOptions): Promise<Uint8Array> {
    checkAddress(address)
    checkPayload(data)
    this.#checkUp()
    const servers = this.#core.exchange.serversOf(address)
    if (servers.length === 0) {
      await this.#turn()
      throw new BusError('no_responders', `nobody serves ${address}`)
    }
    const owned = copy(data)
    return this.#calls.call(options?.timeoutMs ?? this.#core.requestTimeoutMs, (resolve) => {
      const answer = (reply: Uint8Array) => {
        if (this.#owner.reachable) resolve(reply)
      }
      for (const serve of servers) this.#core.turns.add(() => serve(owned, answer))
    })
  }

  async serve(address: string, handler: (data: Uint8Array) => Promise<Uint8Array> | Uint8Array, queue?: string): Promise<Unsubscribe> {
    this.#checkUp()
    const end = this.#core.exchange.serve(address, {
      queue,
      reachable: () => this.#owner.reachable,
      serve: (data, answer) => {
        if (this.#owner.reachable) void this.#handle(handler, data, answer)
      },
    })
    return entered(this.#servers, end)
  }

  signal(topic: string, data: Uint8Array): void {
    checkAddress(topic)
    checkPayload(data)
    this.#queue(data, (owned) => {
      for (const listen of this.#core.exchange.listenersOf(topic)) listen(owned, topic)
    })
  }

  async onSignal(topic: string, handler: (data: Uint8Array, topic: string) => void): Promise<Unsubscribe> {
    this.#checkUp()
    const end = this.#core.exchange.listen(topic, (data, full) => {
      if (!this.#owner.reachable) return
      this.#guard(() => handler(data, full), 'signal handler')
    })
    return entered(this.#listeners, end)
  }

  async bucket(name: string, options?: BucketOptions): Promise<Bucket> {
    this.#checkUp()
    const bucket = await this.#core.store.bucket(name, (options?.ttlSeconds ?? 0) * 1000)
    const write = async (key: string, value: Uint8Array | undefined, expected?: number) => {
      if (value !== undefined) checkPayload(value)
      this.#checkUp()
      const owned = value === undefined ? undefined : copy(value)
      return this.#calls.call<number | undefined>(this.#writeTimeoutMs(), (resolve, reject) => {
        bucket.write(key, owned, expected).then(resolve, reject)
      })
    }
    return {
      get: async (key) => {
        this.#checkUp()
        await this.#turn()
        const entry = bucket.get(key)
        return entry && { value: entry.value, revision: entry.revision }
      },
      put: async (key, value) => (await write(key, value)) ?? 0,
      create: (key, value) => write(key, value, 0),
      update: (key, value, revision) => write(key, value, revision),
      delete: async (key) => void (await write(key, undefined)),
      follow: (onChange) => this.#follow(bucket, onChange),
    }
  }

  onState(handler: (state: BusState) => void): Unsubscribe {
    this.#stateHandlers.add(handler)
    return () => this.#stateHandlers.delete(handler)
  }

  stats(): BusStats {
    const { attached, gaps, healed, duplicatesDropped } = this.#owner
    return { attached, gaps, healed, duplicatesDropped, inFlight: this.#calls.size, publishFailures: this.#failures.counts }
  }

  close(deadlineMs = CLOSE_DEADLINE_MS): Promise<void> {
    this.#closing ??= this.#close(deadlineMs)
    return this.#closing
  }

  /** For tests: the connection to the broker is gone until `restore`; what is missed meanwhile is made up for then. */
  cut(): void {
    if (this.#state !== 'up') return
    this.#owner.reachable = false
    this.#enter('down')
  }

  restore(): void {
    if (this.#state !== 'down') return
    this.#owner.reachable = true
    this.#enter('up')
    for (const run of this.#whenUp.splice(0)) run()
    this.#core.live.heal(this.#owner)
    for (const bucket of this.#core.store.buckets) bucket.heal()
  }

  /** For tests: gone at once, as if the process had died. Requests it was handling are never answered. */
  crash(): Promise<void> {
    this.#closing ??= Promise.resolve(this.#end())
    return this.#closing
  }

  async #close(deadlineMs: number): Promise<void> {
    for (const end of this.#servers) end()
    if (this.#state === 'up' && !this.#quiet) {
      await new Promise<void>((resolve) => {
        const stop = this.#core.clock.after(deadlineMs, resolve)
        this.#onQuiet = () => {
          stop()
          resolve()
        }
      })
    }
    this.#end()
    await this.#release()
  }

  #end(): void {
    this.#owner.reachable = false
    for (const end of [...this.#servers, ...this.#listeners]) end()
    this.#core.live.detachAll(this.#owner)
    this.#calls.end(new BusError('disconnected', 'the bus was closed'))
    this.#whenUp = []
    this.#enter('closed')
    this.#stateHandlers.clear()
  }

  #enter(state: BusState): void {
    this.#state = state
    for (const handler of this.#stateHandlers) this.#guard(() => handler(state), 'state handler')
  }

  get #quiet(): boolean {
    return this.#calls.size === 0 && this.#handling === 0
  }

  #checkQuiet(): void {
    if (this.#quiet) this.#onQuiet?.()
  }

  /** `owned` belongs to the store from here on. */
  async #publish(user: string, id: string, owned: Uint8Array, options: PublishOptions | undefined): Promise<PublishAck> {
    checkUser(user)
    if (id.length > ID_LIMIT_LENGTH) throw new BusError('rejected', `a message id has at most ${ID_LIMIT_LENGTH} characters`)
    if (owned.length > this.#core.maxMessageBytes)
      throw new BusError('too_large', `a message has at most ${this.#core.maxMessageBytes} bytes`)
    if (this.#state === 'closed') throw new BusError('disconnected')
    try {
      return await this.#calls.call<PublishAck>(this.#writeTimeoutMs(options?.timeoutMs), (resolve, reject) => {
        const go = () => this.#core.store.publish(user, id, owned).then(resolve, reject)
        if (this.#state === 'up') go()
        else this.#whenUp.push(go)
      })
    } catch (error) {
      this.#failures.note(error)
      throw error
    }
  }

  /** In memory a write takes effect in the next turn: no timer. */
  #writeTimeoutMs(timeoutMs = this.#core.requestTimeoutMs): number | undefined {
    return this.#core.durable || this.#state !== 'up' ? timeoutMs : undefined
  }

  async #handle(
    handler: (data: Uint8Array) => Promise<Uint8Array> | Uint8Array,
    data: Uint8Array,
    answer: (data: Uint8Array) => void,
  ): Promise<void> {
    this.#handling++
    try {
      const reply = await handler(data)
      checkPayload(reply)
      if (this.#owner.reachable) answer(copy(reply))
    } catch (error) {
      this.#core.onError(error, 'request handler')
    } finally {
      this.#handling--
      this.#checkQuiet()
    }
  }

  async #follow(bucket: BucketStore, onChange: (key: string, value: Uint8Array | undefined) => void): Promise<Follower> {
    this.#checkUp()
    const guarded = (key: string, value: Uint8Array | undefined) => this.#guard(() => onChange(key, value), 'bucket follower')
    const follower = await bucket.follow(guarded, () => this.#owner.reachable)
    return {
      caughtUp: async () => {
        this.#checkUp()
        await follower.caughtUp()
      },
      stop: entered(this.#listeners, () => follower.stop()),
    }
  }

  /** False: not sent. */
  #queue(data: Uint8Array, deliver: (owned: Uint8Array) => void): boolean {
    if (this.#state !== 'up' || this.#queuedBytes + data.length > QUEUED_LIMIT_BYTES) return false
    const owned = copy(data)
    const bytes = owned.length + 100
    this.#queuedBytes += bytes
    this.#core.turns.add(() => {
      this.#queuedBytes -= bytes
      deliver(owned)
    })
    return true
  }

  async #inboxesFor(user: string): Promise<Inboxes> {
    checkUser(user)
    this.#checkUp()
    await this.#turn()
    this.#core.inboxes.expire(this.#core.clock.now())
    return this.#core.inboxes
  }

  /** Whoever asks again and again must not keep the event loop from what he waits for. */
  #turn(): Promise<void> {
    return new Promise((resolve) => this.#core.turns.add(resolve))
  }

  #checkUp(): void {
    if (this.#state !== 'up') throw new BusError('disconnected', `the bus is ${this.#state}`)
  }

  #guard(call: () => void, what: string): void {
    try {
      call()
    } catch (error) {
      this.#core.onError(error, what)
    }
  }
}

/** The one copy at the boundary; readers share it. Not from a pool: one message kept for long would keep all its neighbours. */
function copy(data: Uint8Array): Uint8Array {
  return new Uint8Array(data)
}

function checkUser(user: string): void {
  if (!isUserId(user)) throw new BusError('bad_user', 'a user id has 1 to 256 bytes of UTF-8 and no control characters')
}

function checkPayload(data: Uint8Array): void {
  if (data.length > PAYLOAD_LIMIT_BYTES) throw new BusError('too_large', `at most ${PAYLOAD_LIMIT_BYTES} bytes`)
}

/** Keeps the end of a registration for the case that the bus ends first. */
function entered(ends: Set<Unsubscribe>, end: Unsubscribe): Unsubscribe {
  ends.add(end)
  return () => {
    ends.delete(end)
    end()
  }
}
