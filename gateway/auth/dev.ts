// `auth: dev`: a client is who it says it is. Loopback only (the configuration sees to that).

import { isUserId } from '../../bus/user-token.js'
import { type Authenticated, type Authenticator, type Credentials, isDevice } from './authenticator.js'

export class DevAuthenticator implements Authenticator {
  readonly #tokens: Authenticator | undefined

  /** `tokens`: checks tokens where a key is configured, so that clients can be tried with real ones. */
  constructor(tokens: Authenticator | undefined) {
    this.#tokens = tokens
  }

  authenticate(credentials: Credentials): Authenticated | Promise<Authenticated> {
    const { bearer, queryToken, queryUser, device } = credentials
    if (this.#tokens !== undefined && (bearer !== '' || queryToken !== '')) return this.#tokens.authenticate(credentials)
    if (queryUser === '') return { code: 'unauthorized', reason: 'say who you are with ?user=' }
    if (!isUserId(queryUser)) return { code: 'malformed', reason: 'user: 1 to 256 bytes of UTF-8 without control characters' }
    if (device !== '' && !isDevice(device)) return { code: 'malformed', reason: 'device: at most 64 characters, no control characters' }
    return { user: queryUser, ...(device === '' ? {} : { device }), topics: undefined, expiresAtMs: Number.POSITIVE_INFINITY }
  }
}
