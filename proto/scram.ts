// What is stored of a password: salted keys (SCRAM, RFC 5802 §3 and RFC 7677), from which it can't be had.

import { createHash, createHmac, pbkdf2 } from 'node:crypto'
import { promisify } from 'node:util'
import { saslprep } from '@mongodb-js/saslprep'

export interface ScramMechanism {
  readonly name: 'SCRAM-SHA-256' | 'SCRAM-SHA-1'
  readonly hash: 'sha256' | 'sha1'
  /** Of the hash, and so of every key. */
  readonly bytes: number
}

/** Strongest first. */
export const SCRAM_MECHANISMS: readonly ScramMechanism[] = [
  { name: 'SCRAM-SHA-256', hash: 'sha256', bytes: 32 },
  { name: 'SCRAM-SHA-1', hash: 'sha1', bytes: 20 },
]
/** Of new accounts. RFC 7677 §4 asks for 4,096 at least. */
export const SCRAM_ITERATIONS = 10_000
export const SCRAM_SALT_BYTES = 16

const derive = promisify(pbkdf2)

/** As it is hashed (SASLprep, RFC 4013); undefined: it can't be a password. */
export function preparePassword(password: string): string | undefined {
  try {
    const prepared = saslprep(password)
    return prepared === '' ? undefined : prepared
  } catch {
    return undefined
  }
}

export interface DerivedKeys {
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

/** `prepared`: by `preparePassword`. Takes some milliseconds of a thread of its own. */
export async function deriveKeys(
  prepared: string,
  { hash, bytes }: ScramMechanism,
  salt: Uint8Array,
  iterations: number,
): Promise<DerivedKeys> {
  const salted = await derive(prepared, salt, iterations, bytes, hash)
  const clientKey = createHmac(hash, salted).update('Client Key').digest()
  return { storedKey: createHash(hash).update(clientKey).digest(), serverKey: createHmac(hash, salted).update('Server Key').digest() }
}
