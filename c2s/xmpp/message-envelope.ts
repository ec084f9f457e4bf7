// What a message stanza says, and what becomes of it on the bus: its type, its content for others than XMPP clients, and how
// long and how widely it wants to be kept.

import { createHash } from 'node:crypto'
import { Element } from '../../proto/xml/element.js'
import { parseJid } from '../../proto/xml/jid.js'
import { CARBONS_NS, CLIENT_NS, DELAY_NS, HINTS_NS, JSON_NS, STANZA_ID_NS } from '../../proto/xml/namespaces.js'
import { StanzaError } from '../../proto/xml/stanza-error.js'

export type MessageType = 'chat' | 'error' | 'groupchat' | 'headline' | 'normal'

/** How a message is kept: `durable`: until it is delivered and in the archive; `passing`: until it is delivered; `live`: not at all. */
export type Keeping = 'durable' | 'passing' | 'live'

/** What XEP-0280 §6.1 and XEP-0160 call instant messaging without content: of interest only while it is new. */
const STATES = ['http://jabber.org/protocol/chatstates', 'urn:xmpp:receipts', 'urn:xmpp:chat-markers:0'] as const
/** Beside content, but none. */
const ACCESSORIES: ReadonlySet<string> = new Set([
  ...STATES,
  HINTS_NS,
  CARBONS_NS,
  STANZA_ID_NS,
  DELAY_NS,
  'http://jabber.org/protocol/nick',
])
const MUC_USER_NS = 'http://jabber.org/protocol/muc#user'
const CONFERENCE_NS = 'jabber:x:conference'

/** RFC 6121 §5.2.2: what is unknown is `normal`. */
export function messageType(stanza: Element): MessageType {
  const type = stanza.attribute('type')
  return type === 'chat' || type === 'error' || type === 'groupchat' || type === 'headline' ? type : 'normal'
}

/**
 * The content as JSON text: the JSON container (XEP-0335), else `{"body": …}`. Undefined: nothing for a human. Throws
 * StanzaError `bad-request` when the container holds no JSON.
 */
export function messageData(stanza: Element): string | undefined {
  const container = stanza.child('json', JSON_NS)
  if (container !== undefined) return jsonOf(container)
  const body = bodyOf(stanza)
  return body === '' ? undefined : JSON.stringify({ body })
}

export function keepingOf(stanza: Element): Keeping {
  const type = messageType(stanza)
  if ((type !== 'chat' && type !== 'normal') || hasHint(stanza, 'no-store')) return 'live'
  if (!hasHint(stanza, 'store') && !hasContent(stanza)) return 'live'
  return isPassing(stanza) ? 'passing' : 'durable'
}

/** XEP-0334 §4.1: may wait for its recipient, but not stay in an archive. */
export function isPassing(stanza: Element): boolean {
  return hasHint(stanza, 'no-permanent-store')
}

/** Whether other sessions get a copy (XEP-0280 §6.1; XEP-0334 §4.3). */
export function isCopied(stanza: Element): boolean {
  const type = messageType(stanza)
  if (type === 'error' || type === 'groupchat' || type === 'headline') return false
  // `<private/>`, and messages that are copies themselves.
  if (stanza.childOf(CARBONS_NS) !== undefined || hasHint(stanza, 'no-copy')) return false
  if (type === 'chat' || bodyOf(stanza) !== '') return true
  return [...STATES, MUC_USER_NS, CONFERENCE_NS].some((ns) => stanza.childOf(ns) !== undefined)
}

/**
 * The stanza as it is delivered: without what only a server of this domain may say (XEP-0359 §5 for stanza ids, and so for
 * delays). `to`: set when the client gave none.
 */
export function deliverable(stanza: Element, to: string, domain: string): Element {
  const children = stanza.children.filter((child) => !(child instanceof Element) || !isServersWord(child, domain))
  const clean = children.length === stanza.children.length ? stanza : stanza.containing(children)
  return clean.attribute('to') === '' ? clean.with({ to }) : clean
}

/**
 * What it is called outside XMPP, made of `id` (of the stanza on its way, see Incoming). Not the stanza's own id: that is unique
 * in its stream at the most (RFC 6120 §8.1.3), and native clients drop what has an id that they have seen.
 */
export function envelopeId(id: string): string {
  return digest(id).slice(0, 20)
}

/** What the store deduplicates on. A digest: ids of stanzas may hold the secret of their session. */
export function busId(id: string): string {
  return `x:${digest(id)}`
}

/** Stands for `id` where others see it. */
export function digest(id: string): string {
  return createHash('sha256').update(id).digest('base64url')
}

function jsonOf(container: Element): string {
  const text = container.text.trim()
  try {
    if (container.elements.length > 0) throw new SyntaxError('an element in it')
    JSON.parse(text)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new StanzaError('bad-request', 'the JSON container holds no JSON')
  }
  return text
}

/** Of several in different languages, that in the language of the stanza. */
function bodyOf(stanza: Element): string {
  const bodies = stanza.elements.filter((child) => child.is('body', CLIENT_NS))
  return (bodies.find((body) => !body.attributes.has('xml:lang')) ?? bodies[0])?.text ?? ''
}

function hasContent(stanza: Element): boolean {
  if (bodyOf(stanza) !== '') return true
  return stanza.elements.some(({ ns, name, text }) => (ns === CLIENT_NS ? name === 'subject' && text !== '' : !ACCESSORIES.has(ns)))
}

function hasHint(stanza: Element, name: string): boolean {
  return stanza.child(name, HINTS_NS) !== undefined
}

function isServersWord(child: Element, domain: string): boolean {
  const by = child.is('stanza-id', STANZA_ID_NS) ? 'by' : child.is('delay', DELAY_NS) ? 'from' : undefined
  return by !== undefined && parseJid(child.attribute(by))?.domain === domain
}
