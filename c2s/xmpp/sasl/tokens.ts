// Tokens (JWTs) as credentials: what verifies them is given by whoever starts the worker.

import { type Identity, SaslFailure } from './mechanism.js'

/** What became of a token. `unavailable`: it can't be told now (the keys are out of reach). */
export type VerifiedToken =
  | {
      readonly user: string
      /** Undefined: the token says nothing of topics. */
      readonly topics: readonly string[] | undefined
      /** Milliseconds since the epoch; Infinity: never. */
      readonly expiresAtMs: number
    }
  | { readonly refused: 'expired' | 'invalid' | 'unavailable'; readonly reason: string }

/** Never rejects. */
export type VerifyToken = (token: string) => Promise<VerifiedToken>

const CONDITIONS = { expired: 'credentials-expired', invalid: 'not-authorized', unavailable: 'temporary-auth-failure' } as const

/** Throws SaslFailure. */
export function identityOf(verified: VerifiedToken): Identity {
  if ('refused' in verified) throw new SaslFailure(CONDITIONS[verified.refused], verified.reason)
  const { user, topics, expiresAtMs } = verified
  return { user, topics, expiresAtMs: Number.isFinite(expiresAtMs) ? Math.floor(expiresAtMs) : 0 }
}
