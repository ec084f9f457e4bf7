// Frames as stanzas of XMPP: one frame of a session of an XMPP client is one stanza.

import type { Delivery } from '../../gateway/carrier.js'
import type { Outbound } from '../../gateway/outbound.js'
import type { Session } from '../../gateway/session.js'
import type { XmppSession } from '../../gateway/xmpp-session.js'
import type { v1 } from '../../proto/messages.js'
import { archiveId } from '../../proto/xml/archive-id.js'
import { Element, escapeAttribute } from '../../proto/xml/element.js'
import { userJid } from '../../proto/xml/jid.js'
import { CARBONS_NS, CLIENT_NS, DELAY_NS, FORWARD_NS, ROSTER_NS, STANZA_ID_NS } from '../../proto/xml/namespaces.js'
import { nativeMessage } from '../../proto/xml/native-message.js'
import { nativePresence } from '../../proto/xml/native-presence.js'

/** The stanza, complete in itself. `domain`: of all addresses. */
export function renderStanza(delivery: Delivery, session: Session, domain: string): string {
  const { outbound, number } = delivery
  const { frame, native } = outbound
  const { user } = session.owner
  const { xmpp } = session
  if (xmpp === undefined) throw new Error('a stanza for a session that is none of an XMPP client')
  if (frame.roster != null && outbound.xml === undefined)
    return rosterStanza(frame.roster, userJid(user, domain, xmpp.resource), domain, number)
  if (outbound.xml === undefined && native !== undefined) return presenceOf(native, userJid(user, domain), domain)
  const base = baseText(outbound, user, domain)
  if (outbound.sent || (outbound.resource !== '' && outbound.resource !== xmpp.resource))
    return carbon(outbound, base, session, xmpp, domain)
  const extra = additions(delivery, session, xmpp, domain)
  return extra === '' ? base : appended(base, extra)
}

/** Shared by all sessions that get it. */
function baseText(outbound: Outbound, user: string, domain: string): string {
  if (outbound.stanza !== undefined) return outbound.stanza
  const { xml, frame } = outbound
  if (xml !== undefined) outbound.stanza = Buffer.from(xml.buffer, xml.byteOffset, xml.byteLength).toString()
  // It may go to several users, each with an address of its own.
  else if (frame.message != null) return nativeMessage({ ...frame.message, to: userJid(user, domain) }, domain).toString()
  else throw new Error('a frame that is no stanza')
  return outbound.stanza
}

/** XEP-0359 and XEP-0203. */
function additions({ outbound, inbox }: Delivery, session: Session, xmpp: XmppSession, domain: string): string {
  if (!outbound.durable) return ''
  const { user, cursorPrefix } = session.owner
  const [, epoch = ''] = cursorPrefix.split('.')
  const by = escapeAttribute(userJid(user, domain))
  const id = `<stanza-id xmlns='${STANZA_ID_NS}' by='${by}' id='${archiveId(epoch, inbox)}'/>`
  return outbound.publishedAtMs < xmpp.receptiveSinceMs ? id + delayText(outbound.publishedAtMs, domain) : id
}

/** What a date can say at the most; backends write times too. */
const LAST_DATE_MS = 8.64e15

function delayText(timeMs: number, domain: string): string {
  return `<delay xmlns='${DELAY_NS}' from='${escapeAttribute(domain)}' stamp='${new Date(Math.min(timeMs, LAST_DATE_MS)).toISOString()}'/>`
}

/** XEP-0280 §7. */
function carbon(outbound: Outbound, base: string, session: Session, xmpp: XmppSession, domain: string): string {
  const { user } = session.owner
  const direction = outbound.sent ? 'sent' : 'received'
  const from = escapeAttribute(userJid(user, domain))
  const to = escapeAttribute(userJid(user, domain, xmpp.resource))
  const forwarded = `<forwarded xmlns='${FORWARD_NS}'>${delayText(outbound.publishedAtMs, domain)}${base}</forwarded>`
  return `<message xmlns='${CLIENT_NS}' from='${from}' to='${to}' type='chat'><${direction} xmlns='${CARBONS_NS}'>${forwarded}</${direction}></message>`
}

/** RFC 6121 §2.1.6, and §3.1.3 for a request to see the user's presence. */
function rosterStanza(roster: v1.Roster.$Properties, to: string, domain: string, number: number): string {
  const { op, name, groups, subscription, ask } = roster
  const jid = userJid(roster.user ?? '', domain)
  if (op === 'request')
    return new Element(CLIENT_NS, 'presence', { type: 'subscribe', from: jid, to: to.slice(0, to.indexOf('/')) }).toString()
  const removed = op === 'remove'
  const attributes = { jid, subscription: removed ? 'remove' : subscription || 'none', ask: ask || undefined, name: name || undefined }
  const children = removed ? [] : (groups ?? []).map((group) => new Element(ROSTER_NS, 'group', {}, [group]))
  const query = new Element(ROSTER_NS, 'query', {}, [
    new Element(ROSTER_NS, 'item', removed ? { jid, subscription: 'remove' } : attributes, children),
  ])
  return new Element(CLIENT_NS, 'iq', { type: 'set', id: `push-${number.toString(36)}`, to }, [query]).toString()
}

function presenceOf({ user, status, note }: v1.NativePresence.$Properties, to: string, domain: string): string {
  return nativePresence(user ?? '', { status: status ?? '', note: note ?? '' }, domain)
    .with({ to })
    .toString()
}

/** With `extra` as the last children of the root. */
function appended(stanza: string, extra: string): string {
  if (stanza.endsWith('/>') && stanza.indexOf('>') === stanza.length - 1) {
    const name = /^<([\w:]+)/.exec(stanza)?.[1] ?? ''
    return `${stanza.slice(0, -2)}>${extra}</${name}>`
  }
  const end = stanza.lastIndexOf('</')
  return stanza.slice(0, end) + extra + stanza.slice(end)
}
