// The inboxes of all users in memory: ordered, limited by count, age and total bytes, with exact knowledge of what was evicted.

import type { InboxMessage, InboxPage } from './bus.js'

export interface InboxLimits {
  /** Messages kept for each user. */
  readonly maxMessages: number
  readonly maxAgeMs: number
  /** Of all inboxes together; the oldest messages of all go first. */
  readonly maxTotalBytes: number
}

/** Users without messages whose last sequence is still known; beyond it the one quiet for longest is forgotten. */
const LIMIT_QUIET_USERS = 100_000
/** What a stored message costs besides its bytes, roughly. */
const OVERHEAD_BYTES = 500

/** A stored message in its inbox and in the list of all messages, oldest first. */
interface Stored extends InboxMessage {
  readonly time: number
  readonly inbox: Inbox
  older: Stored | undefined
  newer: Stored | undefined
}

interface Inbox {
  readonly user: string
  /** Oldest first, from `head` on; what is before has been evicted. */
  messages: (Stored | undefined)[]
  head: number
  lastSeq: number
  /** Greatest sequence that was stored once and is no more; 0: nothing was evicted. */
  evictedThrough: number
}

export class Inboxes {
  readonly #limits: InboxLimits
  readonly #inboxes = new Map<string, Inbox>()
  /** Users whose messages are all gone → their last sequence. */
  readonly #quiet = new Map<string, number>()
  /** No user who is in neither map had a message after this. */
  #forgottenThrough = 0
  #oldest: Stored | undefined
  #newest: Stored | undefined
  #bytes = 0

  constructor(limits: InboxLimits) {
    this.#limits = limits
  }

  /** What all stored messages take, with their overhead. */
  get bytes(): number {
    return this.#bytes
  }

  get forgottenThrough(): number {
    return this.#forgottenThrough
  }

  /** Sequences of a user must rise; one that does not is ignored (a record that a snapshot has already). */
  append(user: string, seq: number, time: number, data: Uint8Array): void {
    const inbox = this.#inboxes.get(user) ?? this.#open(user)
    if (seq <= inbox.lastSeq) return
    const stored: Stored = { seq, data, time, inbox, older: this.#newest, newer: undefined }
    if (this.#newest === undefined) this.#oldest = stored
    else this.#newest.newer = stored
    this.#newest = stored
    inbox.messages.push(stored)
    inbox.lastSeq = seq
    this.#bytes += data.length + OVERHEAD_BYTES
    if (inbox.messages.length - inbox.head > this.#limits.maxMessages) this.#evictFirst(inbox)
    while (this.#bytes > this.#limits.maxTotalBytes && this.#oldest !== undefined) this.#evictFirst(this.#oldest.inbox)
  }

  /** Last sequence the user's inbox ever had; 0: never one. Of a forgotten user: at least that. */
  lastSeq(user: string): number {
    return this.#inboxes.get(user)?.lastSeq ?? this.#quiet.get(user) ?? this.#forgottenThrough
  }

  /** Whether something after the position was stored and is gone. Of a forgotten user: whether it can't be ruled out. */
  evictedAfter(user: string, after: number): boolean {
    const evictedThrough = this.#inboxes.get(user)?.evictedThrough ?? this.#quiet.get(user) ?? this.#forgottenThrough
    return evictedThrough > after
  }

  read(user: string, after: number, limit: number): InboxPage {
    const inbox = this.#inboxes.get(user)
    const truncated = after > 0 && this.evictedAfter(user, after)
    if (inbox === undefined) return { messages: [], truncated, more: false }
    const start = indexAfter(inbox, after)
    const end = Math.min(inbox.messages.length, start + Math.max(0, limit))
    return { messages: slice(inbox, start, end), truncated, more: end < inbox.messages.length }
  }

  readBefore(user: string, before: number, limit: number): InboxPage {
    const inbox = this.#inboxes.get(user)
    if (inbox === undefined) return { messages: [], truncated: false, more: false }
    const end = before > inbox.lastSeq ? inbox.messages.length : indexAfter(inbox, before - 1)
    const start = Math.max(inbox.head, end - Math.max(0, limit))
    return { messages: slice(inbox, start, end), truncated: false, more: start > inbox.head }
  }

  /** Evicts what is too old. */
  expire(now: number): void {
    while (this.#oldest !== undefined && this.#oldest.time + this.#limits.maxAgeMs <= now) this.#evictFirst(this.#oldest.inbox)
  }

  clear(): void {
    this.#inboxes.clear()
    this.#quiet.clear()
    this.#forgottenThrough = 0
    this.#oldest = undefined
    this.#newest = undefined
    this.#bytes = 0
  }

  /**
   * Every user who is known, with the messages still there: for a snapshot. Nobody is missing who was known from start
   * to end, whatever changes while the caller takes its time.
   */
  *all(): Generator<{
    user: string
    lastSeq: number
    evictedThrough: number
    messages: readonly { seq: number; time: number; data: Uint8Array }[]
  }> {
    for (const inbox of this.#inboxes.values()) {
      const { user, lastSeq, evictedThrough } = inbox
      yield { user, lastSeq, evictedThrough, messages: slice(inbox, inbox.head, inbox.messages.length) }
    }
    // A copy: who leaves it from here on has been passed over above.
    for (const [user, lastSeq] of [...this.#quiet]) yield { user, lastSeq, evictedThrough: lastSeq, messages: [] }
  }

  /** Takes over what a snapshot says of a user, after its messages. */
  restore(user: string, lastSeq: number, evictedThrough: number): void {
    const inbox = this.#inboxes.get(user)
    if (inbox === undefined) this.#rest(user, lastSeq)
    else {
      inbox.lastSeq = Math.max(inbox.lastSeq, lastSeq)
      inbox.evictedThrough = Math.max(inbox.evictedThrough, evictedThrough)
    }
  }

  restoreForgotten(through: number): void {
    this.#forgottenThrough = Math.max(this.#forgottenThrough, through)
  }

  #open(user: string): Inbox {
    const lastSeq = this.#quiet.get(user) ?? this.#forgottenThrough
    this.#quiet.delete(user)
    const inbox: Inbox = { user, messages: [], head: 0, lastSeq, evictedThrough: lastSeq }
    this.#inboxes.set(user, inbox)
    return inbox
  }

  #evictFirst(inbox: Inbox): void {
    const stored = inbox.messages[inbox.head]
    if (stored === undefined) return
    inbox.messages[inbox.head++] = undefined
    if (inbox.head > 16 && inbox.head * 2 > inbox.messages.length) {
      inbox.messages = inbox.messages.slice(inbox.head)
      inbox.head = 0
    }
    inbox.evictedThrough = stored.seq
    this.#bytes -= stored.data.length + OVERHEAD_BYTES
    if (stored.older === undefined) this.#oldest = stored.newer
    else stored.older.newer = stored.newer
    if (stored.newer === undefined) this.#newest = stored.older
    else stored.newer.older = stored.older
    if (inbox.head === inbox.messages.length) {
      this.#inboxes.delete(inbox.user)
      this.#rest(inbox.user, inbox.lastSeq)
    }
  }

  #rest(user: string, lastSeq: number): void {
    this.#quiet.set(user, lastSeq)
    if (this.#quiet.size <= LIMIT_QUIET_USERS) return
    for (const [first, seq] of this.#quiet) {
      this.#quiet.delete(first)
      this.#forgottenThrough = Math.max(this.#forgottenThrough, seq)
      break
    }
  }
}

/** Where the first message with a greater sequence is. */
function indexAfter(inbox: Inbox, after: number): number {
  let low = inbox.head
  let high = inbox.messages.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((inbox.messages[middle]?.seq ?? 0) <= after) low = middle + 1
    else high = middle
  }
  return low
}

function slice(inbox: Inbox, start: number, end: number): Stored[] {
  return inbox.messages.slice(start, end).filter((stored) => stored !== undefined)
}
