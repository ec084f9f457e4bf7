// Reads stretches of a user's inbox: the leader says how far, replicas give the messages, the leader proves that none was evicted.

import type { InboxMessage, InboxPage } from './bus.js'
import { BusError } from './bus.js'
import type { NatsConnection } from './nats-connection.js'
import type { JetStreamApi, StoredMessage } from './nats-jetstream.js'
import { sleep } from './nats-limiter.js'
import { type BatchEnd, PullConsumer } from './nats-pull-consumer.js'
import { largestStoredBytes } from './nats-streams.js'

/** From here on a consumer is cheaper than asking for each message. */
const LOOP_LIMIT = 32
const BATCH = 64
const STALE_ATTEMPTS = 10
const SCAN_ATTEMPTS = 5
const SILENCE_MS = 1_500

/** One user's inbox in its stream. */
export interface InboxPlace {
  readonly stream: string
  readonly subject: string
}

export class InboxReader {
  readonly #connection: NatsConnection
  readonly #api: JetStreamApi
  /** The position is beyond the last message: maybe the stream was made anew. */
  readonly #onSuspicion: (stream: string) => void

  constructor(connection: NatsConnection, api: JetStreamApi, onSuspicion: (stream: string) => void) {
    this.#connection = connection
    this.#api = api
    this.#onSuspicion = onSuspicion
  }

  async read(place: InboxPlace, after: number, limit: number): Promise<InboxPage> {
    const target = await this.#api.lastSequence(place.stream, place.subject)
    if (target <= after) {
      if (target < after) this.#onSuspicion(place.stream)
      return { messages: [], truncated: after > 0 && target < after, more: false }
    }
    const messages = await this.#stretch(place, after + 1, target, limit)
    const last = messages.at(-1)?.seq ?? after
    return { messages, truncated: !(await this.#isWhole(place, after)), more: messages.length >= limit && last < target }
  }

  async readBefore(place: InboxPlace, before: number, limit: number): Promise<InboxPage> {
    const target = Math.min(before - 1, await this.#api.lastSequence(place.stream, place.subject))
    if (target <= 0 || limit <= 0) return { messages: [], truncated: false, more: false }
    const seqs = await this.#sequencesTo(place, target)
    const from = seqs.at(-limit) ?? seqs[0]
    if (from === undefined) return { messages: [], truncated: false, more: false }
    const messages = await this.#stretch(place, from, seqs.at(-1) ?? from, limit)
    return { messages, truncated: false, more: seqs.length > limit }
  }

  /**
   * Eviction takes the oldest of a user first: as long as the message at `after` is there, none after it has gone. Asked
   * last, so that it holds for everything read before, and of the leader, whom no replica is ahead of.
   */
  async #isWhole(place: InboxPlace, after: number): Promise<boolean> {
    if (after === 0) return true
    return (await this.#api.message(place.stream, { seq: after }))?.subject === place.subject
  }

  /** Messages from `from` on until `target` is reached or there are `limit`. Fewer only when `target` has gone meanwhile. */
  async #stretch(place: InboxPlace, from: number, target: number, limit: number): Promise<InboxMessage[]> {
    const messages: InboxMessage[] = []
    let next = from
    let batches = true
    while (next <= target && messages.length < limit) {
      const wanted = limit - messages.length
      let got: StoredMessage[] = []
      if (messages.length >= LOOP_LIMIT && !batches) got = await this.#consume(place, next, target, wanted)
      if (got.length === 0) {
        got = await this.#nextFresh(place, next, Math.min(wanted, BATCH))
        batches = got.length > 1
      }
      const last = got.at(-1)
      if (last === undefined) break
      for (const { seq, data } of got) if (seq <= target) messages.push({ seq, data })
      next = last.seq + 1
    }
    return messages
  }

  /** At least one message, even from a replica that is behind; empty when the leader has none either. */
  async #nextFresh(place: InboxPlace, seq: number, limit: number): Promise<StoredMessage[]> {
    for (let attempt = 0; attempt < STALE_ATTEMPTS; attempt++) {
      const got = await this.#api.directNext(place.stream, place.subject, seq, limit)
      if (got.length > 0) return got
      await sleep(Math.min(50, 2 << attempt))
    }
    const message = await this.#api.message(place.stream, { seq, next_by_subj: place.subject })
    return message === undefined ? [] : [message]
  }

  async #consume(place: InboxPlace, from: number, target: number, limit: number): Promise<StoredMessage[]> {
    const messages: StoredMessage[] = []
    // If it breaks, what came is a stretch without holes, and the caller goes on after it.
    await this.#scan(place, from, limit, false, (message) => {
      messages.push(message)
      return messages.length < limit && message.seq < target
    })
    return messages
  }

  /** Sequences of all messages up to `target`: at most as many as an inbox holds. */
  async #sequencesTo(place: InboxPlace, target: number): Promise<number[]> {
    for (let attempt = 0; ; attempt++) {
      const seqs: number[] = []
      let seen = 0
      const end = await this.#scan(place, 1, Number.MAX_SAFE_INTEGER, true, ({ seq }) => {
        seen = seq
        if (seq <= target) seqs.push(seq)
        return seq < target
      })
      // A consumer on a replica that is behind ends too early; when the target itself has gone there is nothing to wait for.
      if (seen >= target) return seqs
      if (attempt >= SCAN_ATTEMPTS) throw new BusError(this.#connection.connected ? 'timeout' : 'disconnected')
      if (end !== 'broken' && (await this.#api.message(place.stream, { seq: seen + 1, next_by_subj: place.subject })) === undefined)
        return seqs
      await sleep(Math.min(50, 2 << attempt))
    }
  }

  /** Everything there is from `from` on, until `onMessage` says false. */
  async #scan(
    place: InboxPlace,
    from: number,
    limit: number,
    headersOnly: boolean,
    onMessage: (message: StoredMessage) => boolean,
  ): Promise<BatchEnd> {
    let wanted = true
    let left = 0
    const consumer = await PullConsumer.create({
      connection: this.#connection,
      api: this.#api,
      stream: place.stream,
      config: {
        filter_subject: place.subject,
        deliver_policy: 'by_start_sequence' as never,
        opt_start_seq: from,
        ...(headersOnly ? { headers_only: true } : {}),
      },
      largestBytes: largestStoredBytes(this.#connection.options),
      onMessage: (message, { seq, pending }) => {
        left = pending
        const data = headersOnly ? new Uint8Array() : Buffer.from(message.data)
        if (wanted) wanted = onMessage({ seq, subject: place.subject, data, header: '' })
      },
    })
    try {
      left = consumer.pending
      while (wanted && left > 0) {
        const end = await consumer.fetch(Math.min(left, limit, 1_000), 0, SILENCE_MS)
        if (end !== 'complete') return end
      }
      return 'complete'
    } finally {
      consumer.stop()
    }
  }
}
