// A short-lived consumer that is asked for batches: reads long stretches of a stream 10 to 100 times cheaper than message by message.

import { randomBytes } from 'node:crypto'
import type { ConsumerConfig, Msg, Subscription } from 'nats'
import { BusError } from './bus.js'
import type { NatsConnection } from './nats-connection.js'
import type { JetStreamApi } from './nats-jetstream.js'

const BATCH_MAX_BYTES = 1024 * 1024
const INACTIVE_NANOS = 15_000_000_000

/** Where a delivered message stands. */
export interface Delivered {
  /** Sequence in the stream. */
  readonly seq: number
  /** Number of the delivery: grows by one each. */
  readonly count: number
  /** When it was stored, milliseconds since the epoch (of the server's clock). */
  readonly storedAt: number
  /** Messages that follow and are there already. */
  readonly pending: number
}

/** How a batch ended: all that was asked for or all there is now · nothing came for too long, or the consumer is gone: make a new one. */
export type BatchEnd = 'complete' | 'broken'

interface Batch {
  readonly expected: number
  got: number
  readonly end: (end: BatchEnd) => void
  silence: NodeJS.Timeout
}

export class PullConsumer {
  readonly #connection: NatsConnection
  readonly #stream: string
  readonly #name: string
  readonly #api: JetStreamApi
  readonly #inbox: string
  readonly #subscription: Subscription
  readonly #onMessage: (message: Msg, delivered: Delivered) => void
  readonly #onLoss = () => this.#batch?.end('broken')
  #batch: Batch | undefined
  #delivered = 0

  /** `onMessage`: the data is borrowed. It must be told apart by the sequence what is wanted twice: a new consumer starts where it is told. */
  static async create(
    connection: NatsConnection,
    api: JetStreamApi,
    stream: string,
    config: Partial<ConsumerConfig>,
    onMessage: (message: Msg, delivered: Delivered) => void,
  ): Promise<PullConsumer> {
    const created = await api.createConsumer(stream, {
      ack_policy: 'none' as never,
      replay_policy: 'instant' as never,
      inactive_threshold: INACTIVE_NANOS,
      mem_storage: true,
      num_replicas: 1,
      ...config,
    })
    return new PullConsumer(connection, api, stream, created.name, created.pending, onMessage)
  }

  private constructor(
    connection: NatsConnection,
    api: JetStreamApi,
    stream: string,
    name: string,
    /** Messages there were when it was made. */
    readonly pending: number,
    onMessage: (message: Msg, delivered: Delivered) => void,
  ) {
    this.#connection = connection
    this.#api = api
    this.#stream = stream
    this.#name = name
    this.#onMessage = onMessage
    // Messages keep the subject they were stored with, so answers cannot be told apart by it: a subscription of its own.
    this.#inbox = `${connection.inboxPrefix}.p.${randomBytes(6).toString('hex')}`
    this.#subscription = connection.client.subscribe(this.#inbox, { callback: (error, message) => this.#received(error, message) })
    connection.lossListeners.add(this.#onLoss)
  }

  /** `waitMs` 0: only what is there. Else waits so long for the first message. `silenceMs` without a word breaks it. */
  fetch(count: number, waitMs: number, silenceMs: number): Promise<BatchEnd> {
    if (this.#batch !== undefined) throw new Error('one batch at a time')
    if (!this.#connection.connected) return Promise.resolve('broken')
    return new Promise((resolve) => {
      const end = (how: BatchEnd) => {
        clearTimeout(this.#batch?.silence)
        this.#batch = undefined
        resolve(how)
      }
      this.#batch = { expected: count, got: 0, end, silence: setTimeout(() => end('broken'), waitMs + silenceMs) }
      const request = { batch: count, max_bytes: BATCH_MAX_BYTES, ...(waitMs === 0 ? { no_wait: true } : { expires: waitMs * 1_000_000 }) }
      try {
        this.#connection.client.publish(`$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${this.#name}`, JSON.stringify(request), {
          reply: this.#inbox,
        })
      } catch (error) {
        this.#connection.options.onError(error, 'consumer')
        end('broken')
      }
    })
  }

  /** Ends it here and at the server. A batch under way is `broken`. Idempotent. */
  stop(): void {
    if (this.#subscription.isClosed()) return
    this.#batch?.end('broken')
    this.#connection.lossListeners.delete(this.#onLoss)
    this.#subscription.unsubscribe()
    this.#api.deleteConsumer(this.#stream, this.#name)
  }

  #received(error: Error | null, message: Msg): void {
    try {
      const batch = this.#batch
      if (error !== null) throw error
      if (batch === undefined) return
      const status = message.headers?.code ?? 0
      if (status > 0) this.#status(batch, status)
      else this.#delivery(batch, message)
    } catch (problem) {
      this.#connection.options.onError(problem, 'consumer')
      this.#batch?.end('broken')
    }
  }

  #delivery(batch: Batch, message: Msg): void {
    const delivered = parseDelivered(message.reply ?? '')
    // A hole: a delivery was lost on the way.
    if (delivered.count !== this.#delivered + 1) {
      batch.end('broken')
      return
    }
    this.#delivered = delivered.count
    batch.got++
    batch.silence.refresh()
    this.#onMessage(message, delivered)
    if (batch.got >= batch.expected) batch.end('complete')
  }

  /** 100 is a sign of life; 404 and 408 say that there is no more, 409 also that a limit of bytes was reached or that the consumer is gone. */
  #status(batch: Batch, status: number): void {
    if (status === 100) batch.silence.refresh()
    else batch.end(status === 404 || status === 408 || (status === 409 && batch.got > 0) ? 'complete' : 'broken')
  }
}

/** `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<tries>.<seq>.<count>.<nanoseconds>.<pending>[.<token>]` */
export function parseDelivered(reply: string): Delivered {
  const words = reply.split('.')
  const at = words.length >= 11 ? 7 : 5
  const [seq, count, nanos, pending] = [words[at], words[at + 1], words[at + 2], words[at + 3]].map(Number)
  if (!(seq && count && nanos) || pending === undefined) throw new BusError('rejected', 'a delivery without its place')
  return { seq, count, storedAt: nanos / 1e6, pending }
}
