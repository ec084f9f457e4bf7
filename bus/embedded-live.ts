// Who is attached to which user, and handing messages over: in order, without holes, each sink guarded.

import type { Attachment, UserSink } from './bus.js'
import type { Clock } from './clock.js'
import type { Inboxes } from './embedded-inbox.js'
import type { TurnQueue } from './turn-queue.js'

/** What becomes of one live delivery to one attachment; a number: it comes so many milliseconds late. */
export type DeliveryFault = 'none' | 'drop' | 'duplicate' | number

/** A seam for tests: live deliveries go wrong here, and the bus has to make up for it. */
export interface EmbeddedFaults {
  delivery(user: string, seq: number): DeliveryFault
  /** A hole at the end is noticed only so late (milliseconds). */
  readonly sweepMs: number
}

/** The side of a Bus that owns attachments. */
export interface LiveOwner {
  /** Deliveries to an owner that is away are made up for later. */
  reachable: boolean
  gaps: number
  healed: number
  duplicatesDropped: number
  attached: number
}

class LiveAttachment implements Attachment {
  readonly user: string
  readonly from: number
  epoch: string
  readonly owner: LiveOwner
  /** Undefined: detached. */
  sink: UserSink | undefined
  /** Last sequence handed over. */
  position: number
  /** Something after `position` was not handed over. */
  behind = false
  /** Of the same user. Stays as it is when detached: somebody may be walking along. */
  next: LiveAttachment | undefined = undefined
  readonly #live: Live

  constructor(live: Live, owner: LiveOwner, user: string, sink: UserSink, from: number, epoch: string) {
    this.#live = live
    this.owner = owner
    this.user = user
    this.sink = sink
    this.from = from
    this.position = from
    this.epoch = epoch
  }

  detach(): void {
    this.#live.detach(this)
  }
}

export class Live {
  /** The first of a user's attachments; nearly always the only one. */
  readonly #first = new Map<string, LiveAttachment>()
  readonly #inboxes: Inboxes
  readonly #turns: TurnQueue
  readonly #clock: Clock
  readonly #faults: EmbeddedFaults | undefined
  readonly #onError: (error: unknown, what: string) => void

  constructor(
    inboxes: Inboxes,
    turns: TurnQueue,
    clock: Clock,
    faults: EmbeddedFaults | undefined,
    onError: (error: unknown, what: string) => void,
  ) {
    this.#inboxes = inboxes
    this.#turns = turns
    this.#clock = clock
    this.#faults = faults
    this.#onError = onError
  }

  /** Whether anybody is attached to the user. */
  has(user: string): boolean {
    return this.#first.has(user)
  }

  /** Undefined: the owner is attached to the user already. */
  attach(owner: LiveOwner, user: string, sink: UserSink, epoch: string): Attachment | undefined {
    const first = this.#first.get(user)
    for (let other = first; other !== undefined; other = other.next) if (other.owner === owner) return undefined
    const attachment = new LiveAttachment(this, owner, user, sink, this.#inboxes.lastSeq(user), epoch)
    attachment.next = first
    this.#first.set(user, attachment)
    owner.attached++
    return attachment
  }

  detach(attachment: LiveAttachment): void {
    if (attachment.sink === undefined) return
    attachment.sink = undefined
    attachment.owner.attached--
    const first = this.#first.get(attachment.user)
    if (first === attachment) {
      if (attachment.next === undefined) this.#first.delete(attachment.user)
      else this.#first.set(attachment.user, attachment.next)
      return
    }
    for (let other = first; other !== undefined; other = other.next) {
      if (other.next === attachment) other.next = attachment.next
    }
  }

  detachAll(owner: LiveOwner): void {
    for (const attachment of this.#of(owner)) this.detach(attachment)
  }

  /** A message that is in the inbox now: to everybody attached, in a later turn. */
  stored(user: string, seq: number, data: Uint8Array): void {
    if (this.#first.has(user)) this.#turns.add(() => this.#deliverStored(user, seq, data))
  }

  ephemeral(user: string, data: Uint8Array): void {
    for (let to = this.#first.get(user); to !== undefined; to = to.next) {
      if (to.owner.reachable) this.#guard(() => to?.sink?.ephemeral(data))
    }
  }

  /** Undefined: nobody is attached. */
  ask(user: string, data: Uint8Array): Uint8Array[] | undefined {
    let reached = false
    const answers: Uint8Array[] = []
    for (let to = this.#first.get(user); to !== undefined; to = to.next) {
      if (!to.owner.reachable || to.sink === undefined) continue
      reached = true
      this.#guard(() => {
        const answer = to?.sink?.asked(data)
        if (answer !== undefined) answers.push(answer)
      })
    }
    return reached ? answers : undefined
  }

  /** The owner is reachable again: what it missed follows. */
  heal(owner: LiveOwner): void {
    for (const attachment of this.#of(owner)) this.#turns.add(() => this.#catchUp(attachment, Number.POSITIVE_INFINITY))
  }

  /** The store was made anew. */
  reset(epoch: string): void {
    for (const first of [...this.#first.values()]) {
      for (let to: LiveAttachment | undefined = first; to !== undefined; to = to.next) {
        const { position, sink } = to
        to.position = 0
        to.behind = false
        to.epoch = epoch
        this.#guard(() => sink?.lost(position, 'reset'))
      }
    }
  }

  #deliverStored(user: string, seq: number, data: Uint8Array): void {
    for (let to = this.#first.get(user); to !== undefined; to = to.next) {
      const fault = this.#faults?.delivery(user, seq) ?? 'none'
      if (!to.owner.reachable) to.behind = true
      else if (fault === 'drop') this.#fallBehind(to, this.#faults?.sweepMs ?? 0)
      else if (typeof fault === 'number') this.#fallBehind(to, fault)
      else {
        this.#handOver(to, seq, data)
        if (fault === 'duplicate') this.#handOver(to, seq, data)
      }
    }
  }

  #fallBehind(attachment: LiveAttachment, untilMs: number): void {
    attachment.behind = true
    this.#clock.after(untilMs, () => this.#catchUp(attachment, Number.POSITIVE_INFINITY))
  }

  #handOver(to: LiveAttachment, seq: number, data: Uint8Array): void {
    if (to.behind) this.#catchUp(to, seq - 1)
    if (seq <= to.position) {
      to.owner.duplicatesDropped++
      return
    }
    to.position = seq
    this.#guard(() => to.sink?.durable(seq, data))
  }

  /** Hands over from the inbox what is missing up to `through`. */
  #catchUp(to: LiveAttachment, through: number): void {
    if (!to.behind || !to.owner.reachable || to.sink === undefined) return
    to.behind = false
    to.owner.gaps++
    if (this.#inboxes.evictedAfter(to.user, to.position)) {
      const after = to.position
      this.#guard(() => to.sink?.lost(after, 'evicted'))
    }
    for (const { seq, data } of this.#inboxes.read(to.user, to.position, Number.POSITIVE_INFINITY).messages) {
      if (seq > through) break
      to.position = seq
      to.owner.healed++
      this.#guard(() => to.sink?.durable(seq, data))
    }
  }

  #of(owner: LiveOwner): LiveAttachment[] {
    const found: LiveAttachment[] = []
    for (const first of this.#first.values()) {
      for (let to: LiveAttachment | undefined = first; to !== undefined; to = to.next) if (to.owner === owner) found.push(to)
    }
    return found
  }

  #guard(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.#onError(error, 'sink')
    }
  }
}
