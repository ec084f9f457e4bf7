// The published keys of an identity provider (RFC 7517): fetched when needed, kept, fetched again when a key is unknown.

import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { checkAddresses } from './jwks-address.js'

const MAX_AGE_MS = 10 * 60_000
/** At most one fetch in this time: tokens with made-up key ids must not become a flood of requests. */
const COOLDOWN_MS = 10_000
const TIMEOUT_MS = 5_000
/** While the provider is away the last keys stay good for this long. */
const STALE_MS = 24 * 3_600_000
const MAX_BODY_BYTES = 512 * 1024

/** The keys can't be had: not the token's fault. */
export class JwksError extends Error {
  override readonly name = 'JwksError'
}

export class RemoteKeys {
  readonly #url: URL
  readonly #now: () => number
  #keys: { readonly find: JWTVerifyGetKey; readonly fetchedAt: number } | undefined
  #triedAt = Number.NEGATIVE_INFINITY
  /** The fetch going on: everybody who needs one waits for the same. */
  #pending: Promise<void> | undefined

  /** `now`: milliseconds since the epoch. Nothing is fetched yet. */
  constructor(url: URL, now: () => number) {
    this.#url = url
    this.#now = now
  }

  /** The key of a token by its header; rejects with JwksError, or with a JOSE error when no key fits. */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    const known = this.#keys
    if (known === undefined || this.#now() - known.fetchedAt >= MAX_AGE_MS) await this.#refresh()
    try {
      return await this.#present()(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || this.#keys !== known) throw error
    }
    await this.#refresh()
    return this.#present()(header, token)
  }

  #present(): JWTVerifyGetKey {
    if (this.#keys === undefined || this.#now() - this.#keys.fetchedAt >= STALE_MS) throw new JwksError('no keys could be fetched')
    return this.#keys.find
  }

  /** Never rejects: what was there before stays. */
  async #refresh(): Promise<void> {
    if (this.#pending === undefined) {
      if (this.#now() - this.#triedAt < COOLDOWN_MS) return
      this.#triedAt = this.#now()
      this.#pending = this.#fetch().then(
        (find) => {
          this.#keys = { find, fetchedAt: this.#now() }
        },
        // The outcome is told by #present: what the old keys cannot check is refused there.
        () => undefined,
      )
    }
    await this.#pending
    this.#pending = undefined
  }

  /** The address is the configured one alone: nothing in a token (`jku`, `x5u`) and no redirect leads elsewhere. */
  async #fetch(): Promise<JWTVerifyGetKey> {
    await checkAddresses(this.#url)
    const response = await fetch(this.#url, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
      redirect: 'error',
      headers: { accept: 'application/json, application/jwk-set+json' },
    })
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new JwksError(`status ${response.status}`)
    }
    const set: unknown = JSON.parse(await readLimited(response))
    // It checks the shape itself, and throws.
    return createLocalJWKSet(set as JSONWebKeySet)
  }
}

async function readLimited(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) throw new JwksError('the key set is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
