// One attached user: subscription, attachment and delivery state in one object, since there are hundreds of thousands of them.
//
// The rule for a live message `seq` whose predecessor of the same user is `previous`, with `last` delivered so far:
//   seq ≤ last       it is known already: drop
//   previous ≤ last  it is the next one: deliver (0 says nothing: first, or all before it are gone)
//   previous > last  something between was lost: hold it back, read what is missing, go on

import type { Msg } from 'nats'
import type { Attachment, InboxMessage, InboxPage, UserSink } from './bus.js'
import { hasReply, headerText, type LightSubscription, lastNumber } from './nats-light-subscription.js'
import type { Partition } from './nats-partition.js'

/** Of what came live while it could not be delivered. Over either limit it is dropped and read from the store later. */
const QUEUE_LIMIT = 256
const QUEUE_LIMIT_BYTES = 1024 * 1024

/** What an entry needs of those who keep it. */
export interface EntryKeeper {
  /** Holds more than nothing: the entry reads the store until it is level with it. */
  heal(entry: UserEntry): void
  /** A live message came twice, or the stream was made anew. */
  repeated(entry: UserEntry): void
  /** Nothing may be sent to this user's subject any more: the server refused the subscription. */
  refused(entry: UserEntry, error: Error): void
  dropLive(user: string, seq: number): boolean
  detach(entry: UserEntry): void
  onError(error: unknown, what: string): void
}

interface Queued {
  readonly seq: number
  readonly previous: number
  readonly data: Uint8Array
}

/**
 * Why live messages wait: the position to start from is not known yet · something is missing and being read · the
 * connection was lost, and what came meanwhile is being replayed · it has ended.
 */
export type HoldReason = 'joining' | 'healing' | 'replaying' | 'detached'

class Hold {
  readonly queue: Queued[] = []
  /** From the replay: contiguous, older than the queue. */
  readonly replayed: InboxMessage[] = []
  bytes = 0
  /** The queue is not all there is: read the store (once more) before going live. */
  again = false
  constructor(readonly reason: HoldReason) {}
}

const DETACHED = new Hold('detached')

export class UserEntry implements Attachment, LightSubscription {
  sid = 0
  received = 0
  max: number | undefined = undefined
  from = 0
  /** Sequence of the last message handed to the sink, or of the one delivery started after. */
  last = 0
  /** Undefined: live. */
  #hold: Hold | undefined = new Hold('joining')

  constructor(
    readonly user: string,
    readonly subject: string,
    readonly partition: Partition,
    readonly keeper: EntryKeeper,
    readonly sink: UserSink,
  ) {}

  /** For the client: not a member of a queue group. */
  get queue(): undefined {
    return undefined
  }

  get epoch(): string {
    return this.partition.epoch
  }

  get held(): HoldReason | undefined {
    return this.#hold?.reason
  }

  detach(): void {
    if (this.#hold === DETACHED) return
    this.#hold = DETACHED
    this.keeper.detach(this)
  }

  // ---- from the client; an exception in here would stop its reader ----

  callback(error: Error | null, message: Msg): void {
    try {
      if (error !== null) {
        this.keeper.refused(this, error)
        return
      }
      const header = headerText(message)
      const seq = header === '' ? 0 : lastNumber(header, 'Nats-Sequence')
      if (seq > 0) this.#live(seq, lastNumber(header, 'Nats-Last-Sequence'), message)
      else if (hasReply(message)) this.#asked(message)
      else this.sink.ephemeral(Buffer.from(message.data))
    } catch (problem) {
      this.keeper.onError(problem, 'user sink')
    }
  }
  close(): void {}
  drain(): Promise<void> {
    return Promise.resolve()
  }
  unsubscribe(): void {
    this.detach()
  }

  // ---- from the keeper ----

  /** An ephemeral message that came with others' names on it. */
  pushed(data: Uint8Array): void {
    try {
      this.sink.ephemeral(data)
    } catch (problem) {
      this.keeper.onError(problem, 'user sink')
    }
  }

  /** Joining is over: delivery goes on after `position`. */
  joined(position: number): void {
    this.from = position
    this.last = position
    this.release()
  }

  /** The connection was lost: what came until now is all that came live. */
  connectionLost(): void {
    if (this.#hold === undefined) this.#hold = new Hold('replaying')
    else if (this.#hold.reason === 'healing') this.#hold.again = true
  }

  /** A message of the replay, in order; `limit`: with more of them than that, some before may have been evicted, so the store is read instead. */
  replayed(message: InboxMessage, limit: number): void {
    const hold = this.#hold
    if (hold?.reason !== 'replaying' || hold.again || message.seq <= this.last) return
    hold.replayed.push(message)
    if (hold.replayed.length > limit) this.skipReplay()
  }

  /** What the replay gave is not to be used. */
  skipReplay(): void {
    if (this.#hold?.reason !== 'replaying') return
    this.#hold.again = true
    this.#hold.replayed.length = 0
  }

  /** A stretch of the store that begins right after `last`. */
  healed(page: InboxPage): void {
    if (page.truncated) this.lost('evicted')
    for (const { seq, data } of page.messages) if (seq > this.last && this.#hold !== DETACHED) this.#deliver(seq, data)
  }

  /** The next attempt to heal covers everything stored before it. */
  healing(): void {
    if (this.#hold?.reason === 'healing') this.#hold.again = false
  }

  /** Reads the store, if the entry is live. */
  behind(): void {
    if (this.#hold !== undefined) return
    this.#hold = new Hold('healing')
    this.keeper.heal(this)
  }

  lost(reason: 'evicted' | 'reset'): void {
    try {
      this.sink.lost(this.last, reason)
    } catch (problem) {
      this.keeper.onError(problem, 'user sink')
    }
  }

  /** The stream was made anew: its sequences have begun again, and all of it is news. */
  reset(): void {
    const hold = this.#hold
    if (hold?.reason === 'joining' || hold === DETACHED) return
    this.lost('reset')
    if (this.#hold === DETACHED) return
    this.last = 0
    if (hold?.reason === 'healing') {
      this.#forget(hold)
      return
    }
    this.#hold = new Hold('healing')
    this.keeper.heal(this)
  }

  /** Hands over what was held back, then it is live; unless that shows that something is missing. */
  release(): void {
    const hold = this.#hold
    if (hold === undefined || hold === DETACHED) return
    this.#hold = undefined
    for (const { seq, data } of hold.replayed) if (seq > this.last && this.#hold !== DETACHED) this.#deliver(seq, data)
    for (const { seq, previous, data } of hold.queue) {
      if (this.#hold !== undefined) this.#enqueue(this.#hold, seq, previous, data)
      else if (seq > this.last) this.#next(seq, previous, data)
    }
    if (hold.again) this.behind()
  }

  #live(seq: number, previous: number, message: Msg): void {
    if (this.keeper.dropLive(this.user, seq)) return
    const { partition } = this
    if (seq > partition.high) partition.high = seq
    if (this.#hold !== undefined) this.#enqueue(this.#hold, seq, previous, Buffer.from(message.data))
    else if (seq <= this.last) this.keeper.repeated(this)
    else this.#next(seq, previous, Buffer.from(message.data))
  }

  #next(seq: number, previous: number, data: Uint8Array): void {
    if (previous <= this.last) {
      this.#deliver(seq, data)
      return
    }
    this.#hold = new Hold('healing')
    this.#enqueue(this.#hold, seq, previous, data)
    this.keeper.heal(this)
  }

  #deliver(seq: number, data: Uint8Array): void {
    this.last = seq
    try {
      this.sink.durable(seq, data)
    } catch (problem) {
      this.keeper.onError(problem, 'user sink')
    }
  }

  #enqueue(hold: Hold, seq: number, previous: number, data: Uint8Array): void {
    if (hold === DETACHED || hold.again) return
    hold.queue.push({ seq, previous, data })
    hold.bytes += data.length
    if (hold.queue.length > QUEUE_LIMIT || hold.bytes > QUEUE_LIMIT_BYTES) this.#forget(hold)
  }

  #forget(hold: Hold): void {
    hold.queue.length = 0
    hold.bytes = 0
    hold.again = true
  }

  #asked(message: Msg): void {
    const answer = this.sink.asked(Buffer.from(message.data))
    if (answer !== undefined) message.respond(Buffer.from(answer))
  }
}
