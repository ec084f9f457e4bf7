// Presence: who is told what about whom, and when.
//
// The gateways know which sessions a user has; a probe on the user's subject asks them. What the user's contacts were
// told last is in the bucket `presence`. Whoever changes that record (compare-and-set) tells them, so each change is
// told once, whichever worker noticed it.

import { type Bus, BusError, type Unsubscribe } from '../bus/bus.js'
import type { Clock } from '../bus/clock.js'
import { v1 } from '../proto/messages.js'
import { forEachLimited, Gate, KeyedQueue } from './pool.js'
import type { PresenceRecord } from './presence-record.js'
import { type RosterRecord, rosterFrame } from './roster-record.js'
import { aggregate, isStatus, OFFLINE, type SessionPresence, type Shown, sameShown } from './status.js'
import type { Records } from './store.js'

export interface PresenceOptions {
  readonly bus: Bus
  readonly records: Records<PresenceRecord>
  readonly rosters: Records<RosterRecord>
  readonly clock: Clock
  /** Of this worker. */
  readonly address: string
  /** How long a user without sessions stays what they were. */
  readonly lingerMs: number
  onError(error: unknown): void
}

/** What a worker knows better than the gateways, which learn it from the worker's answer. */
interface SessionChange {
  readonly session: SessionPresence
  readonly isNew: boolean
}

const PROBE = v1.Envelope.encode({ control: { probe: {} } }).finish()
const ASK_TIMEOUT_MS = 2000
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

  /** Looks after lingerMs, once, at what the gateways say of the user. */
  recheck(user: string): void {
    this.#due.delete(user)
    this.#due.set(user, this.#options.clock.now() + this.#options.lingerMs)
    if (this.#cancelTimer === undefined) this.#startTimer(this.#options.lingerMs)
  }

  /** If the gateways say something else than others were told, that may be about to change: it is looked at again. Throws BusError. */
  async compare(user: string): Promise<void> {
    if (this.#due.has(user)) return
    const told = await this.current(user)
    const shown = await this.#shown(user, told)
    if (shown !== undefined && !sameShown(shown, told) && !this.#due.has(user)) this.recheck(user)
  }

  async current(user: string): Promise<Shown> {
    return (await this.#options.records.get(user)) ?? OFFLINE
  }

  /** Shows `shown` of `user` to one contact. */
  show(contact: string, user: string, shown: Shown): void {
    this.#options.bus.push(contact, this.#envelope(user, shown))
  }

  /** What a new session has to know: contacts that are not offline, and who asks to see the user. Throws BusError. */
  async snapshot(user: string, session: string): Promise<void> {
    await this.#snapshots.run(() => this.#snapshot(user, session))
  }

  /** Forgets what is due (the sweep of another worker finds it) and ends with what is under way. */
  async stop(): Promise<void> {
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
    const { records, rosters, clock } = this.#options
    // Read before the record is changed, so that nothing lies between the change and the telling.
    let roster: RosterRecord | undefined
    const { before, after } = await records.change(user, async (record) => {
      const told = record ?? OFFLINE
      const shown = await this.#shown(user, told, change)
      if (shown === undefined || sameShown(shown, told)) return undefined
      roster = await rosters.get(user)
      const cameOrLeft = (shown.status === 'offline') !== (told.status === 'offline')
      return { ...shown, lastSeen: cameOrLeft ? clock.now() : (record?.lastSeen ?? clock.now()) }
    })
    if (after === undefined || after === before || roster === undefined) return
    const envelope = this.#envelope(user, after)
    for (const [contact, { from }] of roster) if (from) this.#options.bus.push(contact, envelope)
    // A session that opened between the question and the change found everything as it should be and said nothing.
    if (change === undefined && after.status === 'offline') this.recheck(user)
  }

  /** Undefined: can't be told now; it is looked at again. */
  async #shown(user: string, told: Shown, change?: SessionChange): Promise<Shown | undefined> {
    const known = change?.session
    // Nothing outranks online: what the other sessions say makes no difference.
    if (known?.status === 'online') return change?.isNew && told.status === 'online' ? told : { status: 'online', note: known.note }
    const sessions = await this.#ask(user)
    if (sessions === undefined) {
      this.recheck(user)
      return undefined
    }
    if (known === undefined) return aggregate(sessions, told)
    const others = sessions.filter((other) => other.session !== known.session)
    // Two sessions that change at once each know of the other only what it was: the last word is what the gateways say.
    if (others.length > 0) this.recheck(user)
    return aggregate([...others, known], told, known.session)
  }

  /** What the gateways know of the user's sessions; undefined: they are there, but don't answer. */
  async #ask(user: string): Promise<SessionPresence[] | undefined> {
    const answers = await this.#options.bus.ask(user, PROBE, { timeoutMs: ASK_TIMEOUT_MS })
    if (answers === 'unknown') return undefined
    if (answers === 'offline') return []
    const sessions: SessionPresence[] = []
    for (const answer of answers) {
      for (const { session, since, status, note } of v1.SessionList.decode(answer).sessions ?? []) {
        // A session without a status is being opened: its worker will tell.
        if (session && status && isStatus(status)) sessions.push({ session, since: since ?? 0, status, note: note ?? '' })
      }
    }
    return sessions
  }

  #envelope(user: string, shown: Shown): Uint8Array {
    const presence = { user, status: shown.status, note: shown.note }
    return v1.Envelope.encode({ time: this.#options.clock.now(), presence }).finish()
  }

  async #snapshot(user: string, session: string): Promise<void> {
    const { bus, records, rosters, clock } = this.#options
    const roster = await rosters.get(user)
    if (roster === undefined) return
    const push = (body: Pick<v1.Envelope.$Properties, 'presence' | 'roster'>): void => {
      bus.push(user, v1.Envelope.encode({ time: clock.now(), onlySession: session, ...body }).finish())
    }
    await forEachLimited(roster, READS_PER_SNAPSHOT, async ([contact, { to }]) => {
      if (!to) return
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
