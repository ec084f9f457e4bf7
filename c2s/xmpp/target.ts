// Who a stanza is addressed to, as the server of its sender sees it (RFC 6120 §10).

import type { Element } from '../../proto/xml/element.js'
import { type Jid, jidUser, parseJid } from '../../proto/xml/jid.js'
import { StanzaError } from '../../proto/xml/stanza-error.js'

export type Target =
  /** The sender's own account: its bare JID, or no address at all (RFC 6120 §10.3). */
  | { readonly kind: 'account' }
  /** The domain, or a resource of it. */
  | { readonly kind: 'server'; readonly jid: Jid }
  /** Another user, or a resource of any user. */
  | { readonly kind: 'user'; readonly jid: Jid; readonly user: string }
  /** An address at the domain that can't be anybody's. */
  | { readonly kind: 'nobody' }

/** `sender`: the user the stanza comes from. Throws StanzaError (`jid-malformed`, `remote-server-not-found`). */
export function targetOf(stanza: Element, sender: string, domain: string): Target {
  const to = stanza.attribute('to')
  if (to === '') return { kind: 'account' }
  const jid = parseJid(to)
  if (jid === undefined) throw new StanzaError('jid-malformed')
  if (jid.domain !== domain) throw new StanzaError('remote-server-not-found')
  if (jid.local === '') return { kind: 'server', jid }
  const user = jidUser(jid, domain)
  if (user === undefined) return { kind: 'nobody' }
  return user === sender && jid.resource === '' ? { kind: 'account' } : { kind: 'user', jid, user }
}
