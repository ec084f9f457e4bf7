// Passwords of users, for SASL: stored as salted keys only (SCRAM, RFC 5802 and RFC 7677).

import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { saslprep } from '@mongodb-js/saslprep'
import type { Bucket } from '../bus/bus.js'
import { v1 } from '../proto/messages.js'

/** RFC 7677 §4 asks for 4,096 at least. */
const ITERATIONS = 10_000
const SALT_BYTES = 16
const MECHANISMS = [
  { mechanism: 'SCRAM-SHA-256', hash: 'sha256', bytes: 32 },
  { mechanism: 'SCRAM-SHA-1', hash: 'sha1', bytes: 20 },
] as const

const derive = promisify(pbkdf2)

export class Accounts {
  readonly #bucket: Bucket

  /** Of the bucket `accounts`. */
  constructor(bucket: Bucket) {
    this.#bucket = bucket
  }

  /** Why the password can't be one (RFC 4013: it has characters that are prohibited); undefined: it is stored. Throws BusError. */
  async put(user: string, password: string): Promise<string | undefined> {
    const prepared = prepare(password)
    if (prepared === undefined) return 'the password has characters that SASLprep (RFC 4013) does not allow'
    const keys = await Promise.all(MECHANISMS.map((mechanism) => scramKeys(prepared, mechanism)))
    await this.#bucket.put(user, v1.AccountRecord.encode({ keys }).finish())
    return undefined
  }

  /** False: there was none. Throws BusError. */
  async delete(user: string): Promise<boolean> {
    if ((await this.#bucket.get(user)) === undefined) return false
    await this.#bucket.delete(user)
    return true
  }
}

function prepare(password: string): string | undefined {
  try {
    const prepared = saslprep(password)
    return prepared === '' ? undefined : prepared
  } catch {
    return undefined
  }
}

async function scramKeys(password: string, { mechanism, hash, bytes }: (typeof MECHANISMS)[number]): Promise<v1.ScramKeys.$Properties> {
  const salt = randomBytes(SALT_BYTES)
  const salted = await derive(password, salt, ITERATIONS, bytes, hash)
  const clientKey = createHmac(hash, salted).update('Client Key').digest()
  return {
    mechanism,
    salt,
    iterations: ITERATIONS,
    storedKey: createHash(hash).update(clientKey).digest(),
    serverKey: createHmac(hash, salted).update('Server Key').digest(),
  }
}
