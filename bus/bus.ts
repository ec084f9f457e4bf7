// The one thing between gateways, c2s workers and backends: inboxes of users (durable, ordered), their live subjects,
// requests, signals and small key-value buckets. Two implementations with one meaning: NATS and embedded.

/** Ends a subscription or a registration. Idempotent. */
export type Unsubscribe = () => void

/**
 * Why a call on the bus failed.
 * - `no_responders`: nobody listens there, known at once
 * - `timeout`: somebody may have got it, no answer in time
 * - `disconnected`: the bus is away or closing; nothing was sent, or whether it was is unknown
 * - `overloaded`: the limit of calls in flight is reached; nothing was sent
 * - `bad_user`: no user id (see user-token.ts), `too_large`: over `maxMessageBytes`, `rejected`: the store refused
 */
export type BusErrorCode = 'no_responders' | 'timeout' | 'disconnected' | 'overloaded' | 'bad_user' | 'too_large' | 'rejected'

export class BusError extends Error {
  override readonly name = 'BusError'
  constructor(
    readonly code: BusErrorCode,
    message: string = code,
  ) {
    super(message)
  }
}

/** What the store said to a durable publish. `seq` of a duplicate is that of the original. */
export interface PublishAck {
  readonly seq: number
  readonly duplicate: boolean
}

/** A stored message. `data` belongs to the receiver (it is a copy, never a view of a socket's buffer). */
export interface InboxMessage {
  readonly seq: number
  readonly data: Uint8Array
}

/** A stretch of a user's inbox, oldest first. */
export interface InboxPage {
  readonly messages: readonly InboxMessage[]
  /** Messages after the asked position have been evicted or have expired (proved, or not disprovable). */
  readonly truncated: boolean
  /** There are more after the last one (for `readBefore`: before the first one). */
  readonly more: boolean
}

/**
 * What a user's messages are handed to, synchronously, in order. A sink that throws is reported and harms nobody else.
 * `data` may be kept: it is a copy. The same bytes may be handed to several sinks; nobody writes to them.
 */
export interface UserSink {
  /** Strictly increasing `seq`, without gaps unless `lost` was called in between. */
  durable(seq: number, data: Uint8Array): void
  /** At most once, in no promised order to the durable ones. */
  ephemeral(data: Uint8Array): void
  /** Somebody asked (`Bus.ask`); undefined: no answer from here. */
  asked(data: Uint8Array): Uint8Array | undefined
  /** Messages after `after` can't be had any more; the next `durable` follows the hole. `reset`: the store was made anew, sequences start again. */
  lost(after: number, reason: 'evicted' | 'reset'): void
}

/** Live delivery of one user to this process. */
export interface Attachment {
  readonly user: string
  /** Everything stored with a greater sequence comes to the sink; everything up to it can be `read`. 0: the inbox never had a message. */
  readonly from: number
  /** Of the store: positions of another epoch mean nothing here. */
  readonly epoch: string
  detach(): void
}

export interface PublishOptions {
  /** Gives up (`timeout`) after this long; until then it is retried with the same id. Default: the bus's requestTimeoutMs. */
  readonly timeoutMs?: number
}

export interface RequestOptions {
  readonly timeoutMs?: number
}

export interface AskOptions {
  /** How long to wait for the first answer. */
  readonly timeoutMs?: number
  /** Answers expected at the most: resolves as soon as that many came. Default: unlimited. */
  readonly expect?: number
  /** How long to go on collecting after the first answer. Default 50. */
  readonly collectMs?: number
}

export type BusState = 'up' | 'down' | 'closed'

/** Numbers for metrics and for the curious. */
export interface BusStats {
  readonly attached: number
  readonly gaps: number
  readonly healed: number
  readonly duplicatesDropped: number
  readonly inFlight: number
  /** Durable publishes that ended without an acknowledgement, since the start. */
  readonly publishFailures: ReadonlyMap<BusErrorCode, number>
}

/** What both implementations are told. */
export interface BusOptions {
  /** So many messages of a user after any position can be missed and still be had. */
  readonly inboxMaxMessages: number
  readonly inboxMaxAgeSeconds: number
  /** Of one message in an inbox, and of a push. */
  readonly maxMessageBytes: number
  /** A repeated id is noticed for this long; at least 60, and no shorter than the longest retry. */
  readonly duplicateWindowSeconds: number
  readonly requestTimeoutMs: number
  /** Calls of one Bus that wait for their answer. */
  readonly maxInFlight: number
  /** What is nobody's answer: handlers and sinks that throw, retries, a file that was repaired. Must not throw. */
  onError(error: unknown, what: string): void
}

export interface Bus {
  readonly kind: 'nats' | 'embedded'
  readonly state: BusState

  /**
   * Stores `data` in the user's inbox and hands it to everybody attached to the user. Resolves after the store
   * acknowledged (with a data directory: after fsync). Idempotent on (user, id) within the duplicate window (60 s at
   * least). Throws BusError.
   */
  publish(user: string, id: string, data: Uint8Array, options?: PublishOptions): Promise<PublishAck>

  /** `publish` of one message to many users, pipelined within the limit of calls in flight. One result a user, in order. */
  publishMany(users: readonly string[], id: string, data: Uint8Array, options?: PublishOptions): Promise<PromiseSettledResult<PublishAck>[]>

  /** Hands `data` to whoever is attached to the user now; nothing is stored. False: not sent (down, or over the local limit). */
  push(user: string, data: Uint8Array): boolean

  /**
   * `push` of one message to many users, at less than it costs one by one; attached users share `data`, which nobody may change.
   * How many it was sent for: all of them, or as many of the first as went out before the bus was down or over the local limit.
   * Throws BusError `bad_user` and `too_large`, before anything is sent.
   */
  pushMany(users: readonly string[], data: Uint8Array): number

  /** Starts live delivery; at most one attachment a user and Bus. When it resolves, delivery has begun. Throws BusError. */
  attach(user: string, sink: UserSink): Promise<Attachment>

  /** Up to `limit` messages with a sequence > `after` (0: from the start, never truncated). Never stale. Throws BusError. */
  read(user: string, after: number, limit: number): Promise<InboxPage>

  /** Whether everything that was ever stored for the user is still there; true only if that is certain. Throws BusError. */
  isWhole(user: string): Promise<boolean>

  /** The last `limit` messages with a sequence < `before` (Infinity: the newest), oldest first. Throws BusError. */
  readBefore(user: string, before: number, limit: number): Promise<InboxPage>

  /** Epoch of the store that holds the user's inbox. Throws BusError. */
  epoch(user: string): Promise<string>

  /** Asks all processes attached to the user. `offline`: certainly nobody is; `unknown`: somebody may be, but nobody answered. Throws BusError when down. */
  ask(user: string, data: Uint8Array, options?: AskOptions): Promise<Uint8Array[] | 'offline' | 'unknown'>

  /** One request, one answer, from one of those who serve the address (with a queue: any one of the group). Throws BusError. */
  request(address: string, data: Uint8Array, options?: RequestOptions): Promise<Uint8Array>

  /**
   * Answers requests to an address: dot-separated words of [A-Za-z0-9_-]. Servers with the same `queue` share them.
   * A handler that throws or rejects gives no answer (the caller times out). Resolves when requests reach it.
   */
  serve(address: string, handler: (data: Uint8Array) => Promise<Uint8Array> | Uint8Array, queue?: string): Promise<Unsubscribe>

  /** Sends to everybody who listens on the topic (same words as an address). At most once. */
  signal(topic: string, data: Uint8Array): void

  /** A topic may end in `*` (one word). Resolves when signals reach it. */
  onSignal(topic: string, handler: (data: Uint8Array, topic: string) => void): Promise<Unsubscribe>

  /** Opens (and creates, if need be) a bucket. Idempotent; settings that differ from an existing one's are an error. */
  bucket(name: string, options?: BucketOptions): Promise<Bucket>

  /** Called on each change of `state`. */
  onState(handler: (state: BusState) => void): Unsubscribe

  stats(): BusStats

  /** Lets what is in flight finish (at most `deadlineMs`), then closes. */
  close(deadlineMs?: number): Promise<void>
}

export interface BucketOptions {
  /** Entries not written again for this long go away. */
  readonly ttlSeconds?: number
}

export interface BucketEntry {
  readonly value: Uint8Array
  readonly revision: number
}

/**
 * A small durable map. Keys are any strings of 1–512 UTF-8 bytes (implementations encode them). All methods throw BusError;
 * a lost compare-and-set is a value, not an error.
 */
export interface Bucket {
  /** Reads what was written last, by anybody (never stale). */
  get(key: string): Promise<BucketEntry | undefined>
  put(key: string, value: Uint8Array): Promise<number>
  /** The new revision, or undefined if the key exists. */
  create(key: string, value: Uint8Array): Promise<number | undefined>
  /** The new revision, or undefined if `revision` is no longer the last one. */
  update(key: string, value: Uint8Array, revision: number): Promise<number | undefined>
  delete(key: string): Promise<void>
  /** Calls back for every entry there is, then for every change; `value` undefined: deleted. Resolves when the present entries were handed over. */
  follow(onChange: (key: string, value: Uint8Array | undefined) => void): Promise<Follower>
}

export interface Follower {
  /** Resolves when every write that was acknowledged (to anybody) before the call has been handed to `onChange`. */
  caughtUp(): Promise<void>
  stop(): void
}
