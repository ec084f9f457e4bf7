// How busy this process is.

import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks'
import type { Load } from './orders.js'

export class LoadMeter {
  readonly #delay = monitorEventLoopDelay({ resolution: 5 })
  #since: EventLoopUtilization = performance.eventLoopUtilization()

  constructor() {
    this.#delay.enable()
  }

  reset(): void {
    this.#delay.reset()
    this.#since = performance.eventLoopUtilization()
  }

  read(): Load {
    const { utilization } = performance.eventLoopUtilization(this.#since)
    return { utilization, loopDelayP99Us: Math.round(this.#delay.percentile(99) / 1000) }
  }
}
