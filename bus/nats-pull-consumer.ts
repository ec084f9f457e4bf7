// A short-lived consumer that is asked for batches: reads long stretches of a stream 10 to 100 times cheaper than message by message.

import { randomBytes } from 'node:crypto'
import type { ConsumerConfig, Msg, Subscription } from 'nats'
import { BusError } from './bus.js'
import type { NatsConnection } from './nats-connection.js'
import type { JetStreamApi } from './nats-jetstream.js'

/** Well below what a server lets a connection fall behind (`max_pending`), but never less than one message. */
const BATCH_BYTES = 256 * 1024
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

/** How a batch ended: all that was asked for, or all there is now · there was nothing · the consumer is silent or gone: make a new one. */
export type BatchEnd = 'complete' | 'empty' | 'broken'

interface Batch {
  readonly expected: number
  got: number
  readonly end: (end: BatchEnd) => void
  silence: NodeJS.Timeout
}

export interface ConsumerSetup {
  readonly connection: NatsConnection
  readonly api: JetStreamApi
  readonly stream: string
  /** Which messages, and from where on. */
  readonly config: Partial<ConsumerConfig>
  /** No message of the stream is larger. */
  readonly largestBytes: number
  /** In order and without holes. The message's data is borrowed. */
  onMessage(message: Msg, delivered: Delivered): void
}

export class PullConsumer {
  readonly #setup: ConsumerSetup
  readonly #name: string
  readonly #inbox: string
  readonly #subscription: Subscription
  readonly #onLoss = () => this.#batch?.end('broken')
  #batch: Batch | undefined
  #delivered = 0

  static async create(setup: ConsumerSetup): Promise<PullConsumer> {
    const { name, pending } = await setup.api.createConsumer(setup.stream, {
      ack_policy: 'none' as never,
      replay_policy: 'instant' as never,
      inactive_threshold: INACTIVE_NANOS,
      mem_storage: true,
      num_replicas: 1,
      ...setup.config,
    })
    return new PullConsumer(setup, name, pending)
  }

  private constructor(
    setup: ConsumerSetup,
    name: string,
    /** Messages there were when it was made. */
    readonly pending: number,
  ) {
    this.#setup = setup
    this.#name = name
    // Messages keep the subject they were stored with, so answers cannot be told apart by it: a subscription of its own.
    const { connection } = setup
    this.#inbox = `${connection.inboxPrefix}.p.${randomBytes(6).toString('hex')}`
    this.#subscription = connection.client.subscribe(this.#inbox, { callback: (error, message) => this.#received(error, message) })
    connection.lossListeners.add(this.#onLoss)
  }

  /** `waitMs` 0: only what is there. Else waits so long for the first message. `silenceMs` without a word breaks it. */
  fetch(count: number, waitMs: number, silenceMs: number): Promise<BatchEnd> {
    if (this.#batch !== undefined) throw new Error('one batch at a time')
    const { connection, stream, largestBytes } = this.#setup
    if (!connection.connected) return Promise.resolve('broken')
    return new Promise((resolve) => {
      const end = (how: BatchEnd) => {
        clearTimeout(this.#batch?.silence)
        this.#batch = undefined
        resolve(how)
      }
      this.#batch = { expected: count, got: 0, end, silence: setTimeout(() => end('broken'), waitMs + silenceMs) }
      const request = {
        batch: count,
        max_bytes: Math.max(BATCH_BYTES, 2 * largestBytes),
        ...(waitMs === 0 ? { no_wait: true } : { expires: waitMs * 1_000_000 }),
      }
      try {
        const subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${this.#name}`
        connection.client.publish(subject, JSON.stringify(request), { reply: this.#inbox })
      } catch (error) {
        connection.options.onError(error, 'consumer')
        end('broken')
      }
    })
  }

  /** Ends it here and at the server. A batch under way is `broken`. Idempotent. */
  stop(): void {
    if (this.#subscription.isClosed()) return
    this.#batch?.end('broken')
    this.#setup.connection.lossListeners.delete(this.#onLoss)
    this.#subscription.unsubscribe()
    this.#setup.api.deleteConsumer(this.#setup.stream, this.#name)
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
      this.#setup.connection.options.onError(problem, 'consumer')
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
    this.#setup.onMessage(message, delivered)
    if (batch.got >= batch.expected) batch.end('complete')
  }

  /** 100 is a sign of life; 404 and 408 say that there is no more, 409 also that a limit of bytes was reached or that the consumer is gone. */
  #status(batch: Batch, status: number): void {
    if (status === 100) batch.silence.refresh()
    else if (status !== 404 && status !== 408 && status !== 409) batch.end('broken')
    else if (batch.got > 0) batch.end('complete')
    else batch.end(status === 409 ? 'broken' : 'empty')
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
