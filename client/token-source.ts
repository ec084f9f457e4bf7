// Where the token comes from, and when it is time for a new one.

import { HoldwireError, parseObject } from './errors.js'
import type { ConnectOptions } from './types.js'

/** Renewed this long before it expires, or after four fifths of what is left, whichever is later. */
const MARGIN_MS = 60_000
const LIMIT_TIMER_MS = 2_000_000_000

export class TokenSource {
  readonly #given: ConnectOptions['token']
  readonly #now: () => number
  #current: string | undefined

  constructor(given: ConnectOptions['token'], now: () => number) {
    this.#given = given
    this.#now = now
    if (typeof given === 'string') this.#current = given
  }

  get current(): string | undefined {
    return this.#current
  }

  get renewable(): boolean {
    return typeof this.#given === 'function'
  }

  /** A function must be asked before the next connection. */
  get stale(): boolean {
    if (!this.renewable) return false
    const leftMs = this.#leftMs()
    return this.#current === undefined || (leftMs !== undefined && leftMs <= 0)
  }

  /** The server refused the token. */
  refused(): void {
    if (this.renewable) this.#current = undefined
  }

  /** Rejects with HoldwireError `token` and what the function threw as its cause. */
  async renew(): Promise<string> {
    try {
      const token: unknown = typeof this.#given === 'function' ? await this.#given() : this.#given
      if (typeof token !== 'string' || token === '') throw new TypeError('the token function gave no token')
      this.#current = token
      return token
    } catch (cause) {
      throw new HoldwireError('token', 'no new token', { cause, retryable: true })
    }
  }

  /** How long until it should be renewed. Undefined: it can't be, it doesn't say, or the clocks differ too much to tell. */
  renewInMs(): number | undefined {
    const leftMs = this.renewable ? this.#leftMs() : undefined
    if (leftMs === undefined || leftMs <= 0) return undefined
    return Math.min(Math.max(leftMs - MARGIN_MS, leftMs * 0.8, 1000), LIMIT_TIMER_MS)
  }

  /** Until `exp` of the JWT, which is read and not verified: that is the server's to do. */
  #leftMs(): number | undefined {
    const payload = this.#current?.split('.')[1]
    if (payload === undefined) return undefined
    try {
      const exp = parseObject(atob(payload.replaceAll('-', '+').replaceAll('_', '/')))?.exp
      return typeof exp === 'number' ? exp * 1000 - this.#now() : undefined
    } catch {
      return undefined // not base64: an opaque token
    }
  }
}
