// What the load generator received: exact counts for each user, and latencies from the intended moment of sending.

import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

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

const HIGHEST_US = 600_000_000

export class Tally {
  /** The last number of each user. */
  readonly #last: Uint32Array
  readonly #latency: RecordableHistogram = createHistogram({ lowest: 1, highest: HIGHEST_US, figures: 3 })
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
    // Clocks of one machine agree to the microsecond, not better.
    this.#latency.record(Math.min(Math.max(Math.round(latencyUs), 1), HIGHEST_US))
  }

  get counts(): Counts {
    return { received: this.#received, missing: this.#missing, repeated: this.#repeated }
  }

  get latency(): LatencyUs {
    const at = (percentile: number) => this.#latency.percentile(percentile)
    return { count: this.#latency.count, p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: this.#latency.max }
  }

  /** Latencies from now on; the counts go on. */
  resetLatency(): void {
    this.#latency.reset()
  }
}
