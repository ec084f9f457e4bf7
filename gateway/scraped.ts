// Metrics whose values are looked up at each scrape, rather than kept in step.

import { Counter, Gauge, type Registry } from 'prom-client'

export type Samples = readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[]

export function scrapedGauge(registry: Registry, name: string, help: string, labelNames: readonly string[], samples: () => Samples): void {
  new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect() {
      this.reset()
      for (const [labels, value] of samples()) this.set(labels, value)
    },
  })
}

export function scrapedCounter(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[],
  samples: () => Samples,
): void {
  new Counter({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect() {
      this.reset()
      for (const [labels, value] of samples()) this.inc(labels, value)
    },
  })
}
