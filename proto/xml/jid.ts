// XMPP addresses (RFC 7622) and user ids: `alice` is `alice@<domain>`; what a localpart can't have is escaped (XEP-0106).
//
// User ids are compared byte by byte, so localparts are too: they are not folded to lower case. Domains are.

import { isUserId } from '../user-id.js'

export interface Jid {
  /** As on the wire, escaped; '' for none. */
  readonly local: string
  readonly domain: string
  /** '' for a bare JID. */
  readonly resource: string
}

const PART_LIMIT_BYTES = 1023
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/
/** XEP-0106 §4.2, and what RFC 7622 §3.3.1 forbids. */
const LOCAL_FORBIDDEN = /[ "&'/:<>@]/

/** Undefined: not a JID. */
export function parseJid(text: string): Jid | undefined {
  const slash = text.indexOf('/')
  const bare = slash < 0 ? text : text.slice(0, slash)
  const resource = slash < 0 ? '' : text.slice(slash + 1)
  if (slash >= 0 && !isResource(resource)) return undefined
  const at = bare.indexOf('@')
  const local = at < 0 ? '' : bare.slice(0, at)
  if (at === 0 || !isLocalpart(local, at < 0)) return undefined
  const domain = domainOf(bare.slice(at + 1))
  return domain === undefined ? undefined : { local, domain, resource }
}

export function formatJid({ local, domain, resource }: Jid): string {
  const bare = local === '' ? domain : `${local}@${domain}`
  return resource === '' ? bare : `${bare}/${resource}`
}

export function bareJid(jid: Jid): Jid {
  return jid.resource === '' ? jid : { ...jid, resource: '' }
}

/** `alice` at `localhost` is `alice@localhost`. */
export function userJid(user: string, domain: string, resource = ''): string {
  return formatJid({ local: escapeLocalpart(user), domain, resource })
}

/** The user whose address it is; undefined: not one of this domain, or no user id. */
export function jidUser(jid: Jid, domain: string): string | undefined {
  if (jid.domain !== domain || jid.local === '') return undefined
  const user = unescapeLocalpart(jid.local)
  return isUserId(user) && escapeLocalpart(user) === jid.local ? user : undefined
}

/** A resource has 1 to 1023 bytes of UTF-8 without control characters. */
export function isResource(text: string): boolean {
  return text !== '' && text.isWellFormed() && !CONTROL.test(text) && Buffer.byteLength(text) <= PART_LIMIT_BYTES
}

/** XEP-0106 §4.2: the characters a localpart can't have, and backslashes that would look like such an escape. */
export function escapeLocalpart(user: string): string {
  return user.replace(/[ "&'/:<>@]|\\(?=20|22|26|27|2f|3a|3c|3e|40|5c)/g, (char) => `\\${char.charCodeAt(0).toString(16)}`)
}

export function unescapeLocalpart(local: string): string {
  return local.replace(/\\(20|22|26|27|2f|3a|3c|3e|40|5c)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

function isLocalpart(text: string, mayBeEmpty: boolean): boolean {
  if (text === '') return mayBeEmpty
  return text.isWellFormed() && !CONTROL.test(text) && !LOCAL_FORBIDDEN.test(text) && Buffer.byteLength(text) <= PART_LIMIT_BYTES
}

function domainOf(text: string): string | undefined {
  const domain = text.toLowerCase().replace(/\.$/, '')
  if (domain === '' || Buffer.byteLength(domain) > PART_LIMIT_BYTES || CONTROL.test(domain) || /[\s@/<>&'"]/.test(domain)) return undefined
  return domain
}
