// Guessing is slow: wrong credentials are counted for each client address, and for each user from each address.
//
// Counted by each worker for itself, so that n workers allow n times as much. Not by user alone: anybody could lock anybody out.

import type { Clock } from '../../../bus/clock.js'
import { SaslFailure } from './mechanism.js'

export interface FailureLimits {
  /** In one window, of one user from one address; a success starts anew. */
  readonly failuresPerUserAndIp: number
  /** In one window, from one address. */
  readonly failuresPerIp: number
  readonly failureWindowMs: number
  /** Windows remembered; beyond it the oldest are forgotten. */
  readonly failureWindows: number
}

interface Window {
  failures: number
  readonly endsAtMs: number
}

/** Conditions that say something was guessed wrong. */
const WRONG = new Set(['not-authorized', 'credentials-expired'])

export class Failures {
  readonly #limits: FailureLimits
  readonly #clock: Clock
  /** Oldest first. */
  readonly #windows = new Map<string, Window>()

  constructor(limits: FailureLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
  }

  /** Windows there are. */
  get size(): number {
    return this.#windows.size
  }

  /** Throws SaslFailure `temporary-auth-failure`: there were too many. `user` '': not known yet. */
  check(user: string, ip: string): void {
    const { failuresPerIp, failuresPerUserAndIp } = this.#limits
    if (this.#count(ipKey(ip)) < failuresPerIp && (user === '' || this.#count(userKey(user, ip)) < failuresPerUserAndIp)) return
    throw new SaslFailure('temporary-auth-failure', 'too many failed attempts; try again later')
  }

  /**
   * Runs a check of credentials, unless there were too many failures (SaslFailure `temporary-auth-failure`: right ones are not
   * looked at either). Counted before it runs, so that many at once are not more than the limit.
   */
  async guard<T>(user: string, ip: string, check: () => Promise<T>): Promise<T> {
    this.check(user, ip)
    const counted = user === '' ? [this.#window(ipKey(ip))] : [this.#window(ipKey(ip)), this.#window(userKey(user, ip))]
    for (const window of counted) window.failures++
    let isWrong = false
    try {
      const result = await check()
      if (user !== '') this.#windows.delete(userKey(user, ip))
      return result
    } catch (error) {
      isWrong = error instanceof SaslFailure && WRONG.has(error.condition)
      throw error
    } finally {
      if (!isWrong) for (const window of counted) window.failures--
    }
  }

  #count(key: string): number {
    const window = this.#windows.get(key)
    return window === undefined || window.endsAtMs <= this.#clock.now() ? 0 : window.failures
  }

  #window(key: string): Window {
    const now = this.#clock.now()
    const present = this.#windows.get(key)
    if (present !== undefined && present.endsAtMs > now) return present
    const window = { failures: 0, endsAtMs: now + this.#limits.failureWindowMs }
    this.#windows.delete(key)
    this.#windows.set(key, window)
    for (const [oldest, { endsAtMs }] of this.#windows) {
      if (endsAtMs > now && this.#windows.size <= this.#limits.failureWindows) break
      this.#windows.delete(oldest)
    }
    return window
  }
}

function ipKey(ip: string): string {
  return `ip ${ip}`
}

function userKey(user: string, ip: string): string {
  return `user ${ip} ${user}`
}
