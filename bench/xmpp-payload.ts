// What an XMPP session of the load generator has in common over BOSH and over a WebSocket: how it logs in, and where a message's
// payload is.

const OPEN = Buffer.from('<json')
const CLOSE = Buffer.from('</json>')
const FAILURE = /<failure[\s>]|<stream:error|type=['"]error['"]/

/** Server's words on which no session is opened. */
export function isRefusal(text: string): boolean {
  return FAILURE.test(text) && !/id=['"]ready['"]/.test(text)
}

export function plainAuth(user: string, password: string): string {
  const secret = Buffer.from(`\0${user}\0${password}`).toString('base64')
  return `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${secret}</auth>`
}

export function bindRequest(resource: string): string {
  const bind = `<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>${resource}</resource></bind>`
  return `<iq xmlns='jabber:client' type='set' id='bind'>${bind}</iq>`
}

/** Presence, and a question whose answer (an error will do) shows that the presence was handled. */
export function arrival(domain: string): string {
  return `<presence xmlns='jabber:client'/>${readyRequest(domain)}`
}

export function readyRequest(domain: string): string {
  return `<iq xmlns='jabber:client' type='get' to='${domain}' id='ready'><ping xmlns='urn:xmpp:ping'/></iq>`
}

export const READY = /id=['"]ready['"]/

/**
 * Calls back for what may have payloads. Messages of Holdwire have the same data twice, as text for people and as JSON (XEP-0335):
 * the latter counts. Those of other servers have what their sink has put in.
 */
export function payloadParts(stanzas: Buffer, take: (part: Buffer) => void): void {
  let at = stanzas.indexOf(OPEN)
  if (at === -1) {
    take(stanzas)
    return
  }
  for (; at !== -1; at = stanzas.indexOf(OPEN, at)) {
    const end = stanzas.indexOf(CLOSE, at)
    if (end === -1) return
    take(stanzas.subarray(at, end))
    at = end
  }
}
