// Presence of the sessions of XMPP clients (RFC 6121 §4): what each of them says, to whom it goes, and what it is told of others.

import type { Bus } from '../../bus/bus.js'
import { BusError } from '../../bus/bus.js'
import type { Clock } from '../../bus/clock.js'
import { forEachLimited } from '../../bus/for-each-limited.js'
import { Element } from '../../proto/xml/element.js'
import { escapeLocalpart, formatJid, type Jid, jidUser, parseJid, userJid } from '../../proto/xml/jid.js'
import { CLIENT_NS } from '../../proto/xml/namespaces.js'
import { nativePresence } from '../../proto/xml/native-presence.js'
import { parseStored } from '../../proto/xml/parse.js'
import { StanzaError } from '../../proto/xml/stanza-error.js'
import type { WorkerLimits } from '../limits.js'
import { Gate } from '../pool.js'
import type { Presence } from '../presence.js'
import type { RosterRecord } from '../roster-record.js'
import type { Session } from '../session.js'
import { sessionsOf } from '../session-list.js'
import { OFFLINE, type SessionPresence, type Shown, type Status, sameShown } from '../status.js'
import type { Records } from '../store.js'
import type { BlockLists } from './block-lists.js'
import { type Delivery, unavailable } from './delivery.js'
import type { Handler, Incoming } from './incoming.js'
import { isSubscription } from './subscriptions.js'

export interface XmppPresenceOptions {
  readonly bus: Bus
  readonly presence: Presence
  readonly rosters: Records<RosterRecord>
  readonly delivery: Delivery
  readonly blockLists: BlockLists
  readonly subscriptions: Handler
  readonly clock: Clock
  readonly limits: WorkerLimits
  /** How long a session whose gateway has gone may take to come back. */
  readonly lingerMs: number
  onError(error: unknown): void
}

/** Who sees what a session says of itself. */
interface Audience {
  readonly user: string
  /** Contacts, with others among them. */
  readonly roster: RosterRecord
  /** Resources of contacts of whom the user has blocked single ones. */
  readonly singly: ReadonlyMap<string, readonly string[]>
  /** The user's other ones. */
  readonly resources: readonly string[]
}

const NOBODY: RosterRecord = new Map()
const READS_AT_ONCE = 32
const LOOKS_AT_ONCE = 32
/** How long the answer may take to the gateway before others are looked at again, each time. */
const LOOK_AFTER_MS = 50
const LOOKS = 8
const PRIORITY = { least: -128, most: 127 }

export class XmppPresence {
  readonly #options: XmppPresenceOptions
  readonly #domain: string
  readonly #looks = new Gate(LOOKS_AT_ONCE)
  /** Timers of sessions that have just become available, and of those whose gateways have gone. */
  readonly #timers = new Set<() => void>()
  readonly #running = new Set<Promise<void>>()
  #isStopped = false

  constructor(options: XmppPresenceOptions) {
    this.#options = options
    this.#domain = options.delivery.domain
  }

  /** Takes every presence stanza. */
  async handle(incoming: Incoming): Promise<readonly Element[]> {
    const { stanza } = incoming
    const type = stanza.attribute('type')
    if (isSubscription(type)) return this.#options.subscriptions(incoming)
    if (stanza.attribute('to') !== '') return this.#directed(incoming, type)
    if (type === '') return this.#available(incoming)
    return type === 'unavailable' ? this.#unavailable(incoming) : []
  }

  /** The session has ended, and with it what others see of it. Never rejects. */
  async ended(session: Session): Promise<void> {
    const { user, xmpp } = session
    if (xmpp === undefined || (!xmpp.isAvailable && xmpp.context.directed.length === 0)) return
    const { presence } = this.#options
    try {
      if (await this.#isReplaced(session)) return
      const audience = await this.#audience(session)
      const isSeen = xmpp.isAvailable && (await presence.withdraw(user, xmpp.resource))
      const end = unavailable(user, xmpp.resource, this.#domain)
      if (isSeen) this.#broadcast(audience, end)
      this.#tellDirected(session, end, isSeen ? audience.roster : NOBODY)
    } catch (error) {
      this.#report(error)
    }
  }

  /** The session's gateway has gone: unless it comes back in time, those it addressed directly are told. Contacts are by Presence. */
  lost(session: Session): void {
    if (!session.xmpp?.context.directed.length) return
    this.#later(this.#options.lingerMs, () => this.#farewell(session))
  }

  /** XEP-0191 §3.3: for who was blocked just now the user leaves. Throws BusError. */
  async blocked(user: string, jids: readonly Jid[]): Promise<void> {
    const { presence, delivery } = this.#options
    const roster = await this.#roster(user)
    for (const [contact, { resource }] of this.#contactsAt(roster, jids)) {
      if (roster.get(contact)?.from !== true) continue
      if (resource === '') await presence.hide(contact, user)
      else
        for (const own of (await presence.told(user)).resources)
          delivery.toResource(contact, resource, unavailable(user, own, this.#domain))
    }
  }

  /** XEP-0191 §3.4: who was unblocked just now sees the user again, and is seen, as far as they may. Throws BusError. */
  async unblocked(user: string, jids: readonly Jid[]): Promise<void> {
    const { presence } = this.#options
    const roster = await this.#roster(user)
    for (const [contact] of this.#contactsAt(roster, jids)) {
      if (roster.get(contact)?.from === true) await presence.reveal(contact, user)
      if (roster.get(contact)?.to === true) await presence.reveal(user, contact)
    }
  }

  /** Ends with what is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true
    for (const cancel of this.#timers) cancel()
    this.#timers.clear()
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  // ---- what a session says of itself

  async #available({ session, state, stanza }: Incoming): Promise<readonly Element[]> {
    const { limits } = this.#options
    const { user } = session
    const priority = priorityOf(stanza)
    const said = stanza.with({ to: undefined })
    const presence = said.toString()
    if (Buffer.byteLength(presence) > limits.presenceBytes) {
      throw new StanzaError('policy-violation', `a presence has at most ${limits.presenceBytes} bytes`)
    }
    const audience = await this.#audience(session)
    const isInitial = !state.isAvailable
    state.change({ presence, priority })
    // In this order: who reads the record too early for it gets the stanza.
    await this.#show(session, shownBy(said, limits.noteBytes), isInitial)
    this.#broadcast(audience, said)
    const own = said.with({ to: this.#bare(user) })
    return isInitial ? [own, ...(await this.#firstLook(session))] : [own]
  }

  async #unavailable({ session, state, stanza }: Incoming): Promise<readonly Element[]> {
    const said = stanza.with({ to: undefined })
    if (!state.isAvailable) {
      if (state.context.directed.length === 0) return []
      this.#tellDirected(session, said, NOBODY)
      state.change({ directed: [] })
      return []
    }
    const audience = await this.#audience(session)
    this.#broadcast(audience, said)
    this.#tellDirected(session, said, audience.roster)
    state.change({ presence: '', priority: 0, directed: [] })
    await this.#show(session, OFFLINE, true)
    return [said.with({ to: this.#bare(session.user) })]
  }

  /** What the user as a whole is shown as. What fails here is made up for by a later check. */
  async #show(session: Session, shown: Shown, cameOrLeft: boolean): Promise<void> {
    if (!cameOrLeft && sameShown(session.shown, shown)) return
    session.shown = shown
    try {
      await this.#options.presence.changed(session.user, session.presence)
    } catch (error) {
      this.#report(error)
    }
  }

  /** Throws BusError. */
  async #audience({ user, xmpp }: Session): Promise<Audience> {
    const { presence, blockLists } = this.#options
    const [roster, { resources }] = await Promise.all([this.#roster(user), presence.told(user)])
    const singly = new Map<string, readonly string[]>()
    const divided = [...roster].filter(([contact, { from }]) => from && blockLists.blocksResources(user, contact))
    await forEachLimited(divided, READS_AT_ONCE, async ([contact]) => {
      singly.set(contact, (await presence.told(contact)).resources)
    })
    return { user, roster, singly, resources: resources.filter((resource) => resource !== xmpp?.resource) }
  }

  /** RFC 6121 §4.2.2, §4.4.2, §4.5.2; the session itself is answered with it. */
  #broadcast({ user, roster, singly, resources }: Audience, stanza: Element): void {
    const { delivery } = this.#options
    for (const [contact, { from }] of roster) {
      if (!from) continue
      for (const resource of singly.get(contact) ?? ['']) {
        const jid = { local: escapeLocalpart(contact), domain: this.#domain, resource }
        if (!this.#isBlocked(user, stanza, jid, contact)) this.#send(contact, jid, stanza)
      }
    }
    for (const resource of resources) delivery.toResource(user, resource, stanza)
  }

  /** Those it addressed directly, unless they are in this roster and see it anyway (RFC 6121 §4.6.3). */
  #tellDirected(session: Session, stanza: Element, roster: RosterRecord): void {
    for (const text of session.xmpp?.context.directed ?? []) {
      const jid = parseJid(text)
      const user = jid === undefined ? undefined : jidUser(jid, this.#domain)
      if (jid === undefined || user === undefined || roster.get(user)?.from === true) continue
      if (!this.#isBlocked(session.user, stanza, jid, user)) this.#send(user, jid, stanza)
    }
  }

  // ---- what goes to somebody in particular

  async #directed({ session, state, stanza }: Incoming, type: string): Promise<readonly Element[]> {
    const jid = parseJid(stanza.attribute('to'))
    const user = jid === undefined ? undefined : jidUser(jid, this.#domain)
    if (jid === undefined || user === undefined) return []
    if (type !== 'error') this.#options.blockLists.checkOwn(session.user, jid)
    // Whoever was blocked is not told so (XEP-0191 §3.3).
    if (this.#isBlocked(session.user, stanza, jid, user)) return []
    if (type === 'probe') return this.#probe(session, user, jid)
    if (type !== 'error') {
      const roster = await this.#roster(session.user)
      const sees = user === session.user || (state.isAvailable && roster.get(user)?.from === true)
      this.#remember(state, formatJid(jid), type === '' && !sees)
    }
    this.#send(user, jid, stanza)
    return []
  }

  #remember(state: Incoming['state'], jid: string, isToBeTold: boolean): void {
    const { directed } = state.context
    if (directed.includes(jid) === isToBeTold) return
    if (!isToBeTold) {
      state.change({ directed: directed.filter((other) => other !== jid) })
      return
    }
    const { directedPerSession, directedBytesPerSession } = this.#options.limits
    if (directed.length >= directedPerSession || Buffer.byteLength([...directed, jid].join('')) > directedBytesPerSession) {
      throw new StanzaError('resource-constraint', 'presence was sent to too many directly')
    }
    state.change({ directed: [...directed, jid] })
  }

  #send(user: string, jid: Jid, stanza: Element): void {
    const { delivery } = this.#options
    if (jid.resource === '') delivery.toUser(user, stanza)
    else delivery.toResource(user, jid.resource, stanza)
  }

  /** RFC 6121 §4.3.2: an answer for those who may see the user, and none that tells others anything. */
  async #probe(session: Session, user: string, jid: Jid): Promise<readonly Element[]> {
    const to = userJid(session.user, this.#domain, session.xmpp?.resource)
    const isAllowed = user === session.user || (await this.#roster(user)).get(session.user)?.from === true
    if (!isAllowed) return [new Element(CLIENT_NS, 'presence', { from: this.#bare(user), to, type: 'unsubscribed' })]
    const all = await this.#presenceOf(user)
    const asked = jid.resource === '' ? all : all.filter((stanza) => stanza.attribute('from') === formatJid(jid))
    if (asked.length === 0) return [unavailable(user, jid.resource, this.#domain).with({ to })]
    return asked.map((stanza) => stanza.with({ to }))
  }

  // ---- what a session is told of others

  /** What a session is told that has become available; it is completed beside the answer. */
  async #firstLook(session: Session): Promise<Element[]> {
    let found: ReadonlyMap<string, Element> = new Map()
    try {
      found = await this.#lookAround(session)
    } catch (error) {
      this.#report(error)
    }
    const { answered, told } = this.#fitting(found)
    this.#later(LOOK_AFTER_MS, () => this.#lookAgain(session, told, LOOKS))
    return answered
  }

  /**
   * For its gateway the session is available once the answer is there: what others said since they were looked at was
   * given to nobody.
   */
  async #lookAgain(session: Session, told: ReadonlyMap<string, Element>, looksLeft: number): Promise<void> {
    const presence = session.xmpp?.context.presence ?? ''
    if (presence === '') return
    const own = await sessionsOf(this.#options.bus, session.user)
    if (!own?.some(({ session: ref, xmpp }) => ref === session.ref && xmpp?.stanza === presence)) {
      if (looksLeft > 1) this.#later(LOOK_AFTER_MS, () => this.#lookAgain(session, told, looksLeft - 1))
      return
    }
    const found = await this.#looks.run(() => this.#lookAround(session))
    const { delivery } = this.#options
    for (const [key, stanza] of found) {
      if (told.get(key)?.toString() !== stanza.toString()) delivery.toSession(session.user, session.ref, stanza)
    }
    for (const [key, stanza] of told) {
      if (found.has(key) || stanza.attribute('type') !== '') continue
      const { from, to } = Object.fromEntries(stanza.attributes)
      delivery.toSession(session.user, session.ref, new Element(CLIENT_NS, 'presence', { from, to, type: 'unavailable' }))
    }
  }

  /** The user's other resources, contacts, and who asks to see the user; by sender and type. Throws BusError. */
  async #lookAround(session: Session): Promise<Map<string, Element>> {
    const { user } = session
    const roster = await this.#roster(user)
    const to = userJid(user, this.#domain, session.xmpp?.resource)
    const found = new Map<string, Element>()
    const add = (stanza: Element): void => void found.set(`${stanza.attribute('from')} ${stanza.attribute('type')}`, stanza)
    const { blockLists } = this.#options
    const contacts = [...roster].filter(([contact]) => !blockLists.isBetweenNative(user, contact))
    const readable = [user, ...contacts.filter(([, { to: sees }]) => sees).map(([contact]) => contact)]
    await forEachLimited(readable, READS_AT_ONCE, async (other) => {
      for (const stanza of await this.#presenceOf(other)) {
        const address = parseJid(stanza.attribute('from'))
        // Single resources may be blocked, too.
        const isSeen = other === user ? stanza.attribute('from') !== to : address && !blockLists.isBetween(user, to, other, address)
        if (isSeen) add(stanza.with({ to }))
      }
    })
    for (const [contact, { request }] of contacts) {
      if (request) add(new Element(CLIENT_NS, 'presence', { from: this.#bare(contact), to: this.#bare(user), type: 'subscribe' }))
    }
    return found
  }

  /** All that is to be seen of a user, without `to`. */
  async #presenceOf(user: string): Promise<Element[]> {
    const { bus, presence } = this.#options
    const { native, resources } = await presence.told(user)
    const stanzas = native.status === 'offline' ? [] : [nativePresence(user, native, this.#domain)]
    if (resources.length === 0) return stanzas
    const sessions = (await sessionsOf(bus, user)) ?? []
    return [...stanzas, ...sessions.flatMap(({ xmpp }) => (xmpp?.stanza ? [parseStored(xmpp.stanza)] : []))]
  }

  /** What fits into one answer. */
  #fitting(found: ReadonlyMap<string, Element>): { answered: Element[]; told: ReadonlyMap<string, Element> } {
    let bytes = 0
    const told = new Map<string, Element>()
    for (const [key, stanza] of found) {
      bytes += Buffer.byteLength(stanza.toString())
      if (bytes > this.#options.limits.answeredPresenceBytes) break
      told.set(key, stanza)
    }
    return { answered: [...told.values()], told }
  }

  // ---- sessions that ended

  async #farewell(session: Session): Promise<void> {
    if (!(await this.#isReplaced(session))) {
      this.#tellDirected(session, unavailable(session.user, session.xmpp?.resource ?? '', this.#domain), NOBODY)
    }
  }

  /** Another session has its full JID, and is available. Throws BusError. */
  async #isReplaced({ user, ref, xmpp }: Session): Promise<boolean> {
    const sessions: readonly SessionPresence[] = (await sessionsOf(this.#options.bus, user)) ?? []
    return sessions.some((other) => other.session !== ref && other.xmpp?.stanza && other.xmpp.resource === xmpp?.resource)
  }

  // ---- helpers

  /** One of them has blocked the other: `from`, who says the stanza, or `to`, at that address. */
  #isBlocked(from: string, stanza: Element, address: Jid, to: string): boolean {
    return this.#options.blockLists.isBetween(from, stanza.attribute('from'), to, address)
  }

  /** The contacts at these addresses, or at the domain that is one of them. */
  #contactsAt(roster: RosterRecord, jids: readonly Jid[]): [contact: string, address: Jid][] {
    return jids.flatMap((jid): [string, Jid][] => {
      if (jid.local === '')
        return jid.domain === this.#domain && jid.resource === '' ? [...roster.keys()].map((contact) => [contact, jid]) : []
      const contact = jidUser(jid, this.#domain)
      return contact === undefined ? [] : [[contact, jid]]
    })
  }

  async #roster(user: string): Promise<RosterRecord> {
    return (await this.#options.rosters.get(user)) ?? NOBODY
  }

  #bare(user: string): string {
    return userJid(user, this.#domain)
  }

  /** Does it after so many milliseconds, unless the worker is stopped before. */
  #later(delayMs: number, work: () => Promise<void>): void {
    if (this.#isStopped) return
    const cancel = this.#options.clock.after(delayMs, () => {
      this.#timers.delete(cancel)
      const running = work()
        .catch((error: unknown) => this.#report(error))
        .finally(() => this.#running.delete(running))
      this.#running.add(running)
    })
    this.#timers.add(cancel)
  }

  #report(error: unknown): void {
    if (!(error instanceof BusError)) this.#options.onError(error)
  }
}

function priorityOf(stanza: Element): number {
  const text = stanza.child('priority', CLIENT_NS)?.text.trim() ?? '0'
  const priority = Number(text)
  if (!/^[+-]?\d{1,3}$/.test(text) || priority < PRIORITY.least || priority > PRIORITY.most) {
    throw new StanzaError('bad-request', `a priority is a number from ${PRIORITY.least} to ${PRIORITY.most}`)
  }
  return priority
}

const STATUS_OF_SHOW: Readonly<Record<string, Status>> = { away: 'away', xa: 'away', dnd: 'dnd' }

/** What native clients see of it. */
function shownBy(stanza: Element, noteBytes: number): Shown {
  const show = stanza.child('show', CLIENT_NS)?.text ?? ''
  const note = Buffer.from(stanza.child('status', CLIENT_NS)?.text ?? '')
  const status = Object.hasOwn(STATUS_OF_SHOW, show) ? STATUS_OF_SHOW[show] : undefined
  return { status: status ?? 'online', note: cut(note, noteBytes) }
}

/** At most so many bytes of it, and no half character. */
function cut(text: Buffer, limitBytes: number): string {
  if (text.length <= limitBytes) return text.toString()
  let end = limitBytes
  while (end > 0 && ((text[end] ?? 0) & 0xc0) === 0x80) end--
  return text.subarray(0, end).toString()
}
