// Time as a parameter: what needs the hour or a timer takes a Clock, so that tests decide when time passes.

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Calls back once, `delayMs` from now at the earliest. The returned function cancels it; idempotent. */
  after(delayMs: number, callback: () => void): () => void
}

export const systemClock: Clock = {
  now: Date.now,
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}
