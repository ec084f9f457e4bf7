// User id ↔ subject token: injective, readable, and safe against subject and protocol injection.

import { isUserId } from '../proto/user-id.js'
import { BusError } from './bus.js'

export { isUserId }

const PLAIN = /^[A-Za-z0-9_@+=:,~-]+$/
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** One subject token. Throws BusError `bad_user`. */
export function userToken(user: string): string {
  if (!isUserId(user)) throw new BusError('bad_user', 'a user id has 1 to 256 bytes of UTF-8 and no control characters')
  return encodeToken(user)
}

/** Any string as one token: UTF-8 bytes outside `[A-Za-z0-9_@+=:,~-]` become `%XX`. */
export function encodeToken(text: string): string {
  if (PLAIN.test(text)) return text
  let token = ''
  for (const byte of Buffer.from(text, 'utf8')) {
    const char = String.fromCharCode(byte)
    token += PLAIN.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return token
}

/** The user of a token; throws on what `userToken` cannot have made. */
export function tokenUser(token: string): string {
  const bytes = Buffer.from(
    token.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  )
  const user = decoder.decode(bytes)
  if (userToken(user) !== token) throw new BusError('bad_user', 'not a user token')
  return user
}

/** Which of `partitions` an inbox is in: FNV-1a (32 bit) over the token. Part of the public subject scheme: never changes. */
export function partitionOf(token: string, partitions: number): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < token.length; i++) hash = Math.imul(hash ^ token.charCodeAt(i), 0x01000193)
  return (hash >>> 0) % partitions
}
