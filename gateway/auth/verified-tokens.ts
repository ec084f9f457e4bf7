// Claims of tokens that were verified not long ago: a client that polls shows the same one with every request, and to check its
// signature costs more than all the rest of an empty poll.

import type { JWTPayload } from 'jose'

/**
 * A key that is withdrawn goes on to count for this long, for tokens seen before. Sessions that are connected go on until
 * their token expires anyway.
 */
const LIFETIME_MS = 60_000
/** Of an entry, beside the characters of its token and the claims, which are no more than those. */
const ENTRY_BYTES = 300

interface Entry {
  readonly claims: JWTPayload
  readonly untilMs: number
}

export class VerifiedTokens {
  readonly #limitBytes: number
  readonly #now: () => number
  readonly #lifetimeMs: number
  /** Oldest first. */
  readonly #entries = new Map<string, Entry>()
  #bytes = 0
  /** While there are any. */
  #sweepTimer: NodeJS.Timeout | undefined = undefined

  /** `limitBytes`: about what the tokens and claims may take; the oldest go first. 0: none are kept. `now`: milliseconds since the epoch. */
  constructor(limitBytes: number, now: () => number, lifetimeMs = LIFETIME_MS) {
    this.#limitBytes = limitBytes
    this.#now = now
    this.#lifetimeMs = lifetimeMs
  }

  /** Tokens kept. */
  get size(): number {
    return this.#entries.size
  }

  /** Undefined: it has to be verified. Expired ones are not known. */
  get(token: string): JWTPayload | undefined {
    const entry = this.#entries.get(token)
    return entry !== undefined && this.#now() < entry.untilMs ? entry.claims : undefined
  }

  /** `expiresAtMs`: of the token, leeway included. */
  add(token: string, claims: JWTPayload, expiresAtMs: number): void {
    this.#delete(token)
    this.#entries.set(token, { claims, untilMs: Math.min(this.#now() + this.#lifetimeMs, expiresAtMs) })
    this.#bytes += bytesOf(token)
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#limitBytes) break
      this.#delete(oldest)
    }
    this.#sweepTimer ??= setTimeout(() => this.#sweep(), this.#lifetimeMs).unref()
  }

  /** Most clients show their token once: what nobody asks for any more must not stay. */
  #sweep(): void {
    const nowMs = this.#now()
    for (const [token, { untilMs }] of this.#entries) if (untilMs <= nowMs) this.#delete(token)
    this.#sweepTimer = this.#entries.size === 0 ? undefined : setTimeout(() => this.#sweep(), this.#lifetimeMs).unref()
  }

  #delete(token: string): void {
    if (this.#entries.delete(token)) this.#bytes -= bytesOf(token)
  }
}

function bytesOf(token: string): number {
  return token.length * 2 + ENTRY_BYTES
}
