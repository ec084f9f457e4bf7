// Presence: who is told what about whom, and when.
//
// The gateways know which sessions a user has; a probe on the user's subject asks them. What the user's contacts were
// told last is in the bucket `presence`. Whoever changes that record (compare-and-set) tells them, so each change is
// told once, whichever worker noticed it.
//
// Native clients see a user as one. XMPP clients see each session of an XMPP client by itself: its own stanzas go to them
// straight away (see xmpp/presence.ts); what is told from here is resources that come or go without a word.

import { type Bus, BusError, type Unsubscribe } from '../bus/bus.js'
import type { Clock } from '../bus/clock.js'
import { forEachLimited } from '../bus/for-each-limited.js'
import { v1 } from '../proto/messages.js'
import { parseStored } from '../proto/xml/parse.js'
import { Gate, KeyedQueue } from './pool.js'
import { type PresenceRecord, type SessionChange, sameView, UNSEEN, type View, viewAfter, viewOf } from './presence-record.js'
import { type RosterRecord, rosterFrame } from './roster-record.js'
import { sessionsOf } from './session-list.js'
import { OFFLINE, type SessionPresence, type Shown, sameShown } from './status.js'
import type { Records } from './store.js'
import { type Delivery, unavailable } from './xmpp/delivery.js'

export interface PresenceOptions {
  readonly bus: Bus
  readonly records: Records<PresenceRecord>
  readonly rosters: Records<RosterRecord>
  readonly delivery: Delivery
  /** Users of whom one has blocked the other see nothing of each other. */
  isBlocked(user: string, other: string): boolean
  readonly clock: Clock
  /** Of this worker. */
  readonly address: string
  /** How long a user without sessions stays what they were. */
  readonly lingerMs: number
  onError(error: unknown): void
}

/** What there is to see, and the sessions it follows from (undefined: nobody was asked). */
interface Seen {
  readonly view: View
  readonly sessions: readonly SessionPresence[] | undefined
}

const NOBODY: RosterRecord = new Map()
const CHECKS_AT_ONCE = 64
const SNAPSHOTS_AT_ONCE = 32
const READS_PER_SNAPSHOT = 8

export class Presence {
  readonly #options: PresenceOptions
  readonly #users = new KeyedQueue()
  readonly #snapshots = new Gate(SNAPSHOTS_AT_ONCE)
  /** Users to look at again, and when: oldest first, because all wait equally long. One entry a user. */
  readonly #due = new Map<string, number>()
  #cancelTimer: (() => void) | undefined
  #running: Promise<void> = Promise.resolve()
  #isStopped = false

  #stopListening: Unsubscribe = () => {}

  private constructor(options: PresenceOptions) {
    this.#options = options
  }

  /** Throws BusError. */
  static async open(options: PresenceOptions): Promise<Presence> {
    const presence = new Presence(options)
    const own = `c2s.left.${options.address}`
    // A client that flaps has sessions on several workers; none of them may take an old end for the last one.
    presence.#stopListening = await options.bus.onSignal('c2s.left.*', (data, topic) => {
      const user = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()
      if (topic !== own && presence.#due.has(user)) presence.recheck(user)
    })
    return presence
  }

  /** A new session is there. Resolves when those who may see the user were told, if there was anything to tell. Throws BusError. */
  async opened(user: string, session: SessionPresence): Promise<void> {
    await this.#noticed(user, { session, isNew: true })
  }

  /** A session says something else of itself. Resolves as for `opened`. Throws BusError. */
  async changed(user: string, session: SessionPresence): Promise<void> {
    await this.#noticed(user, { session, isNew: false })
  }

  /** A session ended. What is left of the user is looked at when nothing has ended for lingerMs, at this worker or another. */
  left(user: string): void {
    this.recheck(user)
    const { bus, address } = this.#options
    if (bus.state === 'up') bus.signal(`c2s.left.${address}`, Buffer.from(user))
  }

  /** Looks after lingerMs, once, at what the gateways say of the user; never, when it is stopped before. */
  recheck(user: string): void {
    if (this.#isStopped) return
    this.#due.delete(user)
    this.#due.set(user, this.#options.clock.now() + this.#options.lingerMs)
    if (this.#cancelTimer === undefined) this.#startTimer(this.#options.lingerMs)
  }

  /**
   * The session of an XMPP client has ended, and no other has its resource. Resolves with whether others see the resource
   * still; they are to be told by the caller. Throws BusError.
   */
  async withdraw(user: string, resource: string): Promise<boolean> {
    const { before, after } = await this.#users.run(user, () =>
      this.#options.records.change(user, (told) => {
        if (!told?.resources.includes(resource)) return undefined
        return { ...told, resources: told.resources.filter((other) => other !== resource) }
      }),
    )
    return before !== after
  }

  /** If the gateways say something else than others were told, that may be about to change: it is looked at again. Throws BusError. */
  async compare(user: string): Promise<void> {
    if (this.#due.has(user)) return
    const told = await this.told(user)
    const seen = await this.#see(user, told)
    if (seen !== undefined && !sameView(seen.view, told) && !this.#due.has(user)) this.recheck(user)
  }

  /** What others were told last. Throws BusError. */
  async told(user: string): Promise<PresenceRecord> {
    return (await this.#options.records.get(user)) ?? UNSEEN
  }

  /** A contact may see the user from now on. Throws BusError. */
  async reveal(contact: string, user: string): Promise<void> {
    const { bus, delivery, isBlocked } = this.#options
    if (isBlocked(user, contact)) return
    const told = await this.told(user)
    bus.push(contact, this.#envelope(user, told, told.native.status === 'offline' ? undefined : told.native))
    if (told.resources.length === 0) return
    for (const { xmpp } of (await sessionsOf(bus, user)) ?? []) if (xmpp?.stanza) delivery.toUser(contact, parseStored(xmpp.stanza))
  }

  /** A contact may not see the user any more. Throws BusError. */
  async hide(contact: string, user: string): Promise<void> {
    const { bus, delivery } = this.#options
    const told = await this.told(user)
    bus.push(contact, this.#envelope(user, OFFLINE, told.native.status === 'offline' ? undefined : OFFLINE))
    for (const resource of told.resources) delivery.toUser(contact, unavailable(user, resource, delivery.domain))
  }

  /** What a new session has to know: contacts that are not offline, and who asks to see the user. Throws BusError. */
  async snapshot(user: string, session: string): Promise<void> {
    await this.#snapshots.run(() => this.#snapshot(user, session))
  }

  /** Forgets what is due (the sweep of another worker finds it) and ends with what is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#stopListening()
    this.#due.clear()
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    await this.#running
  }

  async #noticed(user: string, change: SessionChange): Promise<void> {
    try {
      await this.#users.run(user, () => this.#settle(user, change))
    } catch (error) {
      this.recheck(user)
      throw error
    }
  }

  async #settle(user: string, change?: SessionChange): Promise<void> {
    const { records, rosters, clock, isBlocked } = this.#options
    // Read before the record is changed, so that nothing lies between the change and the telling.
    let roster: RosterRecord = NOBODY
    let sessions: readonly SessionPresence[] = []
    const { before = UNSEEN, after = UNSEEN } = await records.change(user, async (told = UNSEEN) => {
      const seen = await this.#see(user, told, change)
      if (seen === undefined || sameView(seen.view, told)) return undefined
      sessions = seen.sessions ?? []
      roster = (await rosters.get(user)) ?? NOBODY
      const cameOrLeft = (seen.view.status === 'offline') !== (told.status === 'offline')
      return { ...seen.view, lastSeen: cameOrLeft || told === UNSEEN ? clock.now() : told.lastSeen }
    })
    if (after === before) return
    const contacts = [...roster].filter(([contact, { from }]) => from && !isBlocked(user, contact)).map(([contact]) => contact)
    this.#tellView(user, before, after, contacts)
    if (change !== undefined) return
    this.#tellResources(user, before, after, contacts, sessions)
    // A session that opened between the question and the change found everything as it should be and said nothing.
    if (after.status === 'offline' || !sameView(after, { ...after, resources: before.resources })) this.recheck(user)
  }

  #tellView(user: string, before: View, after: View, contacts: readonly string[]): void {
    const { bus } = this.#options
    const native = sameShown(before.native, after.native) ? undefined : after.native
    const envelope = this.#envelope(user, sameShown(before, after) ? undefined : after, native)
    if (envelope !== undefined) bus.pushMany(contacts, envelope)
    // The user's own XMPP clients see all resources of the user.
    const own = this.#envelope(user, undefined, native)
    if (own !== undefined) bus.push(user, own)
  }

  /** Resources that came or went without a word, or about which two changes at once had a wrong one. */
  #tellResources(user: string, before: View, after: View, contacts: readonly string[], sessions: readonly SessionPresence[]): void {
    const { delivery } = this.#options
    const gone = before.resources.filter((resource) => !after.resources.includes(resource))
    const came = sessions.filter(({ xmpp }) => xmpp?.stanza && !before.resources.includes(xmpp.resource))
    const stanzas = [
      ...gone.map((resource) => unavailable(user, resource, delivery.domain)),
      ...came.map(({ xmpp }) => parseStored(xmpp?.stanza ?? '')),
    ]
    for (const stanza of stanzas) for (const reader of [...contacts, user]) delivery.toUser(reader, stanza)
  }

  /** Undefined: can't be told now; it is looked at again. */
  async #see(user: string, told: View, change?: SessionChange): Promise<Seen | undefined> {
    // Nothing outranks online: what the other sessions say makes no difference.
    if (change?.session.status === 'online') return { view: viewAfter(change, undefined, told), sessions: undefined }
    const sessions = await sessionsOf(this.#options.bus, user)
    if (sessions === undefined) {
      this.recheck(user)
      return undefined
    }
    if (change === undefined) return { view: viewOf(sessions, told), sessions }
    const others = sessions.filter((other) => other.session !== change.session.session)
    // Two sessions that change at once each know of the other only what it was: the last word is what the gateways say.
    if (others.length > 0) this.recheck(user)
    return { view: viewAfter(change, others, told), sessions }
  }

  /** Undefined: nothing in it. */
  #envelope(user: string, shown: Shown, native: Shown | undefined): Uint8Array
  #envelope(user: string, shown: Shown | undefined, native: Shown | undefined): Uint8Array | undefined
  #envelope(user: string, shown: Shown | undefined, native: Shown | undefined): Uint8Array | undefined {
    if (shown === undefined && native === undefined) return undefined
    const body = {
      ...(shown === undefined ? {} : { presence: { user, status: shown.status, note: shown.note } }),
      ...(native === undefined ? {} : { native: { user, status: native.status, note: native.note } }),
    }
    return v1.Envelope.encode({ time: this.#options.clock.now(), ...body }).finish()
  }

  async #snapshot(user: string, session: string): Promise<void> {
    const { bus, records, rosters, clock, isBlocked } = this.#options
    const roster = await rosters.get(user)
    if (roster === undefined) return
    const push = (body: Pick<v1.Envelope.$Properties, 'presence' | 'roster'>): void => {
      bus.push(user, v1.Envelope.encode({ time: clock.now(), onlySession: session, ...body }).finish())
    }
    await forEachLimited(roster, READS_PER_SNAPSHOT, async ([contact, { to }]) => {
      if (!to || isBlocked(user, contact)) return
      const record = await records.get(contact)
      if (record === undefined || record.status === 'offline') return
      push({ presence: { user: contact, status: record.status, note: record.note } })
    })
    for (const [contact, entry] of roster) {
      if (entry.request) push({ roster: rosterFrame('request', contact, entry) })
    }
  }

  #startTimer(delayMs: number): void {
    this.#cancelTimer = this.#options.clock.after(delayMs, () => {
      this.#running = this.#checkDue()
    })
  }

  async #checkDue(): Promise<void> {
    const now = this.#options.clock.now()
    const users: string[] = []
    for (const [user, dueAt] of this.#due) {
      if (dueAt > now) break
      users.push(user)
    }
    for (const user of users) this.#due.delete(user)
    await forEachLimited(users, CHECKS_AT_ONCE, async (user) => {
      try {
        await this.#users.run(user, () => this.#settle(user))
      } catch (error) {
        if (!(error instanceof BusError)) this.#options.onError(error)
        this.recheck(user)
      }
    })
    this.#cancelTimer = undefined
    const [next] = this.#due.values()
    if (next !== undefined) this.#startTimer(Math.max(0, next - this.#options.clock.now()))
  }
}
