// Passwords of users, for SASL: stored as salted keys only.

import { randomBytes } from 'node:crypto'
import type { Bucket } from '../bus/bus.js'
import { v1 } from '../proto/messages.js'
import { deriveKeys, preparePassword, SCRAM_ITERATIONS, SCRAM_MECHANISMS, SCRAM_SALT_BYTES, type ScramMechanism } from '../proto/scram.js'

export class Accounts {
  readonly #bucket: Bucket

  /** Of the bucket `accounts`. */
  constructor(bucket: Bucket) {
    this.#bucket = bucket
  }

  /** Why the password can't be one (RFC 4013: it has characters that are prohibited); undefined: it is stored. Throws BusError. */
  async put(user: string, password: string): Promise<string | undefined> {
    const prepared = preparePassword(password)
    if (prepared === undefined) return 'the password has characters that SASLprep (RFC 4013) does not allow'
    const keys = await Promise.all(SCRAM_MECHANISMS.map((mechanism) => newKeys(prepared, mechanism)))
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

async function newKeys(prepared: string, mechanism: ScramMechanism): Promise<v1.ScramKeys.$Properties> {
  const salt = randomBytes(SCRAM_SALT_BYTES)
  const keys = await deriveKeys(prepared, mechanism, salt, SCRAM_ITERATIONS)
  return { mechanism: mechanism.name, salt, iterations: SCRAM_ITERATIONS, ...keys }
}
