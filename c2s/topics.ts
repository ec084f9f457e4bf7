// Topics: who has subscribed to what, and the fan-out of a message to all of them.
//
// A subscription is a key `<topic>\n<user>` of the bucket `topics` (a topic has no control characters, so the key is
// unambiguous). Every worker follows the bucket into an index and catches up before each expansion, so a subscription
// acknowledged by any worker is included from then on.

import type { Bucket, Bus, Follower } from '../bus/bus.js'
import type { WorkerLimits } from './limits.js'
import { Refusal } from './refusal.js'
import { allows, isTopic, type TopicClaims } from './topic-pattern.js'

const KEY_LIMIT_BYTES = 512
const SUBSCRIBED = new Uint8Array([1])
/** Users handed to the bus at once; the next ones follow when all of these are stored. */
const FAN_OUT_CHUNK = 1024

/** How far a fan-out got. `error`: why not everybody has it; a repetition with the same id completes it. */
export interface FanOut {
  readonly accepted: number
  readonly error: unknown
}

export class Topics {
  readonly #bus: Bus
  readonly #bucket: Bucket
  readonly #limits: WorkerLimits
  readonly #subscribers = new Map<string, Set<string>>()
  readonly #topicsPerUser = new Map<string, number>()
  #follower: Follower | undefined

  private constructor(bus: Bus, bucket: Bucket, limits: WorkerLimits) {
    this.#bus = bus
    this.#bucket = bucket
    this.#limits = limits
  }

  /** Resolves when all subscriptions there are have been read. Throws BusError. */
  static async open(bus: Bus, bucket: Bucket, limits: WorkerLimits): Promise<Topics> {
    const topics = new Topics(bus, bucket, limits)
    topics.#follower = await bucket.follow((key, value) => topics.#follow(key, value !== undefined))
    return topics
  }

  stop(): void {
    this.#follower?.stop()
  }

  /** Throws Refusal (`malformed`, `forbidden`, `too_large`) and BusError. */
  async subscribe(user: string, topic: string, claims: TopicClaims): Promise<void> {
    this.authorise(topic, claims)
    const key = keyOf(topic, user)
    if (Buffer.byteLength(key) > KEY_LIMIT_BYTES) throw new Refusal('too_large', 'topic and user id are too long together')
    await this.#follower?.caughtUp()
    const subscribers = this.#subscribers.get(topic)
    if (subscribers?.has(user)) return
    const { topicsPerUser, subscribersPerTopic } = this.#limits
    if ((this.#topicsPerUser.get(user) ?? 0) >= topicsPerUser) {
      throw new Refusal('too_large', `a user has at most ${topicsPerUser} topics`)
    }
    if ((subscribers?.size ?? 0) >= subscribersPerTopic) {
      throw new Refusal('too_large', `a topic has at most ${subscribersPerTopic} subscribers`)
    }
    await this.#bucket.put(key, SUBSCRIBED)
  }

  /** Leaving is always allowed. Throws Refusal `malformed` and BusError. */
  async unsubscribe(user: string, topic: string): Promise<void> {
    checkName(topic)
    await this.#follower?.caughtUp()
    if (this.#subscribers.get(topic)?.has(user)) await this.#bucket.delete(keyOf(topic, user))
  }

  /** Throws Refusal: `malformed`, or `forbidden` when the token does not name the topic. */
  authorise(topic: string, claims: TopicClaims): void {
    checkName(topic)
    if (!allows(claims, topic)) throw new Refusal('forbidden', 'the token does not allow this topic')
  }

  /** Hands an encoded Envelope to everybody who has subscribed. Throws Refusal `malformed`, and BusError before anybody has it. */
  async fanOut(topic: string, data: Uint8Array, id: string, ephemeral: boolean): Promise<FanOut> {
    checkName(topic)
    await this.#follower?.caughtUp()
    const users = [...(this.#subscribers.get(topic) ?? [])]
    if (ephemeral) {
      const accepted = this.#bus.pushMany(users, data)
      return { accepted, error: accepted < users.length ? new Refusal('bus_unavailable', 'the bus took only a part') : undefined }
    }
    let accepted = 0
    for (let at = 0; at < users.length; at += FAN_OUT_CHUNK) {
      const results = await this.#bus.publishMany(users.slice(at, at + FAN_OUT_CHUNK), id, data)
      const failed = results.find((result) => result.status === 'rejected')
      accepted += results.filter((result) => result.status === 'fulfilled').length
      if (failed?.status === 'rejected') return { accepted, error: failed.reason }
    }
    return { accepted, error: undefined }
  }

  #follow(key: string, subscribed: boolean): void {
    const end = key.indexOf('\n')
    if (end <= 0) return
    const topic = key.slice(0, end)
    const user = key.slice(end + 1)
    const subscribers = this.#subscribers.get(topic) ?? new Set()
    if (subscribers.has(user) === subscribed) return
    const topics = (this.#topicsPerUser.get(user) ?? 0) + (subscribed ? 1 : -1)
    if (topics > 0) this.#topicsPerUser.set(user, topics)
    else this.#topicsPerUser.delete(user)
    if (subscribed) subscribers.add(user)
    else subscribers.delete(user)
    if (subscribers.size > 0) this.#subscribers.set(topic, subscribers)
    else this.#subscribers.delete(topic)
  }
}

function checkName(topic: string): void {
  if (!isTopic(topic)) throw new Refusal('malformed', 'a topic has 1 to 256 bytes without control characters and `*`')
}

function keyOf(topic: string, user: string): string {
  return `${topic}\n${user}`
}
