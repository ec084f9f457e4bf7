// How often one client may present what is wrong. Right tokens and keys are taken whatever others at the same address have done:
// they have too many bits to be guessed, so that a lock would only serve those who want to keep their neighbours out. What the limit
// does: those who fail again and again learn nothing more of why, are told to wait, and no WebSocket is opened to tell them.

import type { CloseReason } from '../close-reason.js'
import { clientKey } from '../networks.js'

export interface FailureLimitOptions {
  /** 0: no limit. */
  readonly perMinute: number
  /** Clients remembered; beyond it the oldest are forgotten. */
  readonly maxClients: number
  /** Milliseconds of any clock that never goes back. */
  now(): number
}

interface Window {
  failures: number
  readonly endsAtMs: number
}

const WINDOW_MS = 60_000

export class FailureLimit {
  readonly #options: FailureLimitOptions
  /** Oldest first: all windows are as long. */
  readonly #windows = new Map<string, Window>()

  constructor(options: FailureLimitOptions) {
    this.#options = options
  }

  /** Clients remembered. */
  get size(): number {
    return this.#windows.size
  }

  /**
   * What a client is told that was refused: `reason`, or `rate_limited` after too many. Counts only credentials that are wrong or missing:
   * an expired token was a good one, and its user must learn that a new one is needed; what else is refused is nobody's guess.
   */
  told(ip: string, reason: CloseReason): CloseReason {
    const { perMinute, now } = this.#options
    if (perMinute === 0 || reason.code !== 'unauthorized') return reason
    const nowMs = now()
    const window = this.#window(clientKey(ip), nowMs)
    if (window.failures < perMinute) {
      window.failures++
      return reason
    }
    return { code: 'rate_limited', reason: 'too many failed authentications from this address', retryAfterMs: window.endsAtMs - nowMs }
  }

  #window(key: string, nowMs: number): Window {
    const present = this.#windows.get(key)
    if (present !== undefined && present.endsAtMs > nowMs) return present
    const window = { failures: 0, endsAtMs: nowMs + WINDOW_MS }
    this.#windows.delete(key)
    this.#windows.set(key, window)
    for (const [oldest, { endsAtMs }] of this.#windows) {
      if (endsAtMs > nowMs && this.#windows.size <= this.#options.maxClients) break
      this.#windows.delete(oldest)
    }
    return window
  }
}
