// Answers to what this process sends: one wildcard subscription, a number for each call, one coarse timer for all of them.

import type { Msg, MsgHdrs, Subscription } from 'nats'
import { BusError } from './bus.js'
import type { NatsConnection } from './nats-connection.js'

const TICK_MS = 20

/** Somebody who waits for answers. */
export interface Waiting {
  /** `onDue` is called at about this time (of performance.now()); may be moved meanwhile. Infinity: never. */
  dueAt: number
  /** `message.data` is borrowed: a view of the socket's buffer. */
  onReply(message: Msg): void
  onDue(): void
  /** The connection was lost: no answer will come for what was sent. */
  onLost(): void
}

export class ReplyInbox {
  readonly #connection: NatsConnection
  readonly #prefix: string
  readonly #subscription: Subscription
  readonly #waiting = new Map<number, Waiting>()
  #last = 0
  #timer: NodeJS.Timeout | undefined

  constructor(connection: NatsConnection) {
    this.#connection = connection
    this.#prefix = `${connection.inboxPrefix}.r.`
    this.#subscription = connection.client.subscribe(`${this.#prefix}*`, {
      callback: (error, message) => {
        if (error === null) this.#received(message)
        else connection.options.onError(error, 'reply inbox')
      },
    })
  }

  get size(): number {
    return this.#waiting.size
  }

  /** A number for `waiting`, until it is closed. */
  open(waiting: Waiting): number {
    const number = ++this.#last
    this.#waiting.set(number, waiting)
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS)
    return number
  }

  subject(number: number): string {
    return this.#prefix + number.toString(36)
  }

  done(number: number): void {
    this.#waiting.delete(number)
    if (this.#waiting.size === 0) this.#stopTimer()
  }

  /** One question, one answer (whose data is borrowed). Throws BusError `no_responders`, `timeout` or `disconnected`. */
  request(subject: string, data: Uint8Array, timeoutMs: number, headers?: MsgHdrs): Promise<Msg> {
    if (!this.#connection.connected) return Promise.reject(new BusError('disconnected'))
    return new Promise((resolve, reject) => {
      const end = (error: BusError) => {
        this.done(number)
        reject(error)
      }
      const number = this.open({
        dueAt: performance.now() + timeoutMs,
        onReply: (message) => {
          this.done(number)
          if (isNoResponders(message)) reject(new BusError('no_responders'))
          else resolve(message)
        },
        onDue: () => end(new BusError('timeout')),
        onLost: () => end(new BusError('disconnected')),
      })
      try {
        this.#connection.client.publish(subject, data, { reply: this.subject(number), ...(headers === undefined ? {} : { headers }) })
      } catch (error) {
        end(new BusError('rejected', String(error)))
      }
    })
  }

  connectionLost(): void {
    for (const waiting of [...this.#waiting.values()]) this.#guard(() => waiting.onLost())
  }

  close(): void {
    this.#waiting.clear()
    this.#stopTimer()
    this.#subscription.unsubscribe()
  }

  #received(message: Msg): void {
    this.#guard(() => {
      const number = Number.parseInt(message.subject.slice(this.#prefix.length), 36)
      this.#waiting.get(number)?.onReply(message)
    })
  }

  #tick(): void {
    const now = performance.now()
    for (const waiting of this.#waiting.values()) if (waiting.dueAt <= now) this.#guard(() => waiting.onDue())
  }

  #stopTimer(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** An exception in a callback would stop the client's reader. */
  #guard(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.#connection.options.onError(error, 'reply inbox')
    }
  }
}

/** The server's own answer when nobody listens on a subject. */
export function isNoResponders(message: Msg): boolean {
  return message.data.length === 0 && message.headers?.code === 503
}
