// Messages from a session to a user or to a topic.

import { createHash } from 'node:crypto'
import type { Bus } from '../bus/bus.js'
import type { Clock } from '../bus/clock.js'
import { isUserId } from '../bus/user-token.js'
import { v1 } from '../proto/messages.js'
import type { WorkerLimits } from './limits.js'
import { Refusal } from './refusal.js'
import type { TopicClaims } from './topic-pattern.js'
import type { Topics } from './topics.js'

/** Who sends, and as which frame of which session: what ids are made of when the client gave none. */
export interface Origin {
  readonly user: string
  readonly session: string
  readonly claims: TopicClaims
  /** Number of the frame in the session. */
  readonly frame: number
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/
const BUS_ID_CHARS = 128

export class Routing {
  readonly #bus: Bus
  readonly #topics: Topics
  readonly #clock: Clock
  readonly #limits: WorkerLimits
  readonly #isBlocked: (from: string, to: string) => boolean

  /** `isBlocked`: whether one of the two has blocked the other. */
  constructor(
    bus: Bus,
    topics: Topics,
    clock: Clock,
    limits: WorkerLimits,
    isBlocked: (from: string, to: string) => boolean = () => false,
  ) {
    this.#bus = bus
    this.#topics = topics
    this.#clock = clock
    this.#limits = limits
    this.#isBlocked = isBlocked
  }

  /** The id of the message, stored (or, ephemeral, handed to the bus). Throws Refusal and BusError. */
  async send(origin: Origin, message: v1.Send.$Properties): Promise<string> {
    const to = message.to ?? ''
    const topic = message.topic ?? ''
    const clientId = message.id ?? ''
    const ttlSeconds = message.ttlSeconds ?? 0
    const ephemeral = message.ephemeral ?? false
    const { data } = message
    if ((to === '') === (topic === '')) throw new Refusal('malformed', 'exactly one of `to` and `topic` is needed')
    if (!data?.length) throw new Refusal('malformed', '`data` is missing')
    this.#checkId(clientId)
    const id = clientId === '' ? idOfFrame(origin) : clientId
    const time = this.#clock.now()
    const expires = ttlSeconds === 0 ? 0 : time + ttlSeconds * 1000
    const envelope = v1.Envelope.encode({ id, from: origin.user, topic, time, expires, data }).finish()
    if (topic !== '') await this.#toTopic(origin, topic, envelope, clientId, ephemeral)
    else await this.#toUser(origin, to, envelope, clientId, ephemeral)
    return id
  }

  async #toUser(origin: Origin, to: string, envelope: Uint8Array, clientId: string, ephemeral: boolean): Promise<void> {
    if (!isUserId(to)) throw new Refusal('malformed', '`to` has to be a user id: 1 to 256 bytes without control characters')
    if (this.#isBlocked(origin.user, to)) throw new Refusal('forbidden', 'one of the two users has blocked the other')
    if (!ephemeral) await this.#bus.publish(to, busId(origin, clientId, ''), envelope)
    else if (!this.#bus.push(to, envelope)) throw new Refusal('bus_unavailable', "the bus can't take it now; try again")
  }

  async #toTopic(origin: Origin, topic: string, envelope: Uint8Array, clientId: string, ephemeral: boolean): Promise<void> {
    this.#topics.authorise(topic, origin.claims)
    const { error } = await this.#topics.fanOut(topic, envelope, busId(origin, clientId, topic), ephemeral)
    if (error !== undefined) throw error
  }

  #checkId(id: string): void {
    const { idBytes } = this.#limits
    if (Buffer.byteLength(id) > idBytes) throw new Refusal('malformed', `\`id\` has at most ${idBytes} bytes`)
    if (CONTROL.test(id)) throw new Refusal('malformed', '`id` has no control characters')
  }
}

/** The same for every repetition of the frame, wherever it is worked on, and telling nobody the session. */
function idOfFrame(origin: Origin): string {
  return createHash('sha256').update(`${origin.session}:${origin.frame}`).digest('base64url').slice(0, 20)
}

/** The id the store deduplicates on, per recipient: `m:<from>:<id>`, `t:<from>:<topic>:<id>` or `s:<session>:<frame>`. */
function busId(origin: Origin, clientId: string, topic: string): string {
  if (clientId === '') return `s:${origin.session}:${origin.frame}`
  const from = encodeURIComponent(origin.user)
  const id = topic === '' ? `m:${from}:${clientId}` : `t:${from}:${encodeURIComponent(topic)}:${clientId}`
  // Ids stay in the store's memory for the length of the duplicate window.
  return id.length <= BUS_ID_CHARS ? id : `h:${createHash('sha256').update(id).digest('base64url')}`
}
