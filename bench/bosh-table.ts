// Results of a BOSH benchmark for people: ratios first.

import type { AddedPath } from './bosh-added.js'
import type { BoshRow } from './bosh-row.js'
import type { BoshSummary, Ratio } from './bosh-summary.js'

const PHASE_TITLES = {
  empty: 'empty cycles',
  message: 'messages between users (each: a request with it, one released by it, a new one after it)',
  latency: 'messages at a fixed rate',
} as const
/** Cores that are busy with something else than the benchmark: more is worth telling. */
const DISTURBED_CORES = 0.2

export function turnLine(round: number, rounds: number, rows: readonly BoshRow[]): string {
  const parts = rows.map(({ phase, cyclesPerSecond, cpuUsPerCycle, latencyUs, invalid }) => {
    const figures =
      phase === 'latency'
        ? `p50 ${ms(latencyUs.p50)}, p99 ${ms(latencyUs.p99)}`
        : `${cyclesPerSecond}/s, ${cpuUsPerCycle.toFixed(1)} µs CPU`
    return `${phase} ${figures}${verdict(invalid)}`
  })
  return `round ${round}/${rounds} ${rows[0]?.server}: ${parts.join('; ')}${disturbance(Math.max(...rows.map((row) => row.otherCores)))}`
}

export function summaryLines(summaries: readonly BoshSummary[], ratios: readonly Ratio[]): string[] {
  const lines = ratios.map(
    ({ server, rival, phase, perCore }) => `${phase}: ${server} does ${perCore.toFixed(2)} × what ${rival} does on a core`,
  )
  for (const phase of ['empty', 'message', 'latency'] as const) {
    const group = summaries.filter((one) => one.phase === phase)
    if (group.length > 0) lines.push('', `${PHASE_TITLES[phase]}, medians:`, ...table(group.map(cells)))
  }
  return lines
}

export function addedLines({ rows, busP50Us, busP99Us, c2sP50Us, c2sP99Us }: AddedPath): string[] {
  return [
    '',
    `the bus (two gateways and NATS, not one process) adds to a message: p50 ${ms(busP50Us)}, p99 ${ms(busP99Us)}`,
    `the c2s worker adds to a request (ping, not empty cycle): p50 ${ms(c2sP50Us)}, p99 ${ms(c2sP99Us)}`,
    ...table(
      rows.map(({ setup, cycle, p50Us, p99Us, invalid }) => [setup, cycle, `p50 ${ms(p50Us)}`, `p99 ${ms(p99Us)}`, verdict(invalid)]),
    ),
  ]
}

function cells(one: BoshSummary): string[] {
  const parts = Object.entries(one.cpuUsPerCycleOf).map(([name, us]) => `${name} ${us.toFixed(1)}`)
  return [
    one.server,
    `${one.cyclesPerSecond}/s`,
    `${one.cpuUsPerCycle.toFixed(1)} µs CPU`,
    `${one.perCoreSecond} a core-second`,
    `p50 ${ms(one.p50Us)}`,
    `p99 ${ms(one.p99Us)}`,
    `${one.requestsPerCycle.toFixed(2)} requests`,
    `(${parts.join(', ')})${one.valid === one.rounds ? '' : `  INVALID: ${one.rounds - one.valid} of ${one.rounds}`}${disturbance(one.otherCores)}`,
  ]
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
}

function ms(us: number): string {
  return `${(us / 1000).toFixed(2)} ms`
}

function verdict(invalid: readonly string[]): string {
  return invalid.length === 0 ? '' : ` INVALID: ${invalid.join('; ')}`
}

function disturbance(otherCores: number): string {
  return otherCores > DISTURBED_CORES ? `  (disturbed: ${otherCores.toFixed(2)} cores busy with something else)` : ''
}
