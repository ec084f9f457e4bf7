// The frames of one session that its client has not acknowledged: numbered, bounded, and the only outbound buffer there is.
//
//   acknowledged ── sent, kept in case it was lost ── waiting to be sent
//               base                             sent                last
//
// The part that was sent is trimmed from its old end when it outgrows its limit (the inbox still has what is durable);
// the part that waits is never trimmed: when it outgrows its limit the client is a slow consumer.

import type { Outbound } from './outbound.js'

export interface OutboxLimits {
  /** Frames and bytes that may wait to be sent. */
  readonly waitingMaxFrames: number
  readonly waitingMaxBytes: number
  /** Frames and bytes kept after they were sent. */
  readonly sentMaxFrames: number
  readonly sentMaxBytes: number
}

/** A frame with its number and the inbox position as of it; what goes with it on the wire is for whoever takes it. */
export interface Numbered {
  readonly outbound: Outbound
  cursor: string
  readonly number: number
  inbox: number
}

/** A place in the outbox; without a frame when it was dropped (expired, or replaced under its collapse key). */
interface Slot {
  outbound: Outbound | undefined
  inbox: number
}

/** Stands where a frame was until the list is compacted, so that the frame can be freed. */
const GONE: Slot = { outbound: undefined, inbox: 0 }

export class Outbox {
  readonly #limits: OutboxLimits
  /** Places base + 1 … last, the first of them at #head. Undefined while empty: most sessions are idle. */
  #slots: Slot[] | undefined = undefined
  #head = 0
  #base: number
  #sent: number
  /** Highest number ever sent: beyond it a place can still go without a trace. */
  #shown: number
  #baseInbox: number
  #waitingBytes = 0
  #sentBytes = 0
  /** Number of the last frame that was trimmed unacknowledged and can't be had from the inbox. */
  #lastLost = 0
  /** Waiting frames by collapse key. */
  #keyed: Map<string, Slot> | undefined = undefined

  constructor(limits: OutboxLimits, base: number, inbox: number) {
    this.#limits = limits
    this.#base = base
    this.#sent = base
    this.#shown = base
    this.#baseInbox = inbox
  }

  /** Number of the last frame. */
  get last(): number {
    return this.#base + (this.#slots === undefined ? 0 : this.#slots.length - this.#head)
  }

  /** Number of the last frame acknowledged or trimmed, and the inbox position as of it. */
  get base(): number {
    return this.#base
  }

  get baseInbox(): number {
    return this.#baseInbox
  }

  /** Number of the last frame that was sent. */
  get sent(): number {
    return this.#sent
  }

  /** What is kept, in order. */
  unacknowledged(): Outbound[] {
    return (this.#slots ?? []).slice(this.#head).flatMap(({ outbound }) => outbound ?? [])
  }

  /** Position in the inbox as of the frame; before the oldest one here, as of the last acknowledged. */
  inboxAt(number: number): number {
    if (number <= this.#base) return this.#baseInbox
    return this.#slots?.[this.#head + number - this.#base - 1]?.inbox ?? this.#baseInbox
  }

  get waiting(): number {
    return this.last - this.#sent
  }

  get waitingBytes(): number {
    return this.#waitingBytes
  }

  get bytes(): number {
    return this.#waitingBytes + this.#sentBytes
  }

  /** Half of what may wait is free: history can be read on. */
  get hasRoom(): boolean {
    return this.waiting * 2 < this.#limits.waitingMaxFrames && this.#waitingBytes * 2 < this.#limits.waitingMaxBytes
  }

  /** False: it would be more than may wait; nothing was added. `fromHistory` frames are paced by `hasRoom` and always fit. */
  push(outbound: Outbound, inbox: number, fromHistory: boolean): boolean {
    if (outbound.collapseKey !== '') this.#collapse(outbound.collapseKey)
    const fits = this.waiting < this.#limits.waitingMaxFrames && this.#waitingBytes + outbound.sizeBytes <= this.#limits.waitingMaxBytes
    if (!fits && !fromHistory) return false
    this.#slots ??= []
    const slot = { outbound, inbox }
    this.#slots.push(slot)
    this.#waitingBytes += outbound.sizeBytes
    if (outbound.collapseKey !== '') {
      this.#keyed ??= new Map()
      this.#keyed.set(outbound.collapseKey, slot)
    }
    return true
  }

  /** The next frames to send, at least one if there is any, about `limitBytes` of them. They count as sent. */
  take(limitBytes: number, nowMs: number): Numbered[] {
    const batch: Numbered[] = []
    const slots = this.#slots
    if (slots === undefined) return batch
    let bytes = 0
    while (this.#sent < this.last && bytes < limitBytes) {
      this.#sent++
      const slot = slots[this.#head + this.#sent - this.#base - 1]
      if (slot?.outbound === undefined) continue
      const { outbound, inbox } = slot
      this.#waitingBytes -= outbound.sizeBytes
      if (outbound.collapseKey !== '') this.#unkey(outbound.collapseKey, slot)
      if (outbound.expiresAtMs <= nowMs) {
        slot.outbound = undefined
        continue
      }
      this.#sentBytes += outbound.sizeBytes
      bytes += outbound.sizeBytes
      batch.push({ outbound, cursor: '', number: this.#sent, inbox })
    }
    if (this.#sent > this.#shown) this.#shown = this.#sent
    this.#trimSent()
    return batch
  }

  /** When the frame was published, in milliseconds since the epoch; 0: no message, or not here. */
  publishedAtMs(number: number): number {
    return this.#slots?.[this.#head + number - this.#base - 1]?.outbound?.publishedAtMs ?? 0
  }

  /** Everything up to `number` was handled. Numbers acknowledged before, or never sent, change nothing. */
  acknowledge(number: number): void {
    if (number > this.#base && number <= this.last) {
      while (this.#base < number) this.#shift()
      if (this.#sent < this.#base) this.#sent = this.#base
    }
  }

  /** Whether everything after `number` is still here. */
  holdsAfter(number: number): boolean {
    return number >= this.#base && number <= this.last
  }

  /** Sends everything after `number` (see holdsAfter) again. */
  rewind(number: number): void {
    this.acknowledge(number)
    this.#sent = this.#base
    this.#waitingBytes += this.#sentBytes
    this.#sentBytes = 0
  }

  /**
   * The client is at frame `number` and `inbox`, further back than what is kept: durable frames will come from the inbox
   * again, so they go; the others are sent again. False: others are lost too.
   */
  forgetDurable(number: number, inbox: number): boolean {
    this.rewind(this.#base)
    this.#baseInbox = inbox
    for (let i = this.#head; i < (this.#slots?.length ?? 0); i++) {
      const slot = this.#slots?.[i]
      if (slot === undefined) continue
      if (slot.outbound?.durable) this.#drop(slot)
      slot.inbox = Math.min(slot.inbox, inbox)
    }
    return this.#lastLost <= number
  }

  /**
   * What a client at frame `number` misses and can't have from the inbox. `complete`: false if more of it is lost already,
   * or it is more than `limitBytes`.
   */
  notDurableAfter(number: number, limitBytes: number): { readonly frames: readonly Outbound[]; readonly complete: boolean } {
    const frames: Outbound[] = []
    let bytes = 0
    for (let i = this.#head + Math.max(0, number - this.#base); i < (this.#slots?.length ?? 0); i++) {
      const outbound = this.#slots?.[i]?.outbound
      if (outbound === undefined || outbound.durable) continue
      bytes += outbound.sizeBytes
      if (bytes > limitBytes) return { frames, complete: false }
      frames.push(outbound)
    }
    return { frames, complete: this.#lastLost <= number }
  }

  /** The store was made anew: no position of before means anything in it. */
  resetPositions(): void {
    this.#baseInbox = 0
    for (let i = this.#head; i < (this.#slots?.length ?? 0); i++) {
      const slot = this.#slots?.[i]
      if (slot !== undefined) slot.inbox = 0
    }
  }

  /** Drops what waits under the key. */
  #collapse(collapseKey: string): void {
    const slot = this.#keyed?.get(collapseKey)
    const slots = this.#slots
    if (slot === undefined || slots === undefined) return
    this.#drop(slot)
    const at = slots.lastIndexOf(slot)
    if (this.#base + at - this.#head + 1 > this.#shown) slots.splice(at, 1)
  }

  #unkey(collapseKey: string, slot: Slot): void {
    if (this.#keyed?.get(collapseKey) !== slot) return
    this.#keyed.delete(collapseKey)
    if (this.#keyed.size === 0) this.#keyed = undefined
  }

  /** Of a place that waits. */
  #drop(slot: Slot): void {
    const outbound = slot.outbound
    if (outbound === undefined) return
    this.#waitingBytes -= outbound.sizeBytes
    if (outbound.collapseKey !== '') this.#unkey(outbound.collapseKey, slot)
    slot.outbound = undefined
  }

  #trimSent(): void {
    const { sentMaxFrames, sentMaxBytes } = this.#limits
    while (this.#sent - this.#base > sentMaxFrames || this.#sentBytes > sentMaxBytes) {
      const outbound = this.#shift()
      if (outbound !== undefined && !outbound.durable) this.#lastLost = this.#base
    }
  }

  /** Removes the oldest place. */
  #shift(): Outbound | undefined {
    const slots = this.#slots
    const slot = slots?.[this.#head]
    if (slots === undefined || slot === undefined) return undefined
    this.#base++
    this.#baseInbox = slot.inbox
    if (this.#base <= this.#sent) this.#sentBytes -= slot.outbound?.sizeBytes ?? 0
    else this.#drop(slot)
    const { outbound } = slot
    slots[this.#head] = GONE
    this.#head++
    if (this.#head === slots.length) {
      this.#slots = undefined
      this.#head = 0
    } else if (this.#head > 64 && this.#head * 2 > slots.length) {
      this.#slots = slots.slice(this.#head)
      this.#head = 0
    }
    return outbound
  }
}
