// Durable publishes: many at once without a promise chain or timer each, retried with the same id until the store has
// acknowledged them. What goes to one stream goes in order: after trouble one message is tried alone before the rest follows.

import type { Msg, MsgHdrs } from 'nats'
import { BusError, type PublishAck } from './bus.js'
import type { NatsConnection } from './nats-connection.js'
import { isPassing, JetStreamError } from './nats-jetstream.js'
import { backoffMs } from './nats-limiter.js'
import { isNoResponders, type Waiting } from './nats-reply-inbox.js'

const TICK_MS = 20
const ACK_WAIT_MS = 2_000
const PROBE_FIRST_MS = 50
const PROBE_LIMIT_MS = 1_000
/** Of payloads in flight; beside the limit of their number. */
const IN_FLIGHT_LIMIT_BYTES = 64 * 1024 * 1024

/**
 * How things stand with a stream: messages flow · somebody's acknowledgement failed to come, nothing is sent before
 * `until` · one message was sent to see whether it works again.
 */
type LaneState =
  | { readonly kind: 'open' }
  | { readonly kind: 'blocked'; readonly attempt: number; readonly until: number }
  | { readonly kind: 'probing'; readonly attempt: number; readonly probe: Pending }

/** What waits for one stream, in the order it was published. */
export class Lane {
  readonly queue = new Set<Pending>()
  state: LaneState = { kind: 'open' }
}

interface AckAnswer {
  readonly seq: number
  readonly duplicate?: boolean
  readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string }
}

class Pending implements Waiting {
  /** The inbox's own timer looks after deadlines. */
  readonly dueAt = Number.POSITIVE_INFINITY
  number = 0
  /** Of the last attempt; Infinity: not sent, or to be sent again. */
  sentAt = Number.POSITIVE_INFINITY

  constructor(
    readonly owner: AckInbox,
    readonly lane: Lane,
    readonly subject: string,
    readonly headers: MsgHdrs,
    readonly data: Uint8Array,
    readonly deadline: number,
    readonly resolve: (ack: PublishAck) => void,
    readonly reject: (error: BusError) => void,
  ) {}

  onReply(message: Msg): void {
    this.owner.answered(this, message)
  }
  onLost(): void {
    this.owner.trouble(this.lane)
  }
  onDue(): void {}
}

export class AckInbox {
  readonly #connection: NatsConnection
  readonly #limit: number
  readonly #ackWaitMs: number
  readonly #lanes = new Set<Lane>()
  readonly #waitingForRoom: (() => void)[] = []
  #state: 'open' | 'closed' = 'open'
  #count = 0
  #bytes = 0
  #timer: NodeJS.Timeout | undefined

  constructor(connection: NatsConnection) {
    this.#connection = connection
    this.#limit = connection.options.maxInFlight
    // At least two attempts within the usual time.
    this.#ackWaitMs = Math.min(ACK_WAIT_MS, connection.options.requestTimeoutMs / 2)
  }

  get inFlight(): number {
    return this.#count
  }

  /** `headers`: lines of plain text without line breaks, `Nats-Msg-Id` among them. Throws BusError, JetStreamError for a refusal. */
  publish(lane: Lane, subject: string, headers: readonly string[], data: Uint8Array, timeoutMs: number): Promise<PublishAck> {
    if (this.#state === 'closed') return Promise.reject(new BusError('disconnected', 'the bus is closed'))
    if (!this.#hasRoom(data.length)) return Promise.reject(new BusError('overloaded'))
    return new Promise((resolve, reject) => {
      const pending = new Pending(this, lane, subject, rawHeaders(headers), data, performance.now() + timeoutMs, resolve, reject)
      pending.number = this.#connection.inbox.open(pending)
      this.#count++
      this.#bytes += data.length
      lane.queue.add(pending)
      this.#lanes.add(lane)
      this.#timer ??= setInterval(() => this.#tick(), TICK_MS)
      if (!this.#connection.connected) this.trouble(lane)
      else if (lane.state.kind === 'open') this.#send(pending)
    })
  }

  /** Resolves when there is room for one more call with so many bytes. */
  async room(bytes: number): Promise<void> {
    while (this.#count > 0 && !this.#hasRoom(bytes)) await new Promise<void>((resolve) => this.#waitingForRoom.push(resolve))
  }

  /** After the connection is back: does not wait for the next tick. */
  resume(): void {
    if (this.#count > 0) this.#tick()
  }

  /** What is still waiting is `disconnected`. */
  close(): void {
    this.#state = 'closed'
    for (const lane of this.#lanes) for (const pending of [...lane.queue]) this.#settle(pending, new BusError('disconnected'))
  }

  /** For `Pending`: what the store said. */
  answered(pending: Pending, message: Msg): void {
    const answer = isNoResponders(message) ? undefined : (JSON.parse(message.string()) as AckAnswer)
    if (answer === undefined || isPassing(answer.error?.err_code ?? 0)) this.trouble(pending.lane, pending)
    else if (answer.error === undefined) this.#settle(pending, { seq: answer.seq, duplicate: answer.duplicate === true })
    else this.#settle(pending, new JetStreamError(answer.error.code, answer.error.err_code ?? 0, answer.error.description ?? 'refused'))
  }

  /** For `Pending`: no acknowledgement came or will come. Everything unacknowledged will be sent again, in order, after a probe. */
  trouble(lane: Lane, pending?: Pending): void {
    const { state } = lane
    if (state.kind === 'blocked' || (state.kind === 'probing' && pending !== undefined && pending !== state.probe)) return
    const attempt = state.kind === 'open' ? 1 : state.attempt + 1
    for (const each of lane.queue) each.sentAt = Number.POSITIVE_INFINITY
    lane.state = { kind: 'blocked', attempt, until: performance.now() + backoffMs(attempt, PROBE_FIRST_MS, PROBE_LIMIT_MS) }
  }

  #hasRoom(bytes: number): boolean {
    return this.#count < this.#limit && this.#bytes + bytes <= IN_FLIGHT_LIMIT_BYTES
  }

  #send(pending: Pending): void {
    try {
      pending.sentAt = performance.now()
      const reply = this.#connection.inbox.subject(pending.number)
      this.#connection.client.publish(pending.subject, pending.data, { reply, headers: pending.headers })
    } catch (error) {
      this.#settle(pending, new BusError('rejected', String(error)))
    }
  }

  #settle(pending: Pending, result: PublishAck | BusError): void {
    const { lane } = pending
    if (!lane.queue.delete(pending)) return
    this.#connection.inbox.done(pending.number)
    this.#count--
    this.#bytes -= pending.data.length
    if (lane.queue.size === 0) this.#lanes.delete(lane)
    if (result instanceof BusError) pending.reject(result)
    else pending.resolve(result)
    if (lane.state.kind === 'probing' && lane.state.probe === pending) this.#probed(lane, result)
    for (const wake of this.#waitingForRoom.splice(0)) wake()
    if (this.#count === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }

  /** Any word of the store about the probe, even a refusal, says that it works again; a probe that ran out of time says nothing. */
  #probed(lane: Lane, result: PublishAck | BusError): void {
    if (result instanceof BusError && result.code === 'timeout') {
      lane.state = { kind: 'blocked', attempt: 1, until: 0 }
      return
    }
    lane.state = { kind: 'open' }
    for (const pending of [...lane.queue]) this.#send(pending)
  }

  #tick(): void {
    const now = performance.now()
    for (const lane of [...this.#lanes]) {
      for (const pending of lane.queue) {
        if (pending.deadline <= now) this.#settle(pending, new BusError('timeout'))
      }
      const [first] = lane.queue
      if (first === undefined) {
        lane.state = { kind: 'open' }
      } else if (lane.state.kind === 'blocked') {
        if (lane.state.until > now || !this.#connection.connected) continue
        lane.state = { kind: 'probing', attempt: lane.state.attempt, probe: first }
        this.#send(first)
      } else {
        const oldest = lane.state.kind === 'probing' ? lane.state.probe : first
        if (oldest.sentAt + this.#ackWaitMs <= now) this.trouble(lane)
      }
    }
  }
}

/** What `client.publish` needs of headers, without the client's canonical form (a third of the cost of a publish). */
function rawHeaders(lines: readonly string[]): MsgHdrs {
  const encoded = Buffer.from(`NATS/1.0\r\n${lines.join('\r\n')}\r\n\r\n`)
  return { encode: () => encoded } as unknown as MsgHdrs
}
