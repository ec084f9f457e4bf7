// How busy this process is.

import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks'
import type { Load } from './orders.js'

const RESOLUTION_MS = 5

export class LoadMeter {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  #since: EventLoopUtilization = performance.eventLoopUtilization()
  #cpuSince = process.cpuUsage()
  #startMs = performance.now()

  constructor() {
    this.#delay.enable()
  }

  reset(): void {
    this.#delay.reset()
    this.#since = performance.eventLoopUtilization()
    this.#cpuSince = process.cpuUsage()
    this.#startMs = performance.now()
  }

  read(): Load {
    const { utilization } = performance.eventLoopUtilization(this.#since)
    // What is recorded is the time from one turn of its timer to the next.
    const delayUs = Math.round(this.#delay.percentile(99) / 1000) - RESOLUTION_MS * 1000
    const { user, system } = process.cpuUsage(this.#cpuSince)
    const cores = (user + system) / 1000 / (performance.now() - this.#startMs)
    return { utilization, cores, loopDelayP99Us: Math.max(0, delayUs) }
  }
}
