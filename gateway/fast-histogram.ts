// A Prometheus histogram for the data path: an observation is a search and three additions, no object and no hash.

import type { Histogram, MetricValue, Registry } from 'prom-client'

/** One series of the histogram, for one value of its label. */
export class Series {
  readonly counts: Float64Array
  readonly #bounds: readonly number[]
  sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }

  observe(value: number): void {
    const bounds = this.#bounds
    let bucket = 0
    while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket++
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
    this.sum += value
  }
}

export class FastHistogram {
  readonly name: string
  readonly help: string
  readonly type = 'histogram'
  readonly aggregator = 'sum'
  readonly #label: string
  readonly #bounds: readonly number[]
  readonly #series = new Map<string, Series>()

  /** `bounds`: upper bounds of the buckets, ascending, without infinity. */
  constructor(registry: Registry, name: string, help: string, label: string, bounds: readonly number[]) {
    this.name = name
    this.help = help
    this.#label = label
    this.#bounds = bounds
    // Of a metric the registry uses only the name and get().
    registry.registerMetric(this as unknown as Histogram)
  }

  /** Keep it: made once for each value of the label. */
  series(labelValue: string): Series {
    let series = this.#series.get(labelValue)
    if (series === undefined) {
      series = new Series(this.#bounds)
      this.#series.set(labelValue, series)
    }
    return series
  }

  async get(): Promise<object> {
    const values: MetricValue<string>[] = []
    for (const [labelValue, series] of this.#series) this.#export(labelValue, series, values)
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values }
  }

  #export(labelValue: string, series: Series, values: (MetricValue<string> & { metricName?: string })[]): void {
    const labels = { [this.#label]: labelValue }
    let count = 0
    for (const [i, inBucket] of series.counts.entries()) {
      count += inBucket
      values.push({ metricName: `${this.name}_bucket`, labels: { le: this.#bounds[i] ?? '+Inf', ...labels }, value: count })
    }
    values.push({ metricName: `${this.name}_sum`, labels, value: series.sum })
    values.push({ metricName: `${this.name}_count`, labels, value: count })
  }
}
