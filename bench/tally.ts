// What the load generator received: exact counts for each user, and latencies from the intended moment of sending.

import { DurationHistogram } from './duration-histogram.js'
import type { LatencyFigures } from './lab/result.js'

export interface Counts {
  readonly received: number
  /** Numbers that never came, seen when a later one did. */
  readonly missing: number
  /** Numbers that came again or too late. */
  readonly repeated: number
}

export interface LatencyUs {
  readonly count: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

export class Tally {
  /** The last number of each user. */
  readonly #last: Uint32Array
  readonly #latency = new DurationHistogram()
  #received = 0
  #missing = 0
  #repeated = 0

  constructor(users: number) {
    this.#last = new Uint32Array(users)
  }

  take(user: number, k: number, latencyUs: number): void {
    this.#received++
    const last = this.#last[user] ?? 0
    if (k <= last) {
      this.#repeated++
      return
    }
    this.#missing += k - last - 1
    this.#last[user] = k
    this.#latency.record(latencyUs)
  }

  get counts(): Counts {
    return { received: this.#received, missing: this.#missing, repeated: this.#repeated }
  }

  get latency(): LatencyUs {
    const { count, p50, p90, p99, p999, max } = this.#latency.figures
    return { count, p50, p90, p99, p999, max }
  }

  /** With the whole distribution. */
  get latencyFigures(): LatencyFigures {
    return this.#latency.figures
  }

  /** Latencies from now on; the counts go on. */
  resetLatency(): void {
    this.#latency.reset()
  }
}
