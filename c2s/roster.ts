// The roster: who is whose contact, and who may see whose presence.
//
// A command changes the giver's record first and the other one's then (what it takes from a contact is taken from the
// giver's side at once; what it gives takes effect with the second record). Every step is repeated without harm, so
// a repeated command completes one that was cut short.

import type { Bus } from '../bus/bus.js'
import type { Clock } from '../bus/clock.js'
import { isUserId } from '../bus/user-token.js'
import { v1 } from '../proto/messages.js'
import type { WorkerLimits } from './limits.js'
import type { Presence } from './presence.js'
import { Refusal } from './refusal.js'
import { type Contact, frameOf, NO_CONTACT, otherSide, ownSide, type RosterRecord, rosterItem, withContact } from './roster-record.js'
import { OFFLINE } from './status.js'
import type { Records } from './store.js'

export interface RosterOptions {
  readonly bus: Bus
  readonly records: Records<RosterRecord>
  readonly presence: Presence
  readonly clock: Clock
  readonly limits: WorkerLimits
}

interface Touched {
  readonly before: Contact
  readonly after: Contact
}

const EMPTY: RosterRecord = new Map()
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/

export class Roster {
  readonly #options: RosterOptions

  constructor(options: RosterOptions) {
    this.#options = options
  }

  /** Does what a roster frame says. The result is JSON text, or undefined for none. Throws Refusal and BusError. */
  async run(user: string, command: v1.RosterCommand.$Properties): Promise<string | undefined> {
    const op = command.op ?? ''
    if (op === 'get') return this.#get(user)
    const other = command.user ?? ''
    if (!isUserId(other)) throw new Refusal('malformed', '`user` has to be a user id: 1 to 256 bytes without control characters')
    if (other === user) throw new Refusal('malformed', 'nobody is their own contact')
    switch (op) {
      case 'set':
        return this.#set(user, other, this.#label(command))
      case 'subscribe':
        return this.#subscribe(user, other, command)
      case 'approve':
        return this.#approve(user, other)
      case 'deny':
      case 'remove':
        return this.#take(user, other, op)
      default:
        throw new Refusal('malformed', '`op` has to be get, set, remove, subscribe, approve or deny')
    }
  }

  async #get(user: string): Promise<string> {
    const record = (await this.#options.records.get(user)) ?? EMPTY
    const items = [...record].filter(([, contact]) => contact.listed).sort(([a], [b]) => (a < b ? -1 : 1))
    return JSON.stringify({ items: items.map(([other, contact]) => ({ user: other, ...rosterItem(contact) })) })
  }

  async #set(user: string, other: string, label: Pick<Contact, 'name' | 'groups'>): Promise<undefined> {
    await this.#change(user, other, (contact) => ({ ...contact, ...label, listed: true }))
  }

  async #subscribe(user: string, other: string, command: v1.RosterCommand.$Properties): Promise<undefined> {
    const label = command.name || command.groups?.length ? this.#label(command) : {}
    await this.#change(user, other, (contact) => ({ ...ownSide('subscribe', contact), ...label }))
    let reached: Touched
    try {
      reached = await this.#change(other, user, (contact) => otherSide('subscribe', contact))
    } catch (error) {
      // Not asked, so nothing may wait for an answer.
      if (error instanceof Refusal) await this.#change(user, other, (contact) => ({ ...contact, ask: false }))
      throw error
    }
    if (!reached.after.from) return
    // The other one has agreed before (an approval was cut short, or the answer to it got lost).
    await this.#change(user, other, (contact) => otherSide('approve', contact))
    this.#options.presence.show(user, other, await this.#options.presence.current(other))
  }

  async #approve(user: string, other: string): Promise<undefined> {
    await this.#change(user, other, (contact) => {
      if (!contact.request && !contact.from) throw new Refusal('not_found', 'that user has not asked')
      return ownSide('approve', contact)
    })
    const { after } = await this.#change(other, user, (contact) => otherSide('approve', contact))
    if (after.to) {
      this.#options.presence.show(other, user, await this.#options.presence.current(user))
      return
    }
    // Withdrawn, but the withdrawal never reached this record.
    await this.#change(user, other, (contact) => ownSide('deny', contact))
    throw new Refusal('not_found', 'that user does not ask any more')
  }

  /** deny and remove: both take away, and neither minds if there is nothing to take. */
  async #take(user: string, other: string, step: 'deny' | 'remove'): Promise<undefined> {
    const { presence } = this.#options
    const own = await this.#change(user, other, (contact) => ownSide(step, contact))
    const theirs = await this.#change(other, user, (contact) => otherSide(step, contact))
    if (theirs.before.to && !theirs.after.to) presence.show(other, user, OFFLINE)
    if (own.before.to && !own.after.to) presence.show(user, other, OFFLINE)
  }

  /** Changes what the record of `owner` says about `other`, and tells the owner's sessions. */
  async #change(owner: string, other: string, change: (contact: Contact) => Contact): Promise<Touched> {
    const { bus, records, clock } = this.#options
    const { before = EMPTY, after = EMPTY } = await records.change(owner, (present = EMPTY) => {
      const contact = present.get(other) ?? NO_CONTACT
      const next = change(contact)
      this.#checkRoom(present, contact, next)
      return withContact(present, other, next)
    })
    const touched = { before: before.get(other) ?? NO_CONTACT, after: after.get(other) ?? NO_CONTACT }
    const roster = frameOf(other, touched.before, touched.after)
    if (roster !== undefined) bus.push(owner, v1.Envelope.encode({ time: clock.now(), roster }).finish())
    return touched
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
