// Calls of the JetStream API: to the leader of a stream, or (Direct Get) to any of its replicas; retried while nobody answers.

import type { ConsumerConfig, Msg, StreamConfig, StreamInfo } from 'nats'
import { BusError } from './bus.js'
import type { NatsConnection } from './nats-connection.js'
import { backoffMs, Limiter, sleep } from './nats-limiter.js'

const LEADER_CALLS_LIMIT = 256
/** A new leader, or another replica for a consumer, is found by asking again rather than by waiting. */
const ATTEMPT_LEAST_MS = 500
const ATTEMPT_MOST_MS = 1_500
const BATCH_MAX_BYTES = 256 * 1024

/** The store's refusal. */
export class JetStreamError extends BusError {
  constructor(
    readonly status: number,
    readonly errorCode: number,
    description: string,
  ) {
    super('rejected', description)
  }
}

export interface StoredMessage {
  readonly seq: number
  readonly subject: string
  /** A copy. */
  readonly data: Uint8Array
  readonly header: string
}

export type MessageQuery = { seq: number } | { last_by_subj: string } | { seq: number; next_by_subj: string }

interface ApiAnswer {
  readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string }
}

interface GetAnswer extends ApiAnswer {
  readonly message: { readonly seq: number; readonly subject: string; readonly data?: string; readonly hdrs?: string }
}

export interface CreatedConsumer {
  readonly name: string
  /** Messages there were for it. */
  readonly pending: number
}

export class JetStreamApi {
  readonly #connection: NatsConnection
  readonly #timeoutMs: number
  readonly #limiter = new Limiter(LEADER_CALLS_LIMIT)

  constructor(connection: NatsConnection) {
    this.#connection = connection
    this.#timeoutMs = connection.options.requestTimeoutMs
  }

  /** Throws JetStreamError with status 404 when there is no such stream. */
  streamInfo(stream: string): Promise<StreamInfo> {
    return this.#call(`STREAM.INFO.${stream}`, undefined)
  }

  createStream(config: Partial<StreamConfig>): Promise<StreamInfo> {
    return this.#call(`STREAM.CREATE.${config.name}`, config)
  }

  /** How many messages of one subject are stored. */
  async countOf(stream: string, subject: string): Promise<number> {
    const info = await this.#call<StreamInfo>(`STREAM.INFO.${stream}`, { subjects_filter: subject })
    return info.state.subjects?.[subject] ?? 0
  }

  /** What the leader has; undefined: nothing. Never stale. */
  async message(stream: string, query: MessageQuery): Promise<StoredMessage | undefined> {
    try {
      const { message } = await this.#call<GetAnswer>(`STREAM.MSG.GET.${stream}`, query)
      return {
        seq: message.seq,
        subject: message.subject,
        data: Buffer.from(message.data ?? '', 'base64'),
        header: message.hdrs === undefined ? '' : Buffer.from(message.hdrs, 'base64').toString('latin1'),
      }
    } catch (error) {
      if (error instanceof JetStreamError && error.errorCode === 10037) return undefined // no message found
      throw error
    }
  }

  /** Of the leader: sequence of the last message with this subject, 0 when there is none. Never stale. */
  async lastSequence(stream: string, subject: string): Promise<number> {
    return (await this.message(stream, { last_by_subj: subject }))?.seq ?? 0
  }

  async createConsumer(stream: string, config: Partial<ConsumerConfig>): Promise<CreatedConsumer> {
    const answer = await this.#call<ApiAnswer & { name: string; num_pending: number }>(`CONSUMER.CREATE.${stream}`, {
      stream_name: stream,
      config,
    })
    return { name: answer.name, pending: answer.num_pending }
  }

  /** The consumer would go away by itself; nobody waits for the answer. */
  deleteConsumer(stream: string, name: string): void {
    if (this.#connection.connected) this.#connection.client.publish(`$JS.API.CONSUMER.DELETE.${stream}.${name}`)
  }

  /**
   * From any replica, so maybe some milliseconds old: up to `limit` messages of a subject from a sequence on, but servers
   * before 2.11 give one at a time. Empty: the replica has none.
   */
  async directNext(stream: string, subject: string, seq: number, limit: number): Promise<StoredMessage[]> {
    const query = { seq, next_by_subj: subject, ...(limit > 1 ? { batch: limit, max_bytes: BATCH_MAX_BYTES } : {}) }
    return this.#retried((timeoutMs) => this.#direct(stream, query, timeoutMs))
  }

  /** From any replica: sequence of the last message with this subject, 0 when there is none. */
  async directLast(stream: string, subject: string): Promise<number> {
    const [message] = await this.#retried((timeoutMs) => this.#direct(stream, { last_by_subj: subject }, timeoutMs))
    return message?.seq ?? 0
  }

  /** A batch is told by its headers; it ends with status 204. Anything else is one message. */
  #direct(stream: string, query: object, timeoutMs: number): Promise<StoredMessage[]> {
    if (!this.#connection.connected) return Promise.reject(new BusError('disconnected'))
    const { inbox, client } = this.#connection
    return new Promise((resolve, reject) => {
      const messages: StoredMessage[] = []
      const end = (error?: BusError) => {
        inbox.done(number)
        // Answers come in order, so those of a batch that broke off are a stretch without holes.
        if (error === undefined || messages.length > 0) resolve(messages)
        else reject(error)
      }
      const number = inbox.open({
        dueAt: performance.now() + timeoutMs,
        onReply: (reply) => {
          const status = reply.headers?.code ?? 0
          if (status === 503) return end(new BusError('no_responders'))
          if (status === 204 || status === 404) return end()
          if (status >= 400) return end(new JetStreamError(status, 0, reply.headers?.description ?? 'refused'))
          messages.push(directMessage(reply))
          if (!reply.headers?.has('Nats-Num-Pending')) end()
        },
        onDue: () => end(new BusError('timeout')),
        onLost: () => end(new BusError('disconnected')),
      })
      client.publish(`$JS.API.DIRECT.GET.${stream}`, JSON.stringify(query), { reply: inbox.subject(number) })
    })
  }

  #call<T>(api: string, body: unknown): Promise<T> {
    const data = body === undefined ? new Uint8Array() : Buffer.from(JSON.stringify(body))
    return this.#retried(async (timeoutMs) => {
      const reply = await this.#connection.inbox.request(`$JS.API.${api}`, data, timeoutMs)
      const answer = JSON.parse(reply.string()) as T & ApiAnswer
      if (answer.error === undefined) return answer
      const { code, err_code: errorCode = 0, description = 'refused' } = answer.error
      throw isPassing(errorCode) ? new BusError('no_responders', description) : new JetStreamError(code, errorCode, description)
    })
  }

  /** Nobody there, no answer, connection lost: again, until the time is over. */
  #retried<T>(call: (timeoutMs: number) => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.#timeoutMs
    const attemptMs = Math.min(Math.max(this.#timeoutMs / 4, ATTEMPT_LEAST_MS), ATTEMPT_MOST_MS)
    return this.#limiter.run(deadline, async () => {
      for (let attempt = 1; ; attempt++) {
        await this.#connection.whenConnected(deadline)
        try {
          return await call(Math.min(deadline - performance.now(), attemptMs))
        } catch (error) {
          if (!(error instanceof BusError) || error instanceof JetStreamError) throw error
          const pauseMs = backoffMs(attempt, 20, 500)
          if (performance.now() + pauseMs >= deadline) {
            throw error.code === 'no_responders' ? new BusError('disconnected', 'JetStream is not available') : error
          }
          await sleep(pauseMs)
        }
      }
    })
  }
}

/** The cluster has no leader at the moment: what was asked may be asked again. */
export function isPassing(errorCode: number): boolean {
  return errorCode === 10008 || errorCode === 10009
}

function directMessage(reply: Msg): StoredMessage {
  const seq = Number(reply.headers?.last('Nats-Sequence') ?? 0)
  const subject = reply.headers?.last('Nats-Subject') ?? ''
  return { seq, subject, data: Buffer.from(reply.data), header: '' }
}
