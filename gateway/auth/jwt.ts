// JSON Web Tokens (RFC 7519): which keys are trusted for which algorithms, and what a verified token says.

import { createPublicKey, type KeyObject } from 'node:crypto'
import { decodeProtectedHeader, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { isUserId } from '../../bus/user-token.js'
import type { CloseReason } from '../close-reason.js'
import { type Config, ConfigError } from '../config.js'
import { type Authenticated, type Authenticator, type Credentials, isDevice } from './authenticator.js'
import { JwksError, RemoteKeys } from './jwks.js'
import { VerifiedTokens } from './verified-tokens.js'

const MAX_TOKEN_CHARS = 8192
const MAX_TOPICS = 256
const MAX_TOPIC_BYTES = 256
const ASYMMETRIC = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
const EC_ALGORITHMS: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }

/** A key and the only algorithms it is ever used with: no token chooses how its key is read (RFC 8725 §3.1). */
interface Trusted {
  readonly algorithms: readonly string[]
  readonly key: JWTVerifyGetKey
}

type JwtConfig = Pick<Config, 'jwtSecret' | 'jwtPublicKey' | 'jwksUrl' | 'jwtIssuer' | 'jwtAudience' | 'jwtLeewaySeconds' | 'jwtCacheBytes'>

export class JwtAuthenticator implements Authenticator {
  readonly #trusted: Trusted[] = []
  readonly #config: JwtConfig
  readonly #now: () => number
  readonly #verified: VerifiedTokens

  /** Throws ConfigError when a key can't be used. */
  constructor(config: JwtConfig, now: () => number) {
    this.#config = config
    this.#now = now
    this.#verified = new VerifiedTokens(config.jwtCacheBytes, now)
    const { jwtSecret, jwtPublicKey, jwksUrl } = config
    if (jwtSecret !== undefined) {
      if (jwtSecret.includes('-----BEGIN ')) throw new ConfigError('jwtSecret: this is a PEM; a public key belongs in jwtPublicKey')
      const secret = Buffer.from(jwtSecret)
      this.#trusted.push({ algorithms: ['HS256'], key: async () => secret })
    }
    if (jwtPublicKey !== undefined) {
      const key = readPublicKey(jwtPublicKey)
      this.#trusted.push({ algorithms: algorithmsOf(key), key: async () => key })
    }
    if (jwksUrl !== undefined) this.#trusted.push({ algorithms: ASYMMETRIC, key: new RemoteKeys(new URL(jwksUrl), now).find })
  }

  authenticate({ bearer, queryToken, device }: Credentials): Authenticated | Promise<Authenticated> {
    const token = bearer === '' ? queryToken : bearer.replace(/^Bearer +/i, '')
    if (token === '') return refused('a token is needed')
    if (token.length > MAX_TOKEN_CHARS) return refused(`the token is longer than ${MAX_TOKEN_CHARS} characters`)
    const known = this.#verified.get(token)
    if (known !== undefined) return this.#identity(known, device)
    if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return refused('this is no token')
    return this.#verifyFirst(token, device)
  }

  async #verifyFirst(token: string, device: string): Promise<Authenticated> {
    const verified = await this.#verify(token)
    if ('code' in verified) return verified
    const { claims } = verified
    this.#verified.add(token, claims, this.#expiresAtMs(claims))
    return this.#identity(claims, device)
  }

  async #verify(token: string): Promise<{ claims: JWTPayload } | CloseReason> {
    let algorithm: string | undefined
    try {
      algorithm = decodeProtectedHeader(token).alg
    } catch {
      return refused('this is no token')
    }
    let refusal = refused('the algorithm of the token is not accepted here')
    for (const { algorithms, key } of this.#trusted) {
      if (algorithm === undefined || !algorithms.includes(algorithm)) continue
      try {
        const { payload } = await jwtVerify(token, key, {
          algorithms: [...algorithms],
          clockTolerance: this.#config.jwtLeewaySeconds,
          currentDate: new Date(this.#now()),
          ...(this.#config.jwtIssuer === undefined ? {} : { issuer: this.#config.jwtIssuer }),
          ...(this.#config.jwtAudience === undefined ? {} : { audience: this.#config.jwtAudience }),
        })
        return { claims: payload }
      } catch (error) {
        refusal = refusalOf(error)
      }
    }
    return refusal
  }

  #identity(claims: JWTPayload, queryDevice: string): Authenticated {
    const { sub, topics } = claims
    if (typeof sub !== 'string' || !isUserId(sub)) return refused('the claim `sub` is no user id')
    if (claims.device !== undefined && (typeof claims.device !== 'string' || !isDevice(claims.device))) {
      return refused('the claim `device` is not 1 to 64 characters')
    }
    if (claims.device === undefined && queryDevice !== '' && !isDevice(queryDevice)) {
      return { code: 'malformed', reason: 'device: at most 64 characters, no control characters' }
    }
    if (topics !== undefined && !isTopics(topics)) {
      return refused(`the claim \`topics\` is not a list of at most ${MAX_TOPICS} texts of at most ${MAX_TOPIC_BYTES} bytes`)
    }
    const device = claims.device ?? (queryDevice === '' ? undefined : queryDevice)
    return {
      user: sub,
      ...(typeof device === 'string' ? { device } : {}),
      topics,
      expiresAtMs: this.#expiresAtMs(claims),
    }
  }

  #expiresAtMs({ exp }: JWTPayload): number {
    return exp === undefined ? Number.POSITIVE_INFINITY : (exp + this.#config.jwtLeewaySeconds) * 1000
  }
}

function refused(reason: string): CloseReason {
  return { code: 'unauthorized', reason }
}

function refusalOf(error: unknown): CloseReason {
  if (error instanceof errors.JWTExpired) return { code: 'token_expired', reason: 'the token has expired' }
  if (error instanceof errors.JWTClaimValidationFailed) return refused(`the claim \`${error.claim}\` is not accepted here`)
  if (error instanceof errors.JWSSignatureVerificationFailed) return refused('the signature of the token is wrong')
  if (error instanceof errors.JWKSNoMatchingKey) return refused('the key of the token is not known here')
  if (error instanceof JwksError) return { code: 'overloaded', reason: 'the keys for tokens are out of reach', retryAfterMs: 5000 }
  return refused('the token is not valid')
}

function isTopics(value: unknown): value is string[] {
  if (!Array.isArray(value) || value.length > MAX_TOPICS) return false
  return value.every((topic) => typeof topic === 'string' && topic !== '' && Buffer.byteLength(topic) <= MAX_TOPIC_BYTES)
}

function readPublicKey(pem: string): KeyObject {
  if (pem.includes('PRIVATE KEY')) throw new ConfigError('jwtPublicKey: this is a private key; only its public half belongs here')
  try {
    return createPublicKey(pem)
  } catch (error) {
    throw new ConfigError(`jwtPublicKey: not a public key in PEM (${error instanceof Error ? error.message : String(error)})`)
  }
}

function algorithmsOf(key: KeyObject): string[] {
  const { namedCurve = '', modulusLength = 0 } = key.asymmetricKeyDetails ?? {}
  switch (key.asymmetricKeyType) {
    case 'rsa':
      if (modulusLength < 2048) throw new ConfigError('jwtPublicKey: RSA keys must have 2048 bits or more (RFC 7518 §3.3)')
      return ASYMMETRIC.filter((name) => name.startsWith('RS') || name.startsWith('PS'))
    case 'ed25519':
      return ['EdDSA', 'Ed25519']
    case 'ec':
      if (Object.hasOwn(EC_ALGORITHMS, namedCurve)) return [EC_ALGORITHMS[namedCurve] as string]
  }
  throw new ConfigError(`jwtPublicKey: keys of the type ${key.asymmetricKeyType} ${namedCurve} are not supported`)
}
