// The roster of XMPP clients (RFC 6121 §2). Pushes are made by the gateways, of what the roster tells all sessions of a user.

import { Element } from '../../proto/xml/element.js'
import { jidUser, parseJid, userJid } from '../../proto/xml/jid.js'
import { ROSTER_NS } from '../../proto/xml/namespaces.js'
import { StanzaError } from '../../proto/xml/stanza-error.js'
import { Refusal } from '../refusal.js'
import type { Roster } from '../roster.js'
import { type Contact, subscriptionOf } from '../roster-record.js'
import type { Handler } from './incoming.js'
import { iqResult } from './iq-result.js'

export function rosterIq(roster: Roster, domain: string): Handler {
  return async (incoming) => {
    const { session, state, stanza } = incoming
    const { user } = session
    const to = stanza.attribute('to')
    if (to !== '' && jidUser(parseJid(to) ?? NOBODY, domain) !== user) throw new StanzaError('forbidden')
    const query = stanza.child('query', ROSTER_NS)
    if (query === undefined) throw new StanzaError('bad-request')
    if (stanza.attribute('type') === 'get') {
      if (query.elements.length > 0) throw new StanzaError('bad-request', 'who asks for the roster asks for all of it')
      const items = (await roster.items(user)).map(([other, contact]) => itemOf(userJid(other, domain), contact))
      state.change({ interested: true })
      return iqResult(incoming, [new Element(ROSTER_NS, 'query', {}, items)])
    }
    const [item, second] = query.elements
    if (item === undefined || second !== undefined || !item.is('item', ROSTER_NS)) {
      throw new StanzaError('bad-request', 'exactly one item is set at a time')
    }
    await set(roster, user, item, domain)
    return iqResult(incoming)
  }
}

const NOBODY = { local: '', domain: '', resource: '' }

/** An item as RFC 6121 §2.1.2 has it. */
function itemOf(jid: string, contact: Contact): Element {
  const { name, groups, ask } = contact
  const attributes = {
    jid,
    name: name === '' ? undefined : name,
    subscription: subscriptionOf(contact),
    ask: ask ? 'subscribe' : undefined,
  }
  return new Element(
    ROSTER_NS,
    'item',
    attributes,
    groups.map((group) => new Element(ROSTER_NS, 'group', {}, [group])),
  )
}

/** RFC 6121 §2.3 and §2.5. `subscription` (but for remove) and `ask` are not the client's to set, and ignored. */
async function set(roster: Roster, user: string, item: Element, domain: string): Promise<void> {
  const contact = contactOf(item, user, domain)
  if (item.attribute('subscription') === 'remove') {
    if (!(await roster.items(user)).some(([other]) => other === contact)) throw new StanzaError('item-not-found')
    await roster.run(user, { op: 'remove', user: contact })
    return
  }
  const groups = item.elements.filter((child) => child.is('group', ROSTER_NS)).map((group) => group.text)
  if (new Set(groups).size < groups.length) throw new StanzaError('bad-request', 'a group is named twice')
  try {
    await roster.run(user, { op: 'set', user: contact, name: item.attribute('name'), groups })
  } catch (error) {
    // §2.3.3: names and groups that are empty or too long, and rosters that are full.
    if (error instanceof Refusal && (error.code === 'too_large' || error.code === 'malformed')) {
      throw new StanzaError('not-acceptable', error.message)
    }
    throw error
  }
}

function contactOf(item: Element, user: string, domain: string): string {
  const text = item.attribute('jid')
  if (text === '') throw new StanzaError('bad-request', 'an item has a jid')
  const jid = parseJid(text)
  if (jid === undefined) throw new StanzaError('jid-malformed', '`jid` is no address')
  const contact = jidUser(jid, domain)
  if (contact === undefined) throw new StanzaError('not-acceptable', `contacts are users of ${domain}`)
  if (contact === user) throw new StanzaError('not-allowed', 'nobody is their own contact')
  return contact
}
