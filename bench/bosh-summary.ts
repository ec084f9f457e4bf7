// What several rounds of a BOSH benchmark come to: medians, and how the servers compare.

import type { BoshPhase, BoshRow } from './bosh-row.js'

export interface BoshSummary {
  readonly server: string
  readonly phase: BoshPhase
  /** Medians of the rounds, those that do not count left out as long as there are others. */
  readonly cyclesPerSecond: number
  readonly cpuUsPerCycle: number
  readonly cpuUsPerCycleOf: Readonly<Record<string, number>>
  readonly perCoreSecond: number
  readonly requestsPerCycle: number
  readonly p50Us: number
  readonly p99Us: number
  readonly otherCores: number
  /** Rounds that count, of all. */
  readonly valid: number
  readonly rounds: number
}

export interface Ratio {
  readonly server: string
  readonly rival: string
  readonly phase: 'empty' | 'message'
  /** Cycles for a second of a core's time: the server's over the rival's. */
  readonly perCore: number
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  return ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2
}

/** One for each server and phase, in the order in which they first come. */
export function summarize(rows: readonly BoshRow[]): BoshSummary[] {
  const groups = new Map<string, BoshRow[]>()
  for (const row of rows) {
    const key = `${row.server} ${row.phase}`
    groups.set(key, [...(groups.get(key) ?? []), row])
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group
    return first === undefined ? [] : [summary(first, group)]
  })
}

function summary({ server, phase, cpuUsPerCycleOf }: BoshRow, group: readonly BoshRow[]): BoshSummary {
  const valid = group.filter(({ invalid }) => invalid.length === 0)
  const counted = valid.length > 0 ? valid : group
  const of = (value: (row: BoshRow) => number) => median(counted.map(value))
  const cpuUsPerCycle = of((row) => row.cpuUsPerCycle)
  return {
    server,
    phase,
    cyclesPerSecond: Math.round(of((row) => row.cyclesPerSecond)),
    cpuUsPerCycle,
    cpuUsPerCycleOf: Object.fromEntries(Object.keys(cpuUsPerCycleOf).map((name) => [name, of((row) => row.cpuUsPerCycleOf[name] ?? 0)])),
    perCoreSecond: Math.round(1_000_000 / cpuUsPerCycle),
    requestsPerCycle: of((row) => row.requestsPerCycle),
    p50Us: of((row) => row.latencyUs.p50),
    p99Us: of((row) => row.latencyUs.p99),
    otherCores: of((row) => row.otherCores),
    valid: valid.length,
    rounds: group.length,
  }
}

/** Of each server to each rival, in what is saturated. */
export function ratiosOf(summaries: readonly BoshSummary[], rivals: readonly string[]): Ratio[] {
  const ratios: Ratio[] = []
  for (const phase of ['empty', 'message'] as const) {
    const group = summaries.filter((one) => one.phase === phase)
    for (const one of group.filter(({ server }) => !rivals.includes(server))) {
      for (const rival of group.filter(({ server }) => rivals.includes(server))) {
        ratios.push({ server: one.server, rival: rival.server, phase, perCore: rival.cpuUsPerCycle / one.cpuUsPerCycle })
      }
    }
  }
  return ratios
}
