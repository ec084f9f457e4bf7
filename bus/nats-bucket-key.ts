// Bucket key ↔ the characters a KV key may have, and what says that a key is gone.

import { BusError } from './bus.js'

const PLAIN_KEY = /^[A-Za-z0-9_/-]+$/
const KEY_LIMIT_BYTES = 512

/** Any string of 1–512 bytes in the characters KV allows, without dots: others are `=XX`. Injective. */
export function encodeKey(key: string): string {
  if (PLAIN_KEY.test(key) && key.length <= KEY_LIMIT_BYTES) return key
  const bytes = Buffer.from(key, 'utf8')
  if (bytes.length === 0 || bytes.length > KEY_LIMIT_BYTES || !key.isWellFormed())
    throw new BusError('rejected', 'a key has 1 to 512 bytes of UTF-8')
  let encoded = ''
  for (const byte of bytes) {
    const char = String.fromCharCode(byte)
    encoded += PLAIN_KEY.test(char) ? char : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}

export function decodeKey(encoded: string): string {
  const latin1 = encoded.replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(latin1, 'latin1').toString('utf8')
}

/** `header`: the block of a stored message of a bucket. Its last message may say that the key is gone. */
export function isDeleted(header: string): boolean {
  return /\n(KV-Operation: (DEL|PURGE)|Nats-Marker-Reason: )/.test(header)
}
