// Bucket on JetStream KV (what `nats kv` calls a bucket): reads ask the leader, writes are acknowledged by the store.

import { randomUUID } from 'node:crypto'
import type { StreamConfig } from 'nats'
import { type Bucket, type BucketEntry, type BucketOptions, BusError, type Follower } from './bus.js'
import { type AckInbox, Lane } from './nats-ack-inbox.js'
import { encodeKey, isDeleted } from './nats-bucket-key.js'
import type { NatsBusOptions, NatsConnection } from './nats-connection.js'
import { BucketFollower } from './nats-follower.js'
import { type JetStreamApi, JetStreamError, type StoredMessage } from './nats-jetstream.js'
import { ensureStream, nanoseconds } from './nats-streams.js'

const NAME = /^[A-Za-z0-9_-]{1,64}$/
const DUPLICATE_WINDOW_SECONDS = 120
const HEADER_BYTES = 4_096
const WRONG_LAST_SEQUENCE = new Set([10071, 10164])

export class NatsBucket implements Bucket {
  readonly stream: string
  readonly #prefix: string
  readonly #ttlSeconds: number
  readonly #connection: NatsConnection
  readonly #api: JetStreamApi
  readonly #acks: AckInbox
  readonly #lane = new Lane()
  readonly #followers = new Set<BucketFollower>()

  static async open(
    connection: NatsConnection,
    api: JetStreamApi,
    acks: AckInbox,
    name: string,
    options: BucketOptions,
  ): Promise<NatsBucket> {
    if (!NAME.test(name)) throw new BusError('rejected', `not a bucket name: ${name}`)
    await ensureStream(api, bucketStream(connection.options, name, options.ttlSeconds ?? 0))
    return new NatsBucket(connection, api, acks, name, options.ttlSeconds ?? 0)
  }

  private constructor(connection: NatsConnection, api: JetStreamApi, acks: AckInbox, name: string, ttlSeconds: number) {
    this.stream = `KV_${name}`
    this.#prefix = `$KV.${name}.`
    this.#ttlSeconds = ttlSeconds
    this.#connection = connection
    this.#api = api
    this.#acks = acks
  }

  async get(key: string): Promise<BucketEntry | undefined> {
    const message = await this.#api.message(this.stream, { last_by_subj: this.#subject(key) })
    return message === undefined || isDeleted(message.header) ? undefined : { value: message.data, revision: message.seq }
  }

  async put(key: string, value: Uint8Array): Promise<number> {
    return this.#write(key, value, [])
  }

  async create(key: string, value: Uint8Array): Promise<number | undefined> {
    const revision = await this.update(key, value, 0)
    if (revision !== undefined) return revision
    // What is there may be the mark of a deletion; it counts as a revision.
    const message: StoredMessage | undefined = await this.#api.message(this.stream, { last_by_subj: this.#subject(key) })
    if (message !== undefined && !isDeleted(message.header)) return undefined
    return this.update(key, value, message?.seq ?? 0)
  }

  async update(key: string, value: Uint8Array, revision: number): Promise<number | undefined> {
    try {
      return await this.#write(key, value, [`Nats-Expected-Last-Subject-Sequence: ${revision}`])
    } catch (error) {
      if (error instanceof JetStreamError && WRONG_LAST_SEQUENCE.has(error.errorCode)) return undefined
      throw error
    }
  }

  async delete(key: string): Promise<void> {
    await this.#write(key, new Uint8Array(), ['KV-Operation: DEL'])
  }

  async follow(onChange: (key: string, value: Uint8Array | undefined) => void): Promise<Follower> {
    const follower = new BucketFollower(this.#connection, this.#api, this.stream, this.#prefix, this.#ttlSeconds, onChange, () =>
      this.#followers.delete(follower),
    )
    this.#followers.add(follower)
    try {
      await follower.start()
      return follower
    } catch (error) {
      follower.stop()
      throw error
    }
  }

  close(): void {
    for (const follower of [...this.#followers]) follower.stop()
  }

  /** The id makes a repeated attempt answer like the first: a compare-and-set that won is not reported as lost. */
  async #write(key: string, value: Uint8Array, headers: readonly string[]): Promise<number> {
    const limit = (this.#connection.client.info?.max_payload ?? Number.POSITIVE_INFINITY) - HEADER_BYTES
    if (value.length > limit) throw new BusError('too_large')
    const { requestTimeoutMs } = this.#connection.options
    const lines = [`Nats-Msg-Id: ${randomUUID()}`, ...headers]
    return (await this.#acks.publish(this.#lane, this.#subject(key), lines, Buffer.from(value), requestTimeoutMs)).seq
  }

  #subject(key: string): string {
    return this.#prefix + encodeKey(key)
  }
}

function bucketStream(options: NatsBusOptions, name: string, ttlSeconds: number): Partial<StreamConfig> {
  return {
    name: `KV_${name}`,
    subjects: [`$KV.${name}.>`],
    storage: 'file' as never,
    retention: 'limits' as never,
    discard: 'new' as never,
    num_replicas: options.replicas,
    max_msgs_per_subject: 1,
    max_age: nanoseconds(ttlSeconds),
    duplicate_window: nanoseconds(ttlSeconds > 0 ? Math.min(ttlSeconds, DUPLICATE_WINDOW_SECONDS) : DUPLICATE_WINDOW_SECONDS),
    allow_direct: true,
    allow_rollup_hdrs: true,
    deny_delete: true,
  }
}
