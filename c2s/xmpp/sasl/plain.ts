// PLAIN (RFC 4616): a name and a password, or a token in place of the password.

import { timingSafeEqual } from 'node:crypto'
import { deriveKeys, preparePassword, SCRAM_MECHANISMS, type ScramMechanism } from '../../../proto/scram.js'
import { checkAuthzid } from './authzid.js'
import type { Directory, Login } from './directory.js'
import type { Failures } from './failures.js'
import { accountIdentity, decodeText, type Identity, type Mechanism, SaslFailure, type Step } from './mechanism.js'
import { identityOf, type VerifyToken } from './tokens.js'

export interface PlainOptions {
  readonly directory: Directory
  readonly failures: Failures
  readonly domain: string
  /** `auth: dev`: users without an account have any password. */
  readonly dev: boolean
  readonly verifyToken: VerifyToken | undefined
  /** Passwords that may be hashed at the same time; more fail for now. */
  readonly hashes: number
}

/** Four times what an account's may have: before SASLprep it may be longer. */
const PASSWORD_LIMIT_CHARACTERS = 4096
const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/

export class Plain implements Mechanism {
  readonly name = 'PLAIN'
  readonly #options: PlainOptions
  #hashing = 0

  constructor(options: PlainOptions) {
    this.#options = options
  }

  async step(_state: string, message: Uint8Array, ip: string): Promise<Step> {
    const { directory, failures, domain } = this.#options
    const [authzid, name, password, ...more] = decodeText(message).split('\0')
    if (authzid === undefined || !name || !password || more.length > 0) {
      throw new SaslFailure('malformed-request', 'PLAIN is [authzid] NUL name NUL password')
    }
    const login = await directory.find(name)
    const identity = await failures.guard(login.user, ip, () => this.#authenticate(login, password))
    checkAuthzid(authzid, identity.user, domain)
    return { kind: 'success', data: undefined, identity }
  }

  async #authenticate(login: Login, password: string): Promise<Identity> {
    const { dev, verifyToken } = this.#options
    let refused = new SaslFailure('not-authorized')
    if (verifyToken !== undefined && TOKEN.test(password)) {
      try {
        const identity = identityOf(await verifyToken(password))
        if (login.candidates.includes(identity.user)) return identity
      } catch (error) {
        // It may be a password that only looks like a token.
        if (!(error instanceof SaslFailure)) throw error
        refused = error
      }
    }
    if (dev && !login.hasAccount && login.user !== '') return accountIdentity(login.user)
    if (!(await this.#isPassword(login, password))) throw refused
    return accountIdentity(login.user)
  }

  /** For users without an account it takes as long. */
  async #isPassword(login: Login, password: string): Promise<boolean> {
    const mechanism = SCRAM_MECHANISMS.find((one) => !login.keys(one).isFake) ?? (SCRAM_MECHANISMS[0] as ScramMechanism)
    const { salt, iterations, storedKey, isFake } = login.keys(mechanism)
    const prepared = password.length > PASSWORD_LIMIT_CHARACTERS ? undefined : preparePassword(password)
    if (prepared === undefined) return false
    if (this.#hashing >= this.#options.hashes) throw new SaslFailure('temporary-auth-failure', 'too many log in at once; try again later')
    this.#hashing++
    try {
      const derived = await deriveKeys(prepared, mechanism, salt, iterations)
      return timingSafeEqual(derived.storedKey, storedKey) && !isFake
    } finally {
      this.#hashing--
    }
  }
}
