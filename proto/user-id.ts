// What a user id is.

const PLAIN = /^[A-Za-z0-9_@+=:,~-]+$/
const LIMIT_BYTES = 256

/** True for 1–256 bytes of UTF-8 without control characters (and without lone surrogates, which have no UTF-8). */
export function isUserId(user: string): boolean {
  if (user.length === 0 || user.length > LIMIT_BYTES) return false
  if (PLAIN.test(user)) return true
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return Buffer.byteLength(user) <= LIMIT_BYTES && user.isWellFormed() && !/[\u0000-\u001f\u007f-\u009f]/.test(user)
}
