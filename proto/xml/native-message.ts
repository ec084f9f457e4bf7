// A message of the native protocol, or of a backend, as XMPP clients get it.

import { Element } from './element.js'
import { userJid } from './jid.js'
import { CLIENT_NS, JSON_NS } from './namespaces.js'

export interface NativeMessage {
  readonly id?: string | null
  /** The sending user; '' or absent: a backend, whose messages come from the domain. */
  readonly from?: string | null
  /** Bare JID. */
  readonly to: string
  /** One JSON value as text. */
  readonly data?: Uint8Array | null
}

/**
 * `<message type='chat'>`: the body is the value if it is a string, else its member `body` if that is one, else its JSON text;
 * with the JSON beside it (XEP-0335) whenever it is no string. A JSON text has what XML can't say escaped: nothing is lost there.
 */
export function nativeMessage({ id, from, to, data }: NativeMessage, domain: string): Element {
  const json = data == null ? 'null' : Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()
  const value: unknown = JSON.parse(json)
  const children = [new Element(CLIENT_NS, 'body', {}, [bodyOf(value, json)])]
  if (typeof value !== 'string') children.push(new Element(JSON_NS, 'json', {}, [json]))
  const sender = from ? userJid(from, domain) : domain
  return new Element(CLIENT_NS, 'message', { type: 'chat', id: id || undefined, from: sender, to }, children)
}

function bodyOf(value: unknown, json: string): string {
  if (typeof value === 'string') return value
  if (typeof value === 'object' && value !== null && 'body' in value && typeof value.body === 'string') return value.body
  return json
}
