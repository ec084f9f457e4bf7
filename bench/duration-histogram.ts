// How long things took, in microseconds: an HDR histogram with three digits, and what is told of it.

import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import type { LatencyFigures } from './lab/result.js'

const HIGHEST_US = 600_000_000
/** Points of the distribution that are kept, at the most. */
const CDF_POINTS = 80

export class DurationHistogram {
  readonly #histogram: RecordableHistogram = createHistogram({ lowest: 1, highest: HIGHEST_US, figures: 3 })

  record(us: number): void {
    // Clocks of one machine agree to the microsecond, not better.
    this.#histogram.record(Math.min(Math.max(Math.round(us), 1), HIGHEST_US))
  }

  reset(): void {
    this.#histogram.reset()
  }

  get figures(): LatencyFigures {
    const { count } = this.#histogram
    if (count === 0) return { count, p50: 0, p90: 0, p99: 0, p999: 0, max: 0, cdf: [] }
    const at = (percentile: number) => this.#histogram.percentile(percentile)
    return { count, p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: this.#histogram.max, cdf: this.#distribution() }
  }

  /** Node gives finer steps the nearer it comes to the end. */
  #distribution(): (readonly [number, number])[] {
    const points = [...this.#histogram.percentiles].map(([percentile, us]) => [us, percentile / 100] as const)
    const rising = points.filter(([us], index) => us !== points[index + 1]?.[0])
    const step = Math.ceil(rising.length / CDF_POINTS)
    return rising.filter((_, index) => index % step === 0 || index === rising.length - 1)
  }
}
