// Requests, answers and signals between processes.

import type { Msg } from 'nats'
import { type AskOptions, BusError, type Unsubscribe } from './bus.js'
import type { NatsConnection } from './nats-connection.js'
import { isNoResponders } from './nats-reply-inbox.js'
import { subjects } from './nats-streams.js'
import { userToken } from './user-token.js'

const ADDRESS = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/
const TOPIC = /^([A-Za-z0-9_-]+\.)*([A-Za-z0-9_-]+|\*)$/
/** First words of the subjects that are not addresses. */
const TAKEN = new Set(['in', 'u', 'us', 'sig', '_INBOX'])
const COLLECT_MS = 50

export class NatsRpc {
  readonly #connection: NatsConnection
  #asking = 0
  #answering = 0

  constructor(connection: NatsConnection) {
    this.#connection = connection
  }

  /** Requests that wait for an answer, and handlers that have not given theirs. */
  get inFlight(): number {
    return this.#asking + this.#answering
  }

  async request(address: string, data: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const subject = addressSubject(address)
    this.#check(data)
    this.#asking++
    try {
      return Buffer.from((await this.#connection.inbox.request(subject, Buffer.from(data), timeoutMs)).data)
    } finally {
      this.#asking--
    }
  }

  async ask(user: string, data: Uint8Array, timeoutMs: number, options: AskOptions): Promise<Uint8Array[] | 'offline' | 'unknown'> {
    const subject = subjects.user(userToken(user))
    this.#check(data)
    if (!this.#connection.connected) throw new BusError('disconnected')
    this.#asking++
    try {
      return await this.#collect(subject, data, timeoutMs, options)
    } finally {
      this.#asking--
    }
  }

  async serve(address: string, handler: (data: Uint8Array) => Promise<Uint8Array> | Uint8Array, queue?: string): Promise<Unsubscribe> {
    const callback = (message: Msg) => {
      // The reply subject alone is kept while the handler works: the message would keep the socket's buffer.
      const { reply } = message
      if (reply === undefined || reply === '') return
      this.#answering++
      this.#answer(reply, handler, Buffer.from(message.data))
        .catch((error) => this.#connection.options.onError(error, `handler of ${address}`))
        .finally(() => this.#answering--)
    }
    return this.#subscribe(addressSubject(address), callback, queue)
  }

  signal(topic: string, data: Uint8Array): void {
    if (!ADDRESS.test(topic)) throw new BusError('rejected', `not a topic: ${topic}`)
    if (data.length > (this.#connection.client.info?.max_payload ?? data.length)) throw new BusError('too_large')
    this.#connection.send(`sig.${topic}`, Buffer.from(data))
  }

  async onSignal(topic: string, handler: (data: Uint8Array, topic: string) => void): Promise<Unsubscribe> {
    if (!TOPIC.test(topic)) throw new BusError('rejected', `not a topic: ${topic}`)
    // Signals that are on their way when it ends are nobody's, unlike requests, which somebody waits for.
    let listener: typeof handler | undefined = handler
    const unsubscribe = await this.#subscribe(`sig.${topic}`, (message) => listener?.(Buffer.from(message.data), message.subject.slice(4)))
    return () => {
      listener = undefined
      unsubscribe()
    }
  }

  /** Everybody's answers; the server says at once when nobody is there to give one. */
  #collect(subject: string, data: Uint8Array, timeoutMs: number, options: AskOptions): Promise<Uint8Array[] | 'offline' | 'unknown'> {
    const { inbox, client } = this.#connection
    const answers: Uint8Array[] = []
    return new Promise((resolve, reject) => {
      const end = (result: Uint8Array[] | 'offline' | 'unknown') => {
        inbox.done(number)
        resolve(result)
      }
      const waiting = {
        dueAt: performance.now() + timeoutMs,
        onReply: (message: Msg) => {
          if (isNoResponders(message)) return end('offline')
          answers.push(Buffer.from(message.data))
          if (answers.length >= (options.expect ?? Number.POSITIVE_INFINITY)) return end(answers)
          if (answers.length === 1) waiting.dueAt = performance.now() + (options.collectMs ?? COLLECT_MS)
        },
        onDue: () => end(answers.length > 0 ? answers : 'unknown'),
        onLost: () => {
          inbox.done(number)
          reject(new BusError('disconnected'))
        },
      }
      const number = inbox.open(waiting)
      client.publish(subject, Buffer.from(data), { reply: inbox.subject(number) })
    })
  }

  async #answer(reply: string, handler: (data: Uint8Array) => Promise<Uint8Array> | Uint8Array, data: Uint8Array): Promise<void> {
    const answer = await handler(data)
    if (this.#connection.connected) this.#connection.client.publish(reply, Buffer.from(answer))
  }

  /** Resolves when it is in place at the server. The end is drained: what the server has sent already is still handled. */
  async #subscribe(subject: string, callback: (message: Msg) => void, queue?: string): Promise<Unsubscribe> {
    const { client, options } = this.#connection
    const subscription = client.subscribe(subject, {
      ...(queue === undefined ? {} : { queue }),
      callback: (error, message) => {
        try {
          if (error !== null) throw error
          callback(message)
        } catch (problem) {
          options.onError(problem, `handler of ${subject}`)
        }
      },
    })
    try {
      await this.#connection.subscribed(performance.now() + options.requestTimeoutMs)
      // The client closes what the server refuses.
      if (subscription.isClosed()) throw new BusError('rejected', `not allowed to subscribe to ${subject}`)
    } catch (error) {
      subscription.unsubscribe()
      throw error
    }
    return () => {
      if (subscription.isClosed() || subscription.isDraining()) return
      if (this.#connection.connected) subscription.drain().catch((error) => options.onError(error, `end of ${subject}`))
      else subscription.unsubscribe()
    }
  }

  #check(data: Uint8Array): void {
    if (data.length > (this.#connection.client.info?.max_payload ?? data.length)) throw new BusError('too_large')
    if (this.#asking >= this.#connection.options.maxInFlight) throw new BusError('overloaded')
  }
}

function addressSubject(address: string): string {
  const [first = ''] = address.split('.', 1)
  if (!ADDRESS.test(address) || TAKEN.has(first)) throw new BusError('rejected', `not an address: ${address}`)
  return address
}
