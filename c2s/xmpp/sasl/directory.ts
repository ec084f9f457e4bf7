// Whose account a client means, and its keys; of users without an account, keys that look the same and fit nothing.

import { createHmac, randomBytes } from 'node:crypto'
import type { Bucket, Bus } from '../../../bus/bus.js'
import { v1 } from '../../../proto/messages.js'
import { SCRAM_ITERATIONS, SCRAM_SALT_BYTES, type ScramMechanism } from '../../../proto/scram.js'
import { isUserId } from '../../../proto/user-id.js'
import { escapeLocalpart, jidUser, parseJid, unescapeLocalpart } from '../../../proto/xml/jid.js'

/** What one name stands for. */
export interface Login {
  readonly user: string
  readonly hasAccount: boolean
  /** Every user the name may stand for. */
  readonly candidates: readonly string[]
  keys(mechanism: ScramMechanism): Keys
}

export interface Keys {
  readonly salt: Uint8Array
  readonly iterations: number
  readonly storedKey: Uint8Array
  readonly serverKey: Uint8Array
  /** Of nobody: whatever fits them is wrong. */
  readonly isFake: boolean
}

const SECRET_BYTES = 32

export class Directory {
  readonly #bus: Bus
  readonly #accounts: Bucket
  readonly #domain: string
  #secret: Uint8Array | undefined = undefined

  constructor(bus: Bus, accounts: Bucket, domain: string) {
    this.#bus = bus
    this.#accounts = accounts
    this.#domain = domain
  }

  /**
   * A name is a user id as it is; or, when no account has just that id, the user's bare JID here (some clients send it) or the id
   * escaped as in a JID (XEP-0106). Throws BusError.
   */
  async find(name: string): Promise<Login> {
    const secret = await this.#sharedSecret()
    const candidates = candidatesOf(name, this.#domain)
    for (const user of candidates) {
      const entry = await this.#accounts.get(user)
      if (entry === undefined) continue
      const { keys } = v1.AccountRecord.decode(entry.value)
      return { user, hasAccount: true, candidates, keys: (mechanism) => keysOf(keys, mechanism) ?? fakeKeys(secret, user, mechanism) }
    }
    const user = candidates.at(-1) ?? ''
    return { user, hasAccount: false, candidates, keys: (mechanism) => fakeKeys(secret, user || name, mechanism) }
  }

  /** The same for all workers and for ever, so that a made-up salt is never seen to change. */
  async #sharedSecret(): Promise<Uint8Array> {
    if (this.#secret !== undefined) return this.#secret
    const bucket = await this.#bus.bucket('sasl')
    const made = randomBytes(SECRET_BYTES)
    const created = await bucket.create('secret', made)
    this.#secret = created === undefined ? ((await bucket.get('secret'))?.value ?? made) : made
    return this.#secret
  }
}

/** User ids, most literal first; none when it can't be anybody. */
function candidatesOf(name: string, domain: string): string[] {
  const jid = name.includes('@') ? parseJid(name) : undefined
  const user = jid === undefined || jid.resource !== '' ? undefined : jidUser(jid, domain)
  const unescaped = unescapeLocalpart(name)
  const other = user ?? (unescaped !== name && escapeLocalpart(unescaped) === name ? unescaped : undefined)
  return [name, ...(other === undefined ? [] : [other])].filter(isUserId)
}

function keysOf(keys: readonly v1.ScramKeys.$Properties[], { name, bytes }: ScramMechanism): Keys | undefined {
  const found = keys.find(({ mechanism }) => mechanism === name)
  if (found?.salt == null || found.storedKey?.length !== bytes || found.serverKey?.length !== bytes || !found.iterations) return undefined
  const { salt, iterations, storedKey, serverKey } = found
  return { salt, iterations, storedKey, serverKey, isFake: false }
}

function fakeKeys(secret: Uint8Array, user: string, { name, bytes, hash }: ScramMechanism): Keys {
  const made = (what: string): Buffer => createHmac(hash, secret).update(`${what}\0${name}\0${user}`).digest()
  return {
    salt: made('salt').subarray(0, SCRAM_SALT_BYTES),
    iterations: SCRAM_ITERATIONS,
    storedKey: made('stored').subarray(0, bytes),
    serverKey: made('server').subarray(0, bytes),
    isFake: true,
  }
}
