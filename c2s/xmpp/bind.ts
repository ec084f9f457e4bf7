// Resource binding (RFC 6120 §7): the request that makes a session of a stream.

import type { v1 } from '../../proto/messages.js'
import { Element } from '../../proto/xml/element.js'
import { formatJid, isResource, parseJid, userJid } from '../../proto/xml/jid.js'
import { BIND_NS, CLIENT_NS } from '../../proto/xml/namespaces.js'
import { NATIVE_RESOURCE } from '../../proto/xml/native-presence.js'
import { errorStanza, StanzaError } from '../../proto/xml/stanza-error.js'
import type { Identity } from './sasl/mechanism.js'

const GENERATED_BYTES = 9

/** A request to bind, or what should be one. */
export function isBind(element: Element): boolean {
  const isRequest = element.attribute('type') !== 'result' && element.attribute('type') !== 'error'
  return isRequest && element.is('iq', CLIENT_NS) && element.child('bind', BIND_NS) !== undefined
}

/** `domain`: in lower case. Throws StanzaError. */
export function bind(iq: Element, identity: Identity, domain: string, random: (bytes: number) => Uint8Array): v1.StreamBound.$Properties {
  const { user, topics, expiresAtMs } = identity
  const requested = requestedResource(iq, user, domain)
  // The one that stands for all sessions of the native protocol is not to be had.
  const isGenerated = requested === '' || requested === NATIVE_RESOURCE
  const resource = isGenerated ? Buffer.from(random(GENERATED_BYTES)).toString('base64url') : requested
  const jid = new Element(BIND_NS, 'jid', {}, [userJid(user, domain, resource)])
  const result = new Element(CLIENT_NS, 'iq', { type: 'result', id: iq.attribute('id') }, [new Element(BIND_NS, 'bind', {}, [jid])])
  const failure = errorStanza(iq, new StanzaError('resource-constraint', 'no session can be opened now'))
  return {
    resource,
    generated: isGenerated,
    result: Buffer.from(result.toString()),
    failure: Buffer.from(failure?.toString() ?? ''),
    topics: [...(topics ?? [])],
    anyTopic: topics === undefined,
    expires: expiresAtMs,
  }
}

/** '' for none. */
function requestedResource(iq: Element, user: string, domain: string): string {
  const to = iq.attribute('to')
  const jid = parseJid(to)
  if (to !== '' && (jid === undefined || (formatJid(jid) !== domain && formatJid(jid) !== userJid(user, domain)))) {
    throw new StanzaError('not-allowed', 'a resource is bound at the own server')
  }
  const [child, ...others] = iq.elements
  if (iq.attribute('type') !== 'set' || iq.attribute('id') === '' || child === undefined || others.length > 0) {
    throw new StanzaError('bad-request', 'a resource is bound by an iq of the type set with an id and one element')
  }
  const [resource, ...more] = child.elements
  if (resource === undefined) return ''
  if (more.length > 0 || !resource.is('resource', BIND_NS) || resource.elements.length > 0) {
    throw new StanzaError('bad-request', 'bind contains one resource at the most')
  }
  if (resource.text !== '' && !isResource(resource.text)) {
    throw new StanzaError('bad-request', 'a resource has 1 to 1023 bytes and no control characters')
  }
  return resource.text
}
