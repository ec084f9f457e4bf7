// History: pages of a user's inbox, as the messages the user would have been sent.

import type { Bus, InboxMessage, InboxPage } from '../bus/bus.js'
import type { Clock } from '../bus/clock.js'
import { type Cursor, formatCursor, parseCursor, userTag } from '../proto/cursor.js'
import { v1 } from '../proto/messages.js'
import type { WorkerLimits } from './limits.js'
import { Refusal } from './refusal.js'

/**
 * Reads of the inbox for a page that has something; what is left out (expired, copies of what the user sent by XMPP) may take
 * more than one. Until there is something it is read on: an empty page is the end.
 */
const READS_PER_PAGE = 8
/** By all reads but the first. */
const READ_AT_LEAST = 64

interface Stored {
  readonly seq: number
  readonly envelope: v1.Envelope.$Properties
  /** `data` as JSON text. */
  readonly data: string
}

/** A page under way: messages in the order they were read, and the position of the last one looked at. */
interface Page {
  readonly found: Stored[]
  position: number
  truncated: boolean
}

export class History {
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #limits: WorkerLimits

  constructor(bus: Bus, clock: Clock, limits: WorkerLimits) {
    this.#bus = bus
    this.#clock = clock
    this.#limits = limits
  }

  /**
   * JSON text `{"messages":[…oldest first…],"cursor":…}`; `cursor` goes on where the page ends: as `before` when the
   * page was asked for with `before`, else as `cursor`. `"truncated":true` when messages after the cursor are no longer
   * there. Throws Refusal (`malformed`, `forbidden`) and BusError.
   */
  async page(user: string, request: v1.History.$Properties): Promise<string> {
    const { historyDefault, historyMax } = this.#limits
    if (request.cursor && request.before) throw new Refusal('malformed', 'give `cursor` or `before`, not both')
    const limit = Math.min(request.limit || historyDefault, historyMax)
    const epoch = await this.#bus.epoch(user)
    const after = request.cursor ? positionOf(request.cursor, user, epoch) : undefined
    const before = request.before ? positionOf(request.before, user, epoch) : undefined
    // A position in a store that was made anew means: everything that is here now came later.
    const page =
      after !== undefined ? await this.#forward(user, after.seq, limit) : await this.#backward(user, before?.seq ?? Infinity, limit)
    const tag = userTag(user)
    const cursorAt = (inbox: number): string => formatCursor({ userTag: tag, epoch, inbox, at: undefined })
    const messages = newestOfKeys(page.found).map((stored) => messageJson(stored, cursorAt(stored.seq)))
    const truncated = page.truncated || after?.reset === true ? ',"truncated":true' : ''
    return `{"messages":[${messages.join(',')}],"cursor":${JSON.stringify(cursorAt(page.position))}${truncated}}`
  }

  async #forward(user: string, after: number, limit: number): Promise<Page> {
    const page: Page = { found: [], position: after, truncated: false }
    await this.#collect(page, limit, (count) => this.#bus.read(user, page.position, count), false)
    return page
  }

  async #backward(user: string, before: number, limit: number): Promise<Page> {
    const page: Page = { found: [], position: before, truncated: false }
    await this.#collect(page, limit, (count) => this.#bus.readBefore(user, page.position, count), true)
    page.found.reverse()
    const newest = page.found.at(-1)
    if (before === Infinity) page.position = newest?.seq ?? 0
    page.truncated = false
    return page
  }

  /** Reads on until the page is full, the inbox ends, or enough was read. */
  async #collect(page: Page, limit: number, read: (count: number) => Promise<InboxPage>, newestFirst: boolean): Promise<void> {
    let bytes = 0
    for (let reads = 0; reads < READS_PER_PAGE || page.found.length === 0; reads++) {
      const { messages, truncated, more } = await read(reads === 0 ? limit : Math.max(limit - page.found.length, READ_AT_LEAST))
      page.truncated ||= truncated
      for (const message of newestFirst ? messages.toReversed() : messages) {
        const stored = this.#visible(message)
        bytes += stored === undefined ? 0 : message.data.length
        if (bytes > this.#limits.historyBytes && page.found.length > 0) return
        page.position = message.seq
        if (stored !== undefined) page.found.push(stored)
        if (page.found.length >= limit) return
      }
      if (!more) return
    }
  }

  /** Undefined: nothing the user would be sent now. */
  #visible(message: InboxMessage): Stored | undefined {
    try {
      const envelope = v1.Envelope.decode(message.data)
      const { body, data, expires } = envelope
      if (body !== 'data' || !data || (expires > 0 && expires <= this.#clock.now())) return undefined
      const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()
      JSON.parse(text)
      return { seq: message.seq, envelope, data: text }
    } catch {
      // Whoever may publish on the bus wrote something that is no message; nobody was ever sent it.
      return undefined
    }
  }
}

function positionOf(text: string, user: string, epoch: string): { readonly seq: number; readonly reset: boolean } {
  const cursor: Cursor | undefined = parseCursor(text)
  if (cursor === undefined) throw new Refusal('malformed', 'this is not a cursor')
  if (cursor.userTag !== userTag(user)) throw new Refusal('forbidden', 'the cursor belongs to another user')
  return cursor.epoch === epoch ? { seq: cursor.inbox, reset: false } : { seq: 0, reset: true }
}

function newestOfKeys(messages: readonly Stored[]): Stored[] {
  const newest = new Map<string, number>()
  for (const { seq, envelope } of messages) if (envelope.collapseKey) newest.set(envelope.collapseKey, seq)
  return messages.filter(({ seq, envelope }) => !envelope.collapseKey || newest.get(envelope.collapseKey) === seq)
}

function messageJson({ envelope, data }: Stored, cursor: string): string {
  const { id, from, topic, time } = envelope
  const head = JSON.stringify({ type: 'message', id, ...(from ? { from } : {}), ...(topic ? { topic } : {}), time })
  return `${head.slice(0, -1)},"data":${data},"cursor":${JSON.stringify(cursor)}}`
}
