// OAUTHBEARER (RFC 7628): a token alone. It says itself whose it is.

import { checkAuthzid } from './authzid.js'
import type { Failures } from './failures.js'
import { parseGs2 } from './gs2.js'
import { decodeText, type Mechanism, type SaslCondition, SaslFailure, type Step } from './mechanism.js'
import { identityOf, type VerifyToken } from './tokens.js'

export interface OauthBearerOptions {
  readonly failures: Failures
  readonly domain: string
  readonly verifyToken: VerifyToken
}

/** The failure that follows when the client has answered the error (RFC 7628 §3.2.3). */
interface Refused {
  readonly condition: SaslCondition
  readonly message: string
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: it separates
const PAIRS = /^\x01(?:[A-Za-z]+=[\t\n\r -~]*\x01)*\x01$/

export class OauthBearer implements Mechanism {
  readonly name = 'OAUTHBEARER'
  readonly #options: OauthBearerOptions

  constructor(options: OauthBearerOptions) {
    this.#options = options
  }

  async step(state: string, message: Uint8Array, ip: string): Promise<Step> {
    if (state !== '') {
      const { condition, message } = JSON.parse(state) as Refused
      throw new SaslFailure(condition, message)
    }
    const { failures, domain, verifyToken } = this.#options
    const { authzid, rest } = parseGs2(decodeText(message))
    if (!PAIRS.test(rest)) throw new SaslFailure('malformed-request', 'no key and value pairs')
    const auth = rest.split('\x01').find((pair) => pair.startsWith('auth='))
    const token = /^auth=Bearer +([\w.~+/-]+=*)$/i.exec(auth ?? '')?.[1]
    try {
      const identity = await failures.guard('', ip, async () => {
        if (token === undefined) throw new SaslFailure('not-authorized', 'no bearer token')
        return identityOf(await verifyToken(token))
      })
      checkAuthzid(authzid, identity.user, domain)
      return { kind: 'success', data: undefined, identity }
    } catch (error) {
      if (!(error instanceof SaslFailure) || (error.condition !== 'not-authorized' && error.condition !== 'credentials-expired'))
        throw error
      const refused: Refused = { condition: error.condition, message: error.message }
      const status = token === undefined ? 'invalid_request' : 'invalid_token'
      return { kind: 'challenge', data: Buffer.from(JSON.stringify({ status })), state: JSON.stringify(refused) }
    }
  }
}
