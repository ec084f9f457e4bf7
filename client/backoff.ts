// Full-jitter exponential backoff: even over the whole range, so that clients that failed together don't come back together.

export interface BackoffOptions {
  readonly baseMs: number
  readonly maxMs: number
}

export class Backoff {
  readonly #options: BackoffOptions
  readonly #random: () => number
  #attempts = 0

  /** `random`: from 0 to 1. */
  constructor(options: BackoffOptions, random: () => number) {
    this.#options = options
    this.#random = random
  }

  /** How many delays were drawn since the last reset. */
  get attempts(): number {
    return this.#attempts
  }

  /** From 0 to min(maxMs, baseMs × 2ⁿ), n = delays drawn so far. */
  next(): number {
    this.#attempts += 1
    return this.drawn(this.#attempts - 1)
  }

  /** The same for an n that somebody else counts. */
  drawn(n: number): number {
    const { baseMs, maxMs } = this.#options
    return Math.round(this.#random() * Math.min(maxMs, baseMs * 2 ** n))
  }

  reset(): void {
    this.#attempts = 0
  }
}
