// One measurement of one server: what its clients counted, and what the kernel says that it cost.

import { cpus } from 'node:os'
import type { BoshCrowd } from './bosh-crowd.js'
import type { BoshFigures, BoshRunOrder } from './bosh-orders.js'
import type { Contestant } from './contestant.js'
import { cpuUsOf, machineTime } from './process-figures.js'
import type { LatencyUs } from './tally.js'

/** `empty`, `message`: as many cycles as come back. `latency`: messages at a fixed rate, counted from the moment each was due. */
export type BoshPhase = 'empty' | 'message' | 'latency'

export interface BoshRow {
  readonly server: string
  readonly phase: BoshPhase
  /** Counted from 1. */
  readonly round: number
  readonly sessions: number
  readonly cycles: number
  readonly seconds: number
  readonly cyclesPerSecond: number
  /** HTTP requests that were answered for each cycle. */
  readonly requestsPerCycle: number
  readonly upBytesPerCycle: number
  readonly downBytesPerCycle: number
  /** Of all processes of the server, and of each. */
  readonly cpuUsPerCycle: number
  readonly cpuUsPerCycleOf: Readonly<Record<string, number>>
  /** Cycles that a second of one core's time pays for. */
  readonly perCoreSecond: number
  readonly latencyUs: LatencyUs
  /** Cores that each process kept busy, the generator too. */
  readonly cores: Readonly<Record<string, number>>
  /** Cores that were busy with something else: other programs, and interrupts. */
  readonly otherCores: number
  /** Why the row does not count; empty: it does. */
  readonly invalid: readonly string[]
}

/** Of a core: a generator that is busier may have been what was measured. */
const GENERATOR_LIMIT = 0.85
/** With a fixed rate, a generator whose cycles start later than this has no time to spare. */
const LATE_LIMIT_US = 5000

export interface RowPlace {
  readonly phase: BoshPhase
  readonly round: number
  readonly sessions: number
}

export async function measureRow(
  server: Contestant,
  crowd: BoshCrowd,
  place: RowPlace,
  order: Omit<BoshRunOrder, 'kind'>,
): Promise<BoshRow> {
  const machineBefore = machineTime()
  const cpuBefore = server.processes.map(({ pid }) => cpuUsOf(pid))
  const startMs = performance.now()
  const figures = await crowd.run(order)
  const elapsedUs = (performance.now() - startMs) * 1000
  const cpuUs = server.processes.map(({ pid }, index) => cpuUsOf(pid) - (cpuBefore[index] ?? 0))
  const machine = machineTime()
  const busyCores = ((machine.busy - machineBefore.busy) / (machine.all - machineBefore.all)) * cpus().length
  const cores = Object.fromEntries(server.processes.map(({ name }, index) => [name, (cpuUs[index] ?? 0) / elapsedUs]))
  const ours = Object.values(cores).reduce((sum, one) => sum + one, figures.cores)
  const { completed, seconds } = figures
  const cpuUsPerCycle = cpuUs.reduce((sum, one) => sum + one, 0) / completed
  return {
    server: server.name,
    ...place,
    cycles: completed,
    seconds,
    cyclesPerSecond: Math.round(completed / seconds),
    requestsPerCycle: figures.answers / completed,
    upBytesPerCycle: Math.round(figures.upBytes / completed),
    downBytesPerCycle: Math.round(figures.downBytes / completed),
    cpuUsPerCycle,
    cpuUsPerCycleOf: Object.fromEntries(server.processes.map(({ name }, index) => [name, (cpuUs[index] ?? 0) / completed])),
    perCoreSecond: Math.round(1_000_000 / cpuUsPerCycle),
    latencyUs: figures.latencyUs,
    cores: { ...cores, generator: figures.cores },
    otherCores: Math.max(0, busyCores - ours),
    invalid: faultsOf(figures, order.rate !== undefined),
  }
}

/** Why figures do not count; none: they do. */
export function faultsOf(figures: BoshFigures, hasRate: boolean): string[] {
  const faults: string[] = []
  const { started, completed, missing, repeated, strayed, lost, cores, lateP99Us } = figures
  if (completed !== started || missing > 0 || repeated > 0 || strayed > 0) {
    faults.push(
      `of ${started} cycles ${completed} were completed, ${missing} missing, ${repeated} repeated, ${strayed} answered with an error or late`,
    )
  }
  if (Object.keys(lost).length > 0) faults.push(`sessions ended: ${JSON.stringify(lost)}`)
  // With a rate it looks for the exact moment, which is work but none that is in the way.
  if (!hasRate && cores > GENERATOR_LIMIT) faults.push(`the generator was the bottleneck: ${cores.toFixed(2)} of a core`)
  if (hasRate && lateP99Us > LATE_LIMIT_US) faults.push(`the generator was late: p99 ${(lateP99Us / 1000).toFixed(1)} ms`)
  return faults
}
