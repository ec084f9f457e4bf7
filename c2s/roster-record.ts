// A user's contacts: the record of the bucket `roster`, and the rules by which two users' records change.
//
// Every command changes the record of the one who gives it and the record of the other one. The rules are pure and
// idempotent, one for each side, so a command that was cut short between the two records is completed by its repetition.

import type { v1 } from '../proto/messages.js'
import type { Codec } from './store.js'

/** What one user's record says about another. Nothing at all is no contact. */
export interface Contact {
  readonly name: string
  readonly groups: readonly string[]
  /** The owner sees the contact's presence. */
  readonly to: boolean
  /** The contact sees the owner's presence. */
  readonly from: boolean
  /** The owner asked to see the contact, who has not answered yet. */
  readonly ask: boolean
  /** The contact asked to see the owner, who has not answered yet. */
  readonly request: boolean
  /** In the list the owner sees; a mere request is not. */
  readonly listed: boolean
}

export type RosterRecord = ReadonlyMap<string, Contact>
export type Subscription = 'none' | 'to' | 'from' | 'both'
/** Commands that concern both users. */
export type Step = 'subscribe' | 'approve' | 'deny' | 'unsubscribe' | 'remove'
/** Presence stanzas about subscriptions (RFC 6121 §3). */
export type SubscriptionType = 'subscribe' | 'subscribed' | 'unsubscribe' | 'unsubscribed'

export const NO_CONTACT: Contact = { name: '', groups: [], to: false, from: false, ask: false, request: false, listed: false }

export function subscriptionOf(contact: Contact): Subscription {
  if (contact.to) return contact.from ? 'both' : 'to'
  return contact.from ? 'from' : 'none'
}

/** The contact as the one who gives the command sees it afterwards. */
export function ownSide(step: Step, contact: Contact): Contact {
  switch (step) {
    case 'subscribe':
      return { ...contact, listed: true, ask: !contact.to }
    case 'approve':
      return { ...contact, listed: true, from: true, request: false }
    case 'deny':
      return { ...contact, from: false, request: false }
    case 'unsubscribe':
      return { ...contact, to: false, ask: false }
    case 'remove':
      return NO_CONTACT
  }
}

/** The one who gave the command as the other one's record has it afterwards. */
export function otherSide(step: Step, contact: Contact): Contact {
  switch (step) {
    case 'subscribe':
      return contact.from ? contact : { ...contact, request: true }
    case 'approve':
      return contact.ask ? { ...contact, to: true, ask: false } : contact
    case 'deny':
      return { ...contact, to: false, ask: false }
    case 'unsubscribe':
      return { ...contact, from: false, request: false }
    case 'remove':
      return { ...contact, to: false, from: false, ask: false, request: false }
  }
}

/** The record with this contact; the same record when nothing changes. */
export function withContact(record: RosterRecord, user: string, contact: Contact): RosterRecord {
  const present = record.get(user)
  if (sameContact(present ?? NO_CONTACT, contact)) return record
  const changed = new Map(record)
  if (sameContact(contact, NO_CONTACT)) changed.delete(user)
  else changed.set(user, contact)
  return changed
}

/**
 * Stanzas that the owner's XMPP clients get when a command of the contact changed the record so (RFC 6121 §A.3: what changes
 * nothing is not delivered).
 */
export function newsOf(before: Contact, after: Contact): readonly SubscriptionType[] {
  const news: SubscriptionType[] = []
  if (after.request && !before.request) news.push('subscribe')
  if ((before.from || before.request) && !after.from && !after.request) news.push('unsubscribe')
  if (before.ask && after.to) news.push('subscribed')
  if ((before.to || before.ask) && !after.to && !after.ask) news.push('unsubscribed')
  return news
}

/** Whether a list without mere requests (RFC 6121 §2.1.2.3: `Pending In` is not in it) looks the same. */
export function sameItem(before: Contact, after: Contact): boolean {
  if (!before.listed && !after.listed) return true
  return sameContact({ ...before, request: false }, { ...after, request: false })
}

/** What the owner's sessions are told about the change; undefined: nothing that concerns them. */
export function frameOf(user: string, before: Contact, after: Contact): v1.Roster.$Properties | undefined {
  if (sameContact(before, after)) return undefined
  if (after.request && !before.request) return rosterFrame('request', user, after)
  return after.listed ? rosterFrame('set', user, after) : rosterFrame('remove', user, after)
}

export function rosterFrame(op: 'request' | 'set' | 'remove', user: string, contact: Contact): v1.Roster.$Properties {
  return {
    op,
    user,
    name: contact.name,
    groups: [...contact.groups],
    subscription: subscriptionOf(contact),
    ask: contact.ask ? 'subscribe' : '',
  }
}

/** What clients see of a contact in the answer to `get`; absent members are empty. */
export function rosterItem(contact: Contact): object {
  return {
    ...(contact.name === '' ? {} : { name: contact.name }),
    ...(contact.groups.length === 0 ? {} : { groups: contact.groups }),
    subscription: subscriptionOf(contact),
    ...(contact.ask ? { ask: 'subscribe' } : {}),
  }
}

function sameContact(a: Contact, b: Contact): boolean {
  return (
    a.name === b.name &&
    a.to === b.to &&
    a.from === b.from &&
    a.ask === b.ask &&
    a.request === b.request &&
    a.listed === b.listed &&
    a.groups.length === b.groups.length &&
    a.groups.every((group, i) => group === b.groups[i])
  )
}

/** JSON: `{"contacts":[[user, {name?, groups?, subscription, ask?, request?, listed?}], …]}`; an absent member is false or empty. */
export const rosterCodec: Codec<RosterRecord> = {
  encode(record) {
    const contacts = [...record].map(([user, contact]) => {
      const own = { ...(contact.request ? { request: true } : {}), ...(contact.listed ? { listed: true } : {}) }
      return [user, { ...rosterItem(contact), ...own }]
    })
    return Buffer.from(JSON.stringify({ contacts }))
  },
  decode(data) {
    const { contacts } = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()) as {
      contacts: [string, Partial<StoredContact>][]
    }
    return new Map(contacts.map(([user, stored]) => [user, restore(stored)]))
  },
}

interface StoredContact {
  readonly name: string
  readonly groups: readonly string[]
  readonly subscription: Subscription
  readonly ask: string
  readonly request: boolean
  readonly listed: boolean
}

function restore(stored: Partial<StoredContact>): Contact {
  const { subscription } = stored
  return {
    name: stored.name ?? '',
    groups: stored.groups ?? [],
    to: subscription === 'to' || subscription === 'both',
    from: subscription === 'from' || subscription === 'both',
    ask: stored.ask !== undefined,
    request: stored.request === true,
    listed: stored.listed === true,
  }
}
