// How XMPP clients see the sessions of the native protocol: those of a user together are one resource.

import { Element } from './element.js'
import { userJid } from './jid.js'
import { CLIENT_NS } from './namespaces.js'

export const NATIVE_RESOURCE = 'holdwire'

export interface NativeShown {
  /** online, away, dnd, offline */
  readonly status: string
  readonly note: string
}

/** A presence stanza from that resource, without `to`. */
export function nativePresence(user: string, { status, note }: NativeShown, domain: string): Element {
  const from = userJid(user, domain, NATIVE_RESOURCE)
  const show = status === 'away' || status === 'dnd' ? [new Element(CLIENT_NS, 'show', {}, [status])] : []
  const said = note === '' ? [] : [new Element(CLIENT_NS, 'status', {}, [note])]
  return new Element(CLIENT_NS, 'presence', { from, type: status === 'offline' ? 'unavailable' : undefined }, [...show, ...said])
}
