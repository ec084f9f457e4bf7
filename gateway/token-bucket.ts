// How much of something may happen: so many a second, with a burst.

export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

export class TokenBucket {
  #tokens: number
  #atMs: number

  constructor(rate: Rate, nowMs: number) {
    this.#tokens = rate.burst
    this.#atMs = nowMs
  }

  /** Takes `count` tokens if they are there; 0, or after how many milliseconds to try again. */
  take(rate: Rate, count: number, nowMs: number): number {
    this.#tokens = Math.min(rate.burst, this.#tokens + ((nowMs - this.#atMs) * rate.perSecond) / 1000)
    this.#atMs = nowMs
    if (this.#tokens >= count) {
      this.#tokens -= count
      return 0
    }
    return Math.ceil(((count - this.#tokens) * 1000) / rate.perSecond)
  }
}
