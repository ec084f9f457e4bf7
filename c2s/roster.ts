// The roster: who is whose contact, and who may see whose presence.
//
// A command changes the giver's record first and the other one's then (what it takes from a contact is taken from the
// giver's side at once; what it gives takes effect with the second record). Every step is repeated without harm, so
// a repeated command completes one that was cut short.

import type { Bus } from '../bus/bus.js'
import type { Clock } from '../bus/clock.js'
import { isUserId } from '../bus/user-token.js'
import { v1 } from '../proto/messages.js'
import { Element } from '../proto/xml/element.js'
import { userJid } from '../proto/xml/jid.js'
import { CLIENT_NS } from '../proto/xml/namespaces.js'
import type { WorkerLimits } from './limits.js'
import type { Presence } from './presence.js'
import { Refusal } from './refusal.js'
import {
  type Contact,
  frameOf,
  NO_CONTACT,
  newsOf,
  otherSide,
  ownSide,
  type RosterRecord,
  rosterItem,
  type Step,
  type SubscriptionType,
  sameItem,
  withContact,
} from './roster-record.js'
import type { Records } from './store.js'
import type { Delivery } from './xmpp/delivery.js'

export interface RosterOptions {
  readonly bus: Bus
  readonly records: Records<RosterRecord>
  readonly presence: Presence
  readonly delivery: Delivery
  isBlocked(user: string, other: string): boolean
  readonly clock: Clock
  readonly limits: WorkerLimits
}

interface Touched {
  readonly before: Contact
  readonly after: Contact
}

/** One side of a command: whose record, about whom, and what happens to it. */
interface Change {
  readonly owner: string
  readonly other: string
  change(contact: Contact): Contact
  /** It is the other one's command, given by an XMPP client with this stanza or by whatever else. */
  readonly said?: Element | 'otherwise'
}

/** No resource is named like this: what is sent to it is for native sessions alone. */
const NO_RESOURCE = '\u0000'
const EMPTY: RosterRecord = new Map()
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/

export class Roster {
  readonly #options: RosterOptions

  constructor(options: RosterOptions) {
    this.#options = options
  }

  /**
   * Does what a roster frame says. `said`: the presence stanza that says so, for the XMPP clients of the other one. The
   * result is JSON text, or undefined for none. Throws Refusal and BusError.
   */
  async run(user: string, command: v1.RosterCommand.$Properties, said?: Element): Promise<string | undefined> {
    const op = command.op ?? ''
    if (op === 'get') return this.#get(user)
    const other = command.user ?? ''
    if (!isUserId(other)) throw new Refusal('malformed', '`user` has to be a user id: 1 to 256 bytes without control characters')
    if (other === user) throw new Refusal('malformed', 'nobody is their own contact')
    switch (op) {
      case 'set':
        return this.#set(user, other, this.#label(command))
      case 'subscribe':
        return this.#subscribe(user, other, command, said)
      case 'approve':
        return this.#approve(user, other, said)
      case 'deny':
      case 'unsubscribe':
      case 'remove':
        return this.#take(user, other, op, said)
      default:
        throw new Refusal('malformed', '`op` has to be get, set, remove, subscribe, unsubscribe, approve or deny')
    }
  }

  /** The list as the user sees it, sorted. Throws BusError. */
  async items(user: string): Promise<[other: string, contact: Contact][]> {
    const record = (await this.#options.records.get(user)) ?? EMPTY
    return [...record].filter(([, contact]) => contact.listed).sort(([a], [b]) => (a < b ? -1 : 1))
  }

  async #get(user: string): Promise<string> {
    const items = await this.items(user)
    return JSON.stringify({ items: items.map(([other, contact]) => ({ user: other, ...rosterItem(contact) })) })
  }

  async #set(user: string, other: string, label: Pick<Contact, 'name' | 'groups'>): Promise<undefined> {
    await this.#change({ owner: user, other, change: (contact) => ({ ...contact, ...label, listed: true }) })
  }

  async #subscribe(user: string, other: string, command: v1.RosterCommand.$Properties, said?: Element): Promise<undefined> {
    const label = command.name || command.groups?.length ? this.#label(command) : {}
    await this.#change({ owner: user, other, change: (contact) => ({ ...ownSide('subscribe', contact), ...label }) })
    // Like somebody who never answers (XEP-0191 §3.3).
    if (this.#options.isBlocked(user, other)) return
    let reached: Touched
    try {
      reached = await this.#theirs('subscribe', user, other, said)
    } catch (error) {
      // Not asked, so nothing may wait for an answer.
      if (error instanceof Refusal) await this.#change({ owner: user, other, change: (contact) => ({ ...contact, ask: false }) })
      throw error
    }
    if (!reached.after.from) return
    // The other one has agreed before (an approval was cut short, or the answer to it got lost).
    await this.#theirs('approve', other, user)
    await this.#options.presence.reveal(user, other)
  }

  async #approve(user: string, other: string, said?: Element): Promise<undefined> {
    await this.#change({
      owner: user,
      other,
      change: (contact) => {
        if (!contact.request && !contact.from) throw new Refusal('not_found', 'that user has not asked')
        return ownSide('approve', contact)
      },
    })
    const { before, after } = await this.#theirs('approve', user, other, said)
    if (after.to) {
      // RFC 6121 §A.2.3: approving once more has no effect. A native client may do so to have it shown for certain.
      if (said === undefined || !before.to) await this.#options.presence.reveal(other, user)
      return
    }
    // Withdrawn, but the withdrawal never reached this record.
    await this.#change({ owner: user, other, change: (contact) => ownSide('deny', contact) })
    throw new Refusal('not_found', 'that user does not ask any more')
  }

  /** deny, unsubscribe and remove: all take away, and none minds if there is nothing to take. */
  async #take(user: string, other: string, step: 'deny' | 'unsubscribe' | 'remove', said?: Element): Promise<undefined> {
    const { presence } = this.#options
    const own = await this.#change({ owner: user, other, change: (contact) => ownSide(step, contact) })
    const theirs = await this.#theirs(step, user, other, said)
    if (theirs.before.to && !theirs.after.to) await presence.hide(other, user)
    if (own.before.to && !own.after.to) await presence.hide(user, other)
  }

  /** What a command of `user` does to the record of `other`. */
  #theirs(step: Step, user: string, other: string, said?: Element): Promise<Touched> {
    return this.#change({ owner: other, other: user, change: (contact) => otherSide(step, contact), said: said ?? 'otherwise' })
  }

  /** Changes what the record of `owner` says about `other`, and tells the owner's sessions. */
  async #change({ owner, other, change, said }: Change): Promise<Touched> {
    const { records } = this.#options
    const { before = EMPTY, after = EMPTY } = await records.change(owner, (present = EMPTY) => {
      const contact = present.get(other) ?? NO_CONTACT
      const next = change(contact)
      this.#checkRoom(present, contact, next)
      return withContact(present, other, next)
    })
    const touched = { before: before.get(other) ?? NO_CONTACT, after: after.get(other) ?? NO_CONTACT }
    this.#tell(owner, other, touched, said)
    return touched
  }

  #tell(owner: string, other: string, { before, after }: Touched, said: Element | 'otherwise' | undefined): void {
    const { bus, clock, delivery, isBlocked } = this.#options
    const roster = frameOf(other, before, after)
    if (roster === undefined) return
    const stanzas =
      said === undefined || isBlocked(owner, other) ? [] : newsOf(before, after).map((type) => this.#subscription(type, other, said))
    const time = clock.now()
    if (sameItem(before, after)) {
      // The frame is about a mere request, which XMPP clients know of from stanzas alone.
      const [first] = stanzas.splice(0, 1)
      const forXmpp = first === undefined ? { resource: NO_RESOURCE } : { xml: this.#xmlTo(owner, first) }
      bus.push(owner, v1.Envelope.encode({ time, roster, ...forXmpp }).finish())
    } else bus.push(owner, v1.Envelope.encode({ time, roster }).finish())
    for (const stanza of stanzas) delivery.toUser(owner, stanza)
  }

  #subscription(type: SubscriptionType, from: string, said: Element | 'otherwise'): Element {
    const bare = { from: userJid(from, this.#options.delivery.domain), type }
    const isSaid = said !== 'otherwise' && said.attribute('type') === type
    return isSaid ? said.with(bare) : new Element(CLIENT_NS, 'presence', bare)
  }

  #xmlTo(user: string, stanza: Element): Uint8Array {
    return Buffer.from(stanza.with({ to: userJid(user, this.#options.delivery.domain) }).toString())
  }

  #checkRoom(record: RosterRecord, before: Contact, after: Contact): void {
    const { contactsPerUser, requestsPerUser } = this.#options.limits
    if (after.listed && !before.listed && count(record, (contact) => contact.listed) >= contactsPerUser) {
      throw new Refusal('too_large', `a roster has at most ${contactsPerUser} contacts`)
    }
    if (after.request && !before.request && count(record, (contact) => contact.request) >= requestsPerUser) {
      throw new Refusal('too_large', 'that user has too many unanswered requests')
    }
  }

  #label(command: v1.RosterCommand.$Properties): Pick<Contact, 'name' | 'groups'> {
    const { nameBytes, groupsPerContact } = this.#options.limits
    const name = command.name ?? ''
    const groups = [...new Set(command.groups ?? [])]
    for (const text of [name, ...groups]) {
      if (Buffer.byteLength(text) > nameBytes) throw new Refusal('too_large', `names and groups have at most ${nameBytes} bytes`)
      if (CONTROL.test(text)) throw new Refusal('malformed', 'names and groups have no control characters')
    }
    if (groups.includes('')) throw new Refusal('malformed', 'a group has a name')
    if (groups.length > groupsPerContact) throw new Refusal('too_large', `a contact is in at most ${groupsPerContact} groups`)
    return { name, groups }
  }
}

function count(record: RosterRecord, matches: (contact: Contact) => boolean): number {
  let found = 0
  for (const contact of record.values()) if (matches(contact)) found++
  return found
}
