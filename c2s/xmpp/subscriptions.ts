// Presence stanzas about subscriptions (RFC 6121 §3): commands to the roster that both worlds share.
//
// What they mean for the contact's side, and whether the contact gets the stanza, is decided where the contact's record is
// changed (see roster-record.ts), so that it is the same for commands of native clients.

import { jidUser, parseJid, userJid } from '../../proto/xml/jid.js'
import { StanzaError } from '../../proto/xml/stanza-error.js'
import { Refusal } from '../refusal.js'
import type { Roster } from '../roster.js'
import type { Step, SubscriptionType } from '../roster-record.js'
import type { BlockLists } from './block-lists.js'
import type { Handler } from './incoming.js'

const STEPS: Readonly<Record<SubscriptionType, Step>> = {
  subscribe: 'subscribe',
  subscribed: 'approve',
  unsubscribe: 'unsubscribe',
  unsubscribed: 'deny',
}

export function isSubscription(type: string): type is SubscriptionType {
  return Object.hasOwn(STEPS, type)
}

export function subscriptions(roster: Roster, blockLists: BlockLists, domain: string): Handler {
  return async ({ session, stanza }) => {
    const type = stanza.attribute('type')
    const to = parseJid(stanza.attribute('to'))
    if (to === undefined) throw new StanzaError('bad-request', 'a subscription is addressed to somebody')
    // Nobody who could be a contact is nobody who could be told.
    const contact = jidUser(to, domain)
    // Everybody sees their own presence, and nobody is their own contact.
    if (!isSubscription(type) || contact === undefined || contact === session.user) return []
    blockLists.checkOwn(session.user, { ...to, resource: '' })
    // RFC 6121 §3.1.2: addressed to and sent from bare JIDs.
    const said = stanza.with({ from: userJid(session.user, domain), to: userJid(contact, domain) })
    try {
      await roster.run(session.user, { op: STEPS[type], user: contact }, said)
    } catch (error) {
      // §3.1.5 without pre-approval: who has not asked is not told.
      if (!(error instanceof Refusal && error.code === 'not_found')) throw error
    }
    return []
  }
}
