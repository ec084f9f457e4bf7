// What handlers of iq stanzas share.

import { Element } from '../../proto/xml/element.js'
import { CLIENT_NS } from '../../proto/xml/namespaces.js'
import { StanzaError } from '../../proto/xml/stanza-error.js'
import type { Handler, Incoming } from './incoming.js'

/** The answer to a request (RFC 6120 §8.2.3). */
export function iqResult({ stanza }: Incoming, children: readonly Element[] = []): readonly Element[] {
  const { from, to, id } = Object.fromEntries(stanza.attributes)
  return [new Element(CLIENT_NS, 'iq', { type: 'result', id, from: to, to: from }, children)]
}

/** The one child of a request. Throws StanzaError `bad-request`. */
export function payloadOf(stanza: Element): Element {
  const [payload, ...more] = stanza.elements
  if (payload === undefined || more.length > 0) throw new StanzaError('bad-request', 'a request has exactly one child')
  return payload
}

/** What a request is called in a table of handlers. */
export function iqKey(name: string, ns: string): string {
  return `${name} ${ns}`
}

/** Different handlers for requests that ask and requests that change something; absent: `not-allowed`. */
export function byType(handlers: { readonly get?: Handler; readonly set?: Handler }): Handler {
  return (incoming) => {
    const handler = incoming.stanza.attribute('type') === 'get' ? handlers.get : handlers.set
    if (handler === undefined) throw new StanzaError('not-allowed')
    return handler(incoming)
  }
}
