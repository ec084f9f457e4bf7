// Faults for tests. `faultyBus` wraps any Bus: what is sent or answered gets lost as a network loses it. `faultyDeliveries`
// is for the embedded broker, inside which live deliveries can go wrong as well.

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
} from '../../bus/bus.js'
import type { EmbeddedFaults } from '../../bus/embedded-live.js'

/** Chances from 0 to 1; what is left out never happens. */
export interface FaultRates {
  /** A publish is not sent: `disconnected`. */
  readonly publishLost: number
  /** A publish is stored and its acknowledgement lost: `timeout`. */
  readonly ackLost: number
  /** A push is sent to nobody, and nobody knows. */
  readonly pushLost: number
  readonly pushTwice: number
  /** A request does not arrive: `timeout`, at once. */
  readonly requestLost: number
  /** A request is handled and its answer lost: `timeout`. */
  readonly answerLost: number
  /** Nobody answers: `unknown`. */
  readonly askUnanswered: number
  /** `disconnected`. */
  readonly readFails: number
}

/** `random`: as Math.random, from a seed. */
export function faultyBus(bus: Bus, random: () => number, rates: Partial<FaultRates>): Bus {
  return new FaultyBus(bus, (fault) => random() < (rates[fault] ?? 0))
}

/** Live deliveries of an embedded broker that get lost, come twice, or come up to `delayMs` late; made up for after `sweepMs`. */
export function faultyDeliveries(
  random: () => number,
  rates: {
    readonly drop?: number
    readonly duplicate?: number
    readonly delay?: number
    readonly delayMs?: number
    readonly sweepMs?: number
  },
): EmbeddedFaults {
  const { drop = 0, duplicate = 0, delay = 0, delayMs = 20, sweepMs = 50 } = rates
  return {
    sweepMs,
    delivery: () => {
      const chance = random()
      if (chance < drop) return 'drop'
      if (chance < drop + duplicate) return 'duplicate'
      return chance < drop + duplicate + delay ? Math.ceil(random() * delayMs) : 'none'
    },
  }
}

class FaultyBus implements Bus {
  readonly #bus: Bus
  readonly #fails: (fault: keyof FaultRates) => boolean

  constructor(bus: Bus, fails: (fault: keyof FaultRates) => boolean) {
    this.#bus = bus
    this.#fails = fails
  }

  get kind(): Bus['kind'] {
    return this.#bus.kind
  }

  get state(): BusState {
    return this.#bus.state
  }

  async publish(user: string, id: string, data: Uint8Array, options?: PublishOptions): Promise<PublishAck> {
    if (this.#fails('publishLost')) throw new BusError('disconnected', 'lost on purpose')
    const ack = await this.#bus.publish(user, id, data, options)
    if (this.#fails('ackLost')) throw new BusError('timeout', 'lost on purpose')
    return ack
  }

  publishMany(
    users: readonly string[],
    id: string,
    data: Uint8Array,
    options?: PublishOptions,
  ): Promise<PromiseSettledResult<PublishAck>[]> {
    return Promise.allSettled(users.map((user) => this.publish(user, id, data, options)))
  }

  push(user: string, data: Uint8Array): boolean {
    if (this.#fails('pushLost')) return true
    if (this.#fails('pushTwice')) this.#bus.push(user, data)
    return this.#bus.push(user, data)
  }

  pushMany(users: readonly string[], data: Uint8Array): number {
    return users.filter((user) => this.push(user, data)).length
  }

  attach(user: string, sink: UserSink): Promise<Attachment> {
    return this.#bus.attach(user, sink)
  }

  async read(user: string, after: number, limit: number): Promise<InboxPage> {
    if (this.#fails('readFails')) throw new BusError('disconnected', 'lost on purpose')
    return this.#bus.read(user, after, limit)
  }

  async isWhole(user: string): Promise<boolean> {
    if (this.#fails('readFails')) throw new BusError('disconnected', 'lost on purpose')
    return this.#bus.isWhole(user)
  }

  async readBefore(user: string, before: number, limit: number): Promise<InboxPage> {
    if (this.#fails('readFails')) throw new BusError('disconnected', 'lost on purpose')
    return this.#bus.readBefore(user, before, limit)
  }

  epoch(user: string): Promise<string> {
    return this.#bus.epoch(user)
  }

  async ask(user: string, data: Uint8Array, options?: AskOptions): Promise<Uint8Array[] | 'offline' | 'unknown'> {
    const answers = await this.#bus.ask(user, data, options)
    return answers !== 'offline' && this.#fails('askUnanswered') ? 'unknown' : answers
  }

  async request(address: string, data: Uint8Array, options?: RequestOptions): Promise<Uint8Array> {
    if (this.#fails('requestLost')) throw new BusError('timeout', 'lost on purpose')
    const answer = await this.#bus.request(address, data, options)
    if (this.#fails('answerLost')) throw new BusError('timeout', 'lost on purpose')
    return answer
  }

  serve(address: string, handler: (data: Uint8Array) => Promise<Uint8Array> | Uint8Array, queue?: string): Promise<Unsubscribe> {
    return this.#bus.serve(address, handler, queue)
  }

  signal(topic: string, data: Uint8Array): void {
    this.#bus.signal(topic, data)
  }

  onSignal(topic: string, handler: (data: Uint8Array, topic: string) => void): Promise<Unsubscribe> {
    return this.#bus.onSignal(topic, handler)
  }

  bucket(name: string, options?: BucketOptions): Promise<Bucket> {
    return this.#bus.bucket(name, options)
  }

  onState(handler: (state: BusState) => void): Unsubscribe {
    return this.#bus.onState(handler)
  }

  stats(): BusStats {
    return this.#bus.stats()
  }

  close(deadlineMs?: number): Promise<void> {
    return this.#bus.close(deadlineMs)
  }
}
