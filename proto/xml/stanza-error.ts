// Stanza errors (RFC 6120 §8.3): thrown by handlers, made into the answer in one place.

import { Element } from './element.js'
import { CLIENT_NS, STANZA_ERRORS_NS } from './namespaces.js'

export type StanzaCondition =
  | 'bad-request'
  | 'conflict'
  | 'feature-not-implemented'
  | 'forbidden'
  | 'internal-server-error'
  | 'item-not-found'
  | 'jid-malformed'
  | 'not-acceptable'
  | 'not-allowed'
  | 'not-authorized'
  | 'policy-violation'
  | 'recipient-unavailable'
  | 'registration-required'
  | 'remote-server-not-found'
  | 'resource-constraint'
  | 'service-unavailable'
  | 'unexpected-request'

/** RFC 6120 §8.3.3: what the sender may do about it. */
const TYPES: Readonly<Record<StanzaCondition, 'auth' | 'cancel' | 'modify' | 'wait'>> = {
  'bad-request': 'modify',
  conflict: 'cancel',
  'feature-not-implemented': 'cancel',
  forbidden: 'auth',
  'internal-server-error': 'wait',
  'item-not-found': 'cancel',
  'jid-malformed': 'modify',
  'not-acceptable': 'modify',
  'not-allowed': 'cancel',
  'not-authorized': 'auth',
  'policy-violation': 'modify',
  'recipient-unavailable': 'wait',
  'registration-required': 'auth',
  'remote-server-not-found': 'cancel',
  'resource-constraint': 'wait',
  'service-unavailable': 'cancel',
  'unexpected-request': 'wait',
}

export class StanzaError extends Error {
  override readonly name = 'StanzaError'
  constructor(
    readonly condition: StanzaCondition,
    message = '',
    /** An application-specific condition (RFC 6120 §8.3.4). */
    readonly detail?: Element,
  ) {
    super(message)
  }
}

/**
 * The answer to a stanza that failed: the same kind, to its sender, with what it said. Undefined: it must not be answered
 * (RFC 6120 §8.3.1: errors; §8.2.3: results).
 */
export function errorStanza(stanza: Element, { condition, message, detail }: StanzaError): Element | undefined {
  const type = stanza.attribute('type')
  if (type === 'error' || (stanza.name === 'iq' && type === 'result')) return undefined
  const { from, to, id } = Object.fromEntries(stanza.attributes)
  const text = message === '' ? [] : [new Element(STANZA_ERRORS_NS, 'text', { 'xml:lang': 'en' }, [message])]
  const error = new Element(CLIENT_NS, 'error', { type: TYPES[condition] }, [
    new Element(STANZA_ERRORS_NS, condition),
    ...text,
    ...(detail === undefined ? [] : [detail]),
  ])
  return new Element(CLIENT_NS, stanza.name, { type: 'error', id, from: to, to: from }, [...stanza.children, error])
}
