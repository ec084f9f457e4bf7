// As whom a client wants to act: here only as itself.

import { jidUser, parseJid } from '../../../proto/xml/jid.js'
import { SaslFailure } from './mechanism.js'

/** Throws SaslFailure unless it is empty or the user's own bare JID (RFC 6120 §6.3.8). */
export function checkAuthzid(authzid: string, user: string, domain: string): void {
  if (authzid === '') return
  const jid = parseJid(authzid)
  if (jid === undefined || jid.resource !== '' || jidUser(jid, domain) !== user) {
    throw new SaslFailure('invalid-authzid', 'nobody may act for somebody else')
  }
}
