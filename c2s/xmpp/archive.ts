// A user's inbox as an archive of messages (XEP-0313): what XMPP clients were or would have been sent, and what they sent.

import type { Bus, InboxMessage } from '../../bus/bus.js'
import type { Clock } from '../../bus/clock.js'
import { v1 } from '../../proto/messages.js'
import { archiveId, parseArchiveId } from '../../proto/xml/archive-id.js'
import type { Element } from '../../proto/xml/element.js'
import { bareJid, formatJid, type Jid, parseJid, userJid } from '../../proto/xml/jid.js'
import { nativeMessage } from '../../proto/xml/native-message.js'
import { parseStored } from '../../proto/xml/parse.js'
import { StanzaError } from '../../proto/xml/stanza-error.js'
import type { WorkerLimits } from '../limits.js'
import { Gate } from '../pool.js'
import { isPassing } from './message-envelope.js'

export interface Archived {
  readonly id: string
  /** When it was accepted, milliseconds since the epoch. */
  readonly time: number
  readonly message: Element
}

export interface ArchiveQuery {
  /** A bare JID stands for all its resources. */
  readonly with: Jid | undefined
  /** Milliseconds since the epoch, both included. */
  readonly start: number
  readonly end: number
  /** Ids that are both excluded. */
  readonly after: readonly string[]
  readonly before: readonly string[]
  /** Undefined: any. */
  readonly ids: readonly string[] | undefined
  readonly max: number
  /** The last ones rather than the first ones. */
  readonly backwards: boolean
}

export interface ArchivePage {
  /** Oldest first. */
  readonly items: readonly Archived[]
  /** Nothing that matches was left out. */
  readonly complete: boolean
}

interface Item extends Archived {
  readonly seq: number
  readonly sizeBytes: number
  readonly collapseKey: string
}

/** Positions in the inbox; both excluded. */
interface Range {
  readonly after: number
  readonly before: number
}

const READ_AT_ONCE = 64
/** What a search that finds little looks at, once it has found something to go on from. */
const READS_PER_PAGE = 256
const SEARCHES_AT_ONCE = 16
/** What a result is wrapped in. */
const OVERHEAD_BYTES = 512

export class Archive {
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #domain: string
  readonly #limits: WorkerLimits
  readonly #searches = new Gate(SEARCHES_AT_ONCE)

  constructor(bus: Bus, clock: Clock, domain: string, limits: WorkerLimits) {
    this.#bus = bus
    this.#clock = clock
    this.#domain = domain
    this.#limits = limits
  }

  /** Throws StanzaError `item-not-found` for ids that are not there, and BusError. */
  page(user: string, query: ArchiveQuery): Promise<ArchivePage> {
    return this.#searches.run(() => this.#page(user, query))
  }

  /** How many match, whatever `max` says. Throws as `page`. */
  count(user: string, query: ArchiveQuery): Promise<number> {
    return this.#searches.run(async () => {
      const epoch = await this.#bus.epoch(user)
      if (query.ids !== undefined) return (await this.#named(user, epoch, query)).length
      let count = 0
      await this.#search(user, epoch, query, () => {
        count++
        return true
      })
      return count
    })
  }

  /** The first and the last message; undefined: there is none. Throws BusError. */
  ends(user: string): Promise<readonly [Archived, Archived] | undefined> {
    return this.#searches.run(async () => {
      const epoch = await this.#bus.epoch(user)
      const found: Archived[] = []
      for (const backwards of [false, true]) {
        await this.#search(user, epoch, { ...ALL, backwards }, (item) => {
          found.push(item)
          return false
        })
      }
      const [first, last] = found
      return first === undefined || last === undefined ? undefined : [first, last]
    })
  }

  async #page(user: string, query: ArchiveQuery): Promise<ArchivePage> {
    const epoch = await this.#bus.epoch(user)
    const found: Item[] = []
    let bytes = 0
    let complete = true
    const take = (item: Item): boolean => {
      bytes += item.sizeBytes
      complete = found.length < query.max && (found.length === 0 || bytes <= this.#limits.historyBytes)
      if (complete) found.push(item)
      return complete
    }
    if (query.ids === undefined) {
      const searched = await this.#search(user, epoch, query, take, () => found.length > 0)
      complete &&= searched
    } else {
      const named = await this.#named(user, epoch, query)
      if (query.backwards) named.reverse()
      named.every(take)
    }
    if (query.backwards) found.reverse()
    return { items: newestOfKeys(found), complete }
  }

  /** In the order of the archive. */
  async #named(user: string, epoch: string, query: ArchiveQuery): Promise<Item[]> {
    const range = await this.#range(user, epoch, query)
    const seqs = new Set((query.ids ?? []).map((id) => positionIn(epoch, id)))
    const found: Item[] = []
    for (const seq of [...seqs].sort((a, b) => a - b)) {
      const item = await this.#at(user, epoch, seq)
      if (seq > range.after && seq < range.before && matches(item, query, this.#own(user))) found.push(item)
    }
    return found
  }

  /**
   * Hands over what matches until `take` has enough. False: it goes on behind this; that is how it ends when too much had to
   * be read, but only if `mayStop` says that there is something to go on from.
   */
  async #search(
    user: string,
    epoch: string,
    query: ArchiveQuery,
    take: (item: Item) => boolean,
    mayStop: () => boolean = () => false,
  ): Promise<boolean> {
    const { after, before } = await this.#range(user, epoch, query)
    const own = this.#own(user)
    let position = query.backwards ? before : after
    for (let reads = 1; ; reads++) {
      const { messages, more } = query.backwards
        ? await this.#bus.readBefore(user, position, READ_AT_ONCE)
        : await this.#bus.read(user, position, READ_AT_ONCE)
      for (const message of query.backwards ? messages.toReversed() : messages) {
        position = message.seq
        if (position <= after || position >= before) return true
        const item = this.#item(user, epoch, message)
        if (item !== undefined && matches(item, query, own) && !take(item)) return false
      }
      if (!more || messages.length === 0) return true
      if (reads >= READS_PER_PAGE && mayStop()) return false
    }
  }

  async #range(user: string, epoch: string, { after, before }: ArchiveQuery): Promise<Range> {
    const positions = async (ids: readonly string[]): Promise<number[]> => {
      const found: number[] = []
      for (const id of ids) found.push((await this.#at(user, epoch, positionIn(epoch, id))).seq)
      return found
    }
    return { after: Math.max(0, ...(await positions(after))), before: Math.min(Number.POSITIVE_INFINITY, ...(await positions(before))) }
  }

  async #at(user: string, epoch: string, seq: number): Promise<Item> {
    const [message] = seq > 0 ? (await this.#bus.read(user, seq - 1, 1)).messages : []
    const item = message?.seq === seq ? this.#item(user, epoch, message) : undefined
    if (item === undefined) throw new StanzaError('item-not-found')
    return item
  }

  #own(user: string): string {
    return userJid(user, this.#domain)
  }

  /** Undefined: not in the archive. */
  #item(user: string, epoch: string, { seq, data: stored }: InboxMessage): Item | undefined {
    try {
      const envelope = v1.Envelope.decode(stored)
      const { id, from, data, xml, time, expires, collapseKey, onlySession } = envelope
      if (onlySession !== '' || (expires > 0 && expires <= this.#clock.now())) return undefined
      if (xml.length === 0 && data == null) return undefined
      const message = xml.length > 0 ? parseStored(xml) : nativeMessage({ id, from, to: this.#own(user), data: data ?? null }, this.#domain)
      if (message.name !== 'message' || isPassing(message)) return undefined
      return { id: archiveId(epoch, seq), time, message, seq, sizeBytes: stored.length + OVERHEAD_BYTES, collapseKey }
    } catch {
      // Whoever may publish on the bus wrote something that is no message; nobody was ever sent it.
      return undefined
    }
  }
}

const ALL: ArchiveQuery = {
  with: undefined,
  start: Number.NEGATIVE_INFINITY,
  end: Number.POSITIVE_INFINITY,
  after: [],
  before: [],
  ids: undefined,
  max: 1,
  backwards: false,
}

/** Throws StanzaError `item-not-found`. */
function positionIn(epoch: string, id: string): number {
  const parsed = parseArchiveId(id)
  if (parsed?.epoch !== epoch) throw new StanzaError('item-not-found')
  return parsed.inbox
}

/** `own`: bare JID of the user whose archive it is. */
function matches({ time, message }: Item, query: ArchiveQuery, own: string): boolean {
  if (time < query.start || time > query.end) return false
  if (query.with === undefined) return true
  const wanted = formatJid(query.with)
  const isFull = query.with.resource !== ''
  const fits = (attribute: 'from' | 'to'): boolean => {
    const jid = parseJid(message.attribute(attribute))
    return jid !== undefined && formatJid(isFull ? jid : bareJid(jid)) === wanted
  }
  // Nearly every message is from or to the user: only those that are both are meant (XEP-0313 §4.1.1).
  return wanted === own ? fits('from') && fits('to') : fits('from') || fits('to')
}

/** As clients get them (see c2s/history.ts). */
function newestOfKeys(items: readonly Item[]): Item[] {
  const newest = new Map<string, number>()
  for (const { seq, collapseKey } of items) if (collapseKey !== '') newest.set(collapseKey, seq)
  return items.filter(({ seq, collapseKey }) => collapseKey === '' || newest.get(collapseKey) === seq)
}
