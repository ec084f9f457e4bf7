// What the bus and the c2s workers add to a BOSH round trip: the same at a fixed rate with two gateways, a worker and nats-server,
// and with all in one process; and a question that a worker answers beside a request that is only released.

import { BoshCrowd } from './bosh-crowd.js'
import type { BoshCycle } from './bosh-orders.js'
import { faultsOf } from './bosh-row.js'
import { median } from './bosh-summary.js'
import { type Contestant, startHoldwire } from './contestant.js'
import type { BenchOptions } from './options.js'
import type { Progress } from './progress.js'

export interface AddedRow {
  readonly setup: 'two gateways' | 'serve'
  readonly cycle: BoshCycle
  /** Medians of the rounds. */
  readonly p50Us: number
  readonly p99Us: number
  readonly invalid: readonly string[]
}

export interface AddedPath {
  readonly rows: readonly AddedRow[]
  /** A message by way of two gateways and NATS, less one within a single process. */
  readonly busP50Us: number
  readonly busP99Us: number
  /** A ping less an empty cycle, with two gateways. */
  readonly c2sP50Us: number
  readonly c2sP99Us: number
}

interface Setup {
  readonly name: AddedRow['setup']
  readonly server: Contestant
  readonly crowd: BoshCrowd
}

interface Sample {
  readonly setup: AddedRow['setup']
  readonly cycle: BoshCycle
  readonly p50Us: number
  readonly p99Us: number
  readonly invalid: readonly string[]
}

const CYCLES = ['message', 'ping', 'empty'] as const
const SESSIONS_LIMIT = 100
const ROUNDS = 2
const SECONDS = 2
const WARM_UP_SECONDS = 1

export async function measureAdded(
  options: BenchOptions,
  engine: 'node' | 'uws',
  version: string,
  root: string,
  progress: Progress,
): Promise<AddedPath> {
  const setups: Setup[] = []
  const samples: Sample[] = []
  try {
    for (const name of ['two gateways', 'serve'] as const) {
      const topology =
        name === 'serve' ? ({ kind: 'serve', engine, root } as const) : ({ kind: 'split', engine, root, gateways: 2 } as const)
      progress.update(`${name}: starting`)
      const server = await startHoldwire(name, version, topology)
      try {
        const crowd = await BoshCrowd.open(root, server, Math.min(options.sessions, SESSIONS_LIMIT), options.seed, progress)
        setups.push({ name, server, crowd })
      } catch (error) {
        await server.stop()
        throw error
      }
    }
    const { rate, window, sizeBytes, ephemeral } = options
    const shared = { window: Math.min(window, SESSIONS_LIMIT / 4), sizeBytes, ephemeral }
    for (const { crowd } of setups) {
      for (const cycle of CYCLES) await crowd.run({ ...shared, cycle, rate: undefined, seconds: WARM_UP_SECONDS })
    }
    for (let round = 1; round <= ROUNDS; round++) {
      for (const { name, crowd } of setups) {
        for (const cycle of CYCLES) {
          progress.update(`${name}, ${cycle} at ${rate}/s`)
          const figures = await crowd.run({ ...shared, cycle, rate, seconds: SECONDS })
          const { p50, p99 } = figures.latencyUs
          samples.push({ setup: name, cycle, p50Us: p50, p99Us: p99, invalid: faultsOf(figures, true) })
        }
      }
    }
  } finally {
    for (const { crowd, server } of setups) {
      await crowd.close().finally(() => server.stop())
    }
  }
  return addedPath(samples)
}

export function addedPath(samples: readonly Sample[]): AddedPath {
  const rows = (['two gateways', 'serve'] as const).flatMap((setup) =>
    CYCLES.map((cycle): AddedRow => {
      const group = samples.filter((one) => one.setup === setup && one.cycle === cycle)
      const p50Us = median(group.map((one) => one.p50Us))
      const p99Us = median(group.map((one) => one.p99Us))
      return { setup, cycle, p50Us, p99Us, invalid: group.flatMap(({ invalid }) => invalid) }
    }),
  )
  const at = (setup: AddedRow['setup'], cycle: BoshCycle, field: 'p50Us' | 'p99Us') =>
    rows.find((one) => one.setup === setup && one.cycle === cycle)?.[field] ?? Number.NaN
  const bus = (field: 'p50Us' | 'p99Us') => at('two gateways', 'message', field) - at('serve', 'message', field)
  const c2s = (field: 'p50Us' | 'p99Us') => at('two gateways', 'ping', field) - at('two gateways', 'empty', field)
  return { rows, busP50Us: bus('p50Us'), busP99Us: bus('p99Us'), c2sP50Us: c2s('p50Us'), c2sP99Us: c2s('p99Us') }
}
