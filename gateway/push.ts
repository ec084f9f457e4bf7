// Pushes by backends: one message to a user, to some users, to the subscribers of a topic, or to everybody who is there.

import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bucket, type Bus, BusError } from '../bus/bus.js'
import { isUserId } from '../bus/user-token.js'
import { v1 } from '../proto/messages.js'
import type { CloseReason, ReasonCode } from './close-reason.js'

export type PushTarget =
  | { readonly user: string }
  | { readonly users: readonly string[] }
  | { readonly topic: string }
  | { readonly all: true }

/** What a backend asks for; the API checks the shape (gateway/api/schemas.ts). */
export interface PushRequest {
  readonly to: PushTarget
  /** Any JSON value. */
  readonly data: unknown
  /** Idempotency: a repeat to the same target gets the first answer. At most 128 bytes; one is made when absent. */
  readonly id?: string | undefined
  readonly from?: string | undefined
  /** 0: none. */
  readonly ttlSeconds?: number | undefined
  readonly ephemeral?: boolean | undefined
  readonly collapseKey?: string | undefined
}

export interface Pushed {
  readonly id: string
  /** Recipients. */
  readonly accepted: number
}

export interface PusherOptions {
  readonly bus: Bus
  readonly cluster: { pushAll(push: v1.PushAll.$Properties): Promise<number> }
  readonly maxDataBytes: number
  readonly duplicateWindowSeconds: number
  /** How long one attempt of the workers to expand a topic may take. */
  readonly c2sTimeoutMs: number
  readonly metrics: { pushed(target: string, code: ReasonCode, seconds: number): void }
  readonly now?: () => number
  /** Between two attempts. */
  readonly wait?: (ms: number) => Promise<void>
}

/** Attempts to reach a c2s worker, and the pause before the next one. */
const TOPIC_ATTEMPTS = 3
const TOPIC_PAUSE_MS = 250
/** Users handed to the bus at once. */
const CHUNK = 1000

export class Pusher {
  readonly #options: PusherOptions
  readonly #answers: Bucket
  readonly #now: () => number
  /** Pushes with an id that are on their way: a repeat meanwhile waits for the same answer. */
  readonly #running = new Map<string, Promise<Pushed | CloseReason>>()

  private constructor(options: PusherOptions, answers: Bucket) {
    this.#options = options
    this.#answers = answers
    this.#now = options.now ?? Date.now
  }

  /** Throws BusError. */
  static async open(options: PusherOptions): Promise<Pusher> {
    return new Pusher(options, await options.bus.bucket('answers', { ttlSeconds: options.duplicateWindowSeconds }))
  }

  /**
   * When it resolves with a count, the message is stored for all recipients (ephemeral: handed to the bus). A refusal
   * may come after some of them got it: a repeat with the same id completes it and gives it to nobody twice. Never rejects
   * with a BusError.
   */
  async push(request: PushRequest): Promise<Pushed | CloseReason> {
    const target = Object.keys(request.to)[0] ?? ''
    const startedMs = performance.now()
    const result = await this.#attempt(request)
    this.#options.metrics.pushed(target, 'code' in result ? result.code : 'done', (performance.now() - startedMs) / 1000)
    return result
  }

  async #attempt(request: PushRequest): Promise<Pushed | CloseReason> {
    const refusal = this.#check(request)
    if (refusal !== undefined) return refusal
    const data = encode(request.data)
    if (data === undefined) return malformed('data: is nested too deep')
    if (data.length > this.#options.maxDataBytes) {
      return { code: 'too_large', reason: `data: ${data.length} bytes, at most ${this.#options.maxDataBytes}` }
    }
    try {
      const { id, ephemeral, to } = request
      // To users, the bus itself knows repeats of what it stored.
      if (id === undefined || (!ephemeral && ('user' in to || 'users' in to))) return await this.#send(request, id ?? randomUUID(), data)
      return await this.#once(request, id, data)
    } catch (error) {
      if (error instanceof BusError) return busRefusal(error)
      throw error
    }
  }

  #check({ to, data, from, id }: PushRequest): CloseReason | undefined {
    const users = 'user' in to ? [to.user] : 'users' in to ? to.users : []
    const bad = users.find((user) => !isUserId(user)) ?? (from !== undefined && !isUserId(from) ? from : undefined)
    if (bad !== undefined) return malformed('a user id has 1 to 256 bytes of UTF-8 and no control characters')
    if ('topic' in to && !isTopic(to.topic)) return malformed('to.topic: 1 to 256 bytes without control characters and `*`')
    if (id !== undefined && !isText(id, 128)) return malformed('id: 1 to 128 bytes without control characters')
    return data === undefined ? malformed('data: is missing') : undefined
  }

  async #once(request: PushRequest, id: string, data: Buffer): Promise<Pushed | CloseReason> {
    const key = createHash('sha256')
      .update(JSON.stringify([id, request.to]))
      .digest('base64url')
    const running = this.#running.get(key)
    if (running !== undefined) return running
    const first = this.#remembered(key, request, id, data)
    this.#running.set(key, first)
    try {
      return await first
    } finally {
      this.#running.delete(key)
    }
  }

  async #remembered(key: string, request: PushRequest, id: string, data: Buffer): Promise<Pushed | CloseReason> {
    const known = await this.#answers.get(key)
    if (known !== undefined) return { id, accepted: Number(Buffer.from(known.value).toString('utf8')) }
    const pushed = await this.#send(request, id, data)
    await this.#answers.create(key, Buffer.from(String(pushed.accepted)))
    return pushed
  }

  async #send(
    { to, from = '', ttlSeconds = 0, ephemeral = false, collapseKey = '' }: PushRequest,
    id: string,
    data: Buffer,
  ): Promise<Pushed> {
    const time = this.#now()
    const expires = ttlSeconds === 0 ? 0 : time + ttlSeconds * 1000
    const topic = 'topic' in to ? to.topic : ''
    const envelope = v1.Envelope.create({ id, from, topic, time, expires, collapseKey, data })
    const push = { envelope, ephemeral, dedupe: `p:${id}` }
    if ('topic' in to) return { id, accepted: await this.#toTopic(push) }
    if ('all' in to) return { id, accepted: await this.#options.cluster.pushAll(push) }
    const users = 'user' in to ? [to.user] : [...new Set(to.users)]
    await pushToUsers(this.#options.bus, users, push)
    return { id, accepted: users.length }
  }

  /** A worker that dies is replaced by another one; repeats of what is stored reach nobody twice. Throws BusError. */
  async #toTopic(push: v1.TopicPush.$Properties): Promise<number> {
    const { bus, c2sTimeoutMs, wait = sleep } = this.#options
    const bytes = v1.TopicPush.encode(push).finish()
    for (let attempt = 1; ; attempt++) {
      try {
        const { accepted, error } = v1.TopicPushed.decode(await bus.request('c2s.topic', bytes, { timeoutMs: c2sTimeoutMs }))
        if (error == null) return accepted
        if (error.code === 'malformed') throw new BusError('rejected', error.message ?? '')
        throw new BusError('disconnected', error.message ?? '')
      } catch (error) {
        const again = error instanceof BusError && (error.code === 'no_responders' || (error.code === 'timeout' && !push.ephemeral))
        if (!again || attempt === TOPIC_ATTEMPTS) throw error
      }
      await wait(TOPIC_PAUSE_MS * attempt)
    }
  }
}

/** Stores a message for each user, or hands it to the bus when it is ephemeral. Throws BusError unless all of them have it. */
async function pushToUsers(bus: Bus, users: readonly string[], push: v1.PushAll.$Properties): Promise<void> {
  const bytes = v1.Envelope.encode(push.envelope ?? {}).finish()
  const id = push.dedupe ?? ''
  const [only] = users
  if (push.ephemeral) {
    if (bus.pushMany(users, bytes) < users.length) throw new BusError('disconnected', 'the bus did not take it for everybody')
  } else if (users.length === 1 && only !== undefined) {
    await bus.publish(only, id, bytes)
  } else {
    for (let at = 0; at < users.length; at += CHUNK) {
      const results = await bus.publishMany(users.slice(at, at + CHUNK), id, bytes)
      const failed = results.find((result) => result.status === 'rejected')
      if (failed?.status === 'rejected') throw failed.reason
    }
  }
}

/** What a backend is told when the bus did not do it. */
export function busRefusal(error: BusError): CloseReason {
  switch (error.code) {
    case 'bad_user':
      return malformed(error.message)
    case 'too_large':
      return { code: 'too_large', reason: error.message }
    case 'overloaded':
      return { code: 'overloaded', reason: 'too many calls on the message bus at once', retryAfterMs: 1000 }
    case 'rejected':
      return { code: 'internal', reason: `the message bus refused: ${error.message}` }
    case 'no_responders':
    case 'timeout':
    case 'disconnected':
      return { code: 'bus_unavailable', reason: `the message bus: ${error.message}`, retryAfterMs: 2000 }
  }
}

function malformed(reason: string): CloseReason {
  return { code: 'malformed', reason }
}

function isText(text: string, maxBytes: number): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text !== '' && Buffer.byteLength(text) <= maxBytes && text.isWellFormed() && !/[\u0000-\u001f\u007f-\u009f]/.test(text)
}

/** A topic by its name: wildcards stand only in the `topics` claim. */
function isTopic(topic: string): boolean {
  return isText(topic, 256) && !topic.includes('*')
}

/** Undefined: nested deeper than JSON.stringify, which works by recursion, can follow. */
function encode(data: unknown): Buffer | undefined {
  try {
    return Buffer.from(JSON.stringify(data))
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}
